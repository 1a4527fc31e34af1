"""Every operation in an order in which each can be done, with the arguments it needs."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]
Known = dict[str, str]
# A file of one contact.
PEOPLE = "phone,first_name\n{phone},Ana\n"
KIT = {"type": "kit", "settings": {"api_key": "none"}, "mapping": {"phone": "phone"}}
HOOK = {"type": "hook", "settings": {}, "mapping": {"phone": "phone"}}
EVERY = {"all": [{"field": "phone", "op": "exists"}]}


@dataclass(frozen=True)
class Step:
    """One call: the operation, its arguments from the ids known so far, and the name under which its id is kept.

    `awaits` names a kept import, campaign or clock and the status that workers must have brought it to before the call.
    """

    operation_id: str
    args: Callable[[Known], Json]
    keep: str = ""
    awaits: tuple[str, str] | None = None


def phone(round_: int, number: int) -> str:
    """Return a phone of the sandbox that no other step uses."""
    return f"+1212556{round_ * 100 + number:04d}"


def encoded(text: str) -> str:
    """Return the content of a part of a file, as it is sent."""
    return b64encode(text.encode()).decode()


def later(**ahead: float) -> str:
    """Return a time on the wire, so far from now."""
    return (datetime.now(UTC) + timedelta(**ahead)).strftime("%Y-%m-%dT%H:%M:%SZ")


def steps(round_: int) -> list[Step]:
    """Return the calls of one round."""

    def number(count: int) -> str:
        return phone(round_, count)

    def of(name: str, key: str = "id", /, **more: Any) -> Callable[[Known], Json]:
        return lambda known: {key: known[name]} | more

    def just(**args: Any) -> Callable[[Known], Json]:
        return lambda known: args

    tag = f"Round {round_}"
    return [
        Step("retrieveWorkspace", just()),
        Step("updateWorkspace", just(low_balance_threshold=1000 + round_)),
        Step("createList", just(name=f"{tag}: open cart"), "list"),
        Step("retrieveList", of("list")),
        Step("updateList", of("list", name=f"{tag}: cart")),
        Step(
            "createContact",
            just(phone=number(1), first_name="Maria", opt_in={"source": "checkout", "ip": "203.0.113.4"}),
            "contact",
        ),
        Step("createContact", just(phone=number(2), attributes={"tier": "vip", "seats": 2, "new": True}), "other"),
        Step("updateContact", of("contact", last_name="Santos", attributes={"tier": "gold"})),
        Step("retrieveContact", of("contact")),
        Step("listContacts", just(limit=2, phone=number(1))),
        Step("addListContacts", lambda known: {"id": known["list"], "contact_ids": [known["contact"], known["other"]]}),
        Step("listListContacts", of("list", limit=5)),
        Step("removeListContact", lambda known: {"id": known["list"], "contact_id": known["other"]}),
        Step(
            "importContacts",
            lambda known: {
                "contacts": [{"phone": number(3)}, {"phone": number(4), "first_name": "Ana"}],
                "list_id": known["list"],
                "opt_in": {"source": "webinar"},
            },
        ),
        Step("createImport", of("list", "list_id", file_name="members.csv", dry_run=True), "import"),
        Step("updateImport", of("import", default_region="US", tags=["imported"])),
        Step("addImportPart", of("import", offset=0, content=encoded(PEOPLE.format(phone=number(9))), last=True)),
        Step("retrieveImport", of("import"), awaits=("import", "checked")),
        Step("listImportRows", of("import", limit=2)),
        Step("retrieveInvalidRows", of("import")),
        Step("runImport", of("import")),
        Step("listImports", just(limit=2)),
        Step("undoImport", of("import"), awaits=("import", "completed")),
        Step("createImport", just(file_name="others.csv"), "spare_import"),
        Step("cancelImport", of("spare_import")),
        Step("markContactReachable", of("contact")),
        Step("tagContact", of("contact", add=["vip", f"round {round_}"])),
        Step("listTags", just(limit=2, q="vip")),
        Step("createContact", just(phone=number(10)), "twin"),
        Step("mergeContacts", lambda known: {"id": known["contact"], "contact_id": known["twin"]}),
        Step(
            "createBulkAction",
            lambda known: {"action": "tag", "tags": ["chosen"], "contact_ids": [known["contact"]]},
            "bulk_action",
        ),
        Step("retrieveBulkAction", of("bulk_action")),
        Step("listBulkActions", just(limit=2)),
        Step("cancelBulkAction", of("bulk_action")),
        Step("createExport", just(kind="contacts"), "export"),
        Step("retrieveExport", of("export")),
        Step("listExports", just(limit=2, kind="contacts")),
        Step("cancelExport", of("export")),
        Step("createList", just(name=f"{tag}: posted", source=HOOK), "posted"),
        Step("confirmListSync", of("posted")),
        Step("pauseListSync", of("posted")),
        Step("resumeListSync", of("posted")),
        Step("disconnectList", of("posted")),
        Step("createList", just(name=f"{tag}: read", source=KIT), "read"),
        Step("updateListSource", of("read", every_minutes=120)),
        Step("syncList", of("read")),
        Step("listListSyncs", of("read", limit=2)),
        Step("deleteList", of("read")),
        Step("listLists", just(limit=3)),
        Step("previewMessage", just(to=number(1), body="Hey {firstName|there}")),
        Step(
            "createMessage",
            lambda known: {
                "to": number(1),
                "body": "Hey {firstName}, olá 👋",
                "from": "+12125550100",
                "variables": {"firstName": "Maria"},
                "metadata": {"round": round_, "none": None},
            },
            "message",
        ),
        Step(
            "createMessage",
            lambda known: {"to": number(1), "body": "Later", "scheduled_at": later(days=1)},
            "scheduled",
        ),
        Step("createMessageBatch", just(messages=[{"to": number(1), "body": "One"}, {"to": "+1abc", "body": "Two"}])),
        Step("retrieveMessage", of("message")),
        Step("explainMessage", of("message")),
        Step("retrieveMessageTimeline", of("message")),
        Step("listMessageLinks", of("message")),
        Step("listMessages", of("contact", "contact_id", limit=10)),
        Step("cancelMessage", of("scheduled")),
        Step("createSegment", just(name=f"{tag}: everybody", filter=EVERY), "segment"),
        Step("previewSegment", just(filter=EVERY)),
        Step("retrieveSegment", of("segment")),
        Step("updateSegment", of("segment", name=f"{tag}: VIPs")),
        Step("listSegments", just()),
        Step("previewCampaign", lambda known: {"body": "Hi", "audience": {"list_ids": [known["list"]]}}),
        Step("preflightCampaign", lambda known: {"body": "Hi", "audience": {"list_ids": [known["list"]]}}),
        Step(
            "createCampaign",
            lambda known: {
                "name": f"{tag}: close",
                "body": "Hi",
                "audience": {"list_ids": [known["list"]]},
                "scheduled_at": later(days=1),
            },
            "campaign",
        ),
        Step("retrieveCampaign", of("campaign")),
        Step("listCampaigns", just(limit=2)),
        Step("reconcileCampaign", of("campaign")),
        Step("listCampaignLinks", of("campaign")),
        Step(
            "createCampaign",
            lambda known: {
                "name": f"{tag}: test",
                "body": "Hi",
                "audience": {"list_ids": [known["list"]]},
                "ab_test": {"variants": [{}, {"body": "Hello"}], "test_percent": 1},
            },
            "tested",
        ),
        Step("retrieveAbTest", of("tested"), awaits=("tested", "sending")),
        Step("chooseWinner", of("tested", variant="B")),
        Step("pauseCampaign", of("campaign")),
        Step("resumeCampaign", of("campaign")),
        Step("cancelCampaign", of("campaign")),
        Step("archiveCampaign", of("campaign")),
        Step("unarchiveCampaign", of("campaign")),
        Step("cloneCampaign", of("campaign", name=f"{tag}: again"), "draft"),
        Step("updateCampaign", of("draft", name=f"{tag}: once more")),
        Step("testCampaign", lambda known: {"id": known["draft"], "to": [number(1)]}),
        Step("launchCampaign", lambda known: {"id": known["draft"], "scheduled_at": later(days=2)}),
        Step("cloneCampaign", of("campaign"), "spare"),
        Step("deleteCampaign", of("spare")),
        Step(
            "createSequence",
            just(
                name=f"{tag}: challenge",
                steps=[
                    {"key": "day_1", "body": "Day 1, {firstName|there}"},
                    {"key": "day_2", "body": "Day 2", "wait_minutes": 1440, "send_at_local": "09:00"},
                ],
                quiet_hours=False,
            ),
            "sequence",
        ),
        Step("updateSequence", of("sequence", leave_on_reply=False, goal={"tag": "customer"})),
        Step("publishSequence", of("sequence")),
        Step("pauseSequence", of("sequence")),
        Step(
            "createEnrollment",
            lambda known: {"id": known["sequence"], "contact_id": known["contact"]},
            "enrollment",
        ),
        Step("retrieveEnrollment", lambda known: {"id": known["sequence"], "enrollment_id": known["enrollment"]}),
        Step("listEnrollments", of("sequence", state="active", limit=2)),
        Step("removeEnrollment", lambda known: {"id": known["sequence"], "enrollment_id": known["enrollment"]}),
        Step("resumeSequence", of("sequence")),
        Step("retrieveSequenceStats", of("sequence")),
        Step("retrieveSequence", of("sequence")),
        Step("listSequences", just(limit=2, status="active")),
        Step(
            "createConversion",
            lambda known: {
                "contact_id": known["contact"],
                "order_id": f"{tag}-1042",
                "value": 14900,
                "currency": "USD",
                "metadata": {"plan": "cohort-06"},
            },
            "conversion",
        ),
        Step("retrieveConversion", of("conversion")),
        Step("listConversions", lambda known: {"contact_id": known["contact"], "limit": 2}),
        Step("totalConversions", just()),
        Step("createOrderHook", just(type="stripe", name=tag, signing_secret="whsec_conformance"), "order_hook"),
        Step("updateOrderHook", of("order_hook", name=f"{tag}: shop")),
        Step("listOrderHooks", just(limit=2)),
        Step("deleteOrderHook", of("order_hook")),
        Step("refundConversion", of("conversion", refunded_value=4900)),
        Step("archiveSequence", of("sequence")),
        Step("createSequence", just(name=f"{tag}: spare", template="welcome"), "spare_sequence"),
        Step("deleteSequence", of("spare_sequence")),
        Step("createSnippet", just(name=f"signature-{round_}", body="Ana from Cohort Labs"), "snippet"),
        Step("retrieveSnippet", of("snippet")),
        Step("updateSnippet", of("snippet", body="Ana, Cohort Labs")),
        Step("listSnippets", just(name=f"signature-{round_}")),
        Step(
            "createTemplate", just(name=tag, body=f"Hey {{firstName|you}} {{snippet.signature-{round_}}}"), "template"
        ),
        Step("retrieveTemplate", of("template")),
        Step("updateTemplate", of("template", tags=["launch"], archived=True)),
        Step("listTemplates", just(limit=2, tag="launch", archived=True)),
        Step("createMessage", lambda known: {"to": number(1), "template_id": known["template"]}),
        Step("deleteTemplate", of("template")),
        Step("deleteSnippet", of("snippet")),
        Step("createKeyword", lambda known: {"word": f"COHORT{round_}", "list_id": known["list"]}, "keyword"),
        Step("retrieveKeyword", of("keyword")),
        Step("updateKeyword", of("keyword", word=f"COHORT{round_}B")),
        Step("listKeywords", just()),
        Step("deleteKeyword", of("keyword")),
        Step("createWebhook", just(url=f"https://api.cohortlabs.co/webhooks/sms/{round_}", events=["*"]), "webhook"),
        Step("retrieveWebhook", of("webhook")),
        Step("updateWebhook", of("webhook", description=tag)),
        Step("listWebhooks", just()),
        Step("testWebhook", of("webhook"), "event"),
        Step("retrieveEvent", of("event")),
        Step("listEvents", just(limit=3)),
        Step("resendEvent", lambda known: {"id": known["event"], "webhook_id": known["webhook"]}),
        Step("recoverWebhook", lambda known: {"id": known["webhook"], "since": later(minutes=-1)}),
        Step("listWebhookAttempts", of("webhook")),
        Step("retrieveWebhookHealth", of("webhook")),
        Step("rotateWebhookSecret", of("webhook")),
        Step("deleteWebhook", of("webhook")),
        Step("createTestInbound", lambda known: {"from": number(1), "body": "Is there a payment plan?"}, "inbound"),
        Step("retrieveInbound", of("inbound")),
        Step("listInbound", of("contact", "contact_id", flagged=False)),
        Step("unflagInbound", of("inbound")),
        Step("listInboxThreads", just(limit=2)),
        Step("retrieveInboxThread", of("contact", "contact_id")),
        Step("listInboxMessages", of("contact", "contact_id")),
        Step("readInboxThread", of("contact", "contact_id")),
        Step("unreadInboxThread", of("contact", "contact_id")),
        Step("answerInboxThread", of("contact", "contact_id", body="Yes: three payments.")),
        Step("listContactConsent", of("contact")),
        Step("listConsent", just(phone=number(1))),
        Step("exportContact", of("contact")),
        Step("createSuppression", just(phone=number(5), source="complaint"), "suppression"),
        Step("retrieveSuppression", of("suppression")),
        Step("listSuppressions", just(phone=number(5))),
        Step("importSuppressions", just(phones=[number(6), number(7)], source="previous provider")),
        Step(
            "liftSuppression",
            lambda known: {
                "id": known["suppression"],
                "source": "checkout",
                "at": datetime.now(UTC).isoformat(),
                "renewed": True,
            },
        ),
        Step("optOutContact", of("other")),
        Step("eraseContact", of("other")),
        Step("createContact", just(phone=number(8)), "brief"),
        Step("deleteContact", of("brief")),
        Step("retrieveCredits", just()),
        Step("listLedger", just(limit=2)),
        Step("listCreditPurchases", just(limit=2)),
        Step("listCreditPacks", just()),
        Step("listCreditRates", just()),
        Step("listConnectors", just()),
        Step("retrieveAutoTopUp", just()),
        Step("listCheckouts", just(limit=2)),
        Step("listSenders", just(), "sender"),
        Step("retrieveSender", of("sender")),
        Step("listApiKeys", just(), "api_key"),
        Step("retrieveApiKey", of("api_key")),
        Step("createList", just(name=f"{tag}: brief"), "brief_list"),
        Step("deleteList", of("brief_list")),
        Step("deleteSegment", of("segment")),
        Step("scriptTestCarrier", just(seed=round_, loss=0.1, disorder=0.2)),
        Step("retrieveTestCarrier", just()),
        Step("deleteTestCarrier", just()),
        Step("createTestClock", just(now=later(hours=2)), "clock"),
        Step("retrieveTestClock", just()),
        Step("advanceTestClock", just(by_seconds=60), awaits=("clock", "ready")),
        Step("deleteTestClock", just()),
    ]
