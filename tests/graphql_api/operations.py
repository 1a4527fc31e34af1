"""The operations of docs/graphql: the variables each is run with, what it answers and how many statements it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from msvs.api.catalogue import doc_url
from msvs.settings import Settings
from tests.graphql_api.studio import VIP, Studio


@dataclass(frozen=True)
class Operation:
    """One file of docs/graphql; `answers` maps paths into its data to what stands there.

    One that no API key may run is run by the workspace's owner.
    """

    name: str
    statements: int
    answers: Callable[[Studio], dict[str, Any]]
    variables: Callable[[Studio], dict[str, Any]] = field(default=lambda studio: {})
    by_owner: bool = False


def ago(**by: float) -> str:
    """A time in the past."""
    return (datetime.now(UTC) - timedelta(**by)).strftime("%Y-%m-%dT%H:%M:%SZ")


AUDIENCE = "audience"

OPERATIONS = (
    Operation("Overview", 10, lambda s: {
        "viewer.workspace.id": s.workspace, "viewer.livemode": False, "credits.balance": 10_000,
        "messages.nodes.1.id": s.message, "campaigns.nodes.0.stats.recipients": 0,
        "inboundMessages.nodes.0.body": "When?", "contacts.totalCount": 3,
    }),
    Operation("Activity", 2, lambda s: {"activity.-1.messageCount": 2, "activity.-1.replies": 1},
              lambda s: {"since": ago(days=3), "until": ago(hours=0)}),
    Operation("CampaignActivity", 3, lambda s: {"campaignActivity.-1.sent": 0, "campaignActivity.-1.replied": 0},
              lambda s: {"id": s.campaign, "since": ago(minutes=3), "until": ago(hours=0)}),
    Operation("AudienceGrowth", 2, lambda s: {
        "audienceGrowth.-1.contactCount": 3, "audienceGrowth.-1.sources": [{"source": "unknown", "count": 3}]},
              lambda s: {"since": ago(days=3), "until": ago(hours=0)}),
    Operation("Deliverability", 1, lambda s: {
        "deliverability.0.value": "MASSIVESMS", "deliverability.0.messageCount": 2, "deliverability.0.failures": []},
              lambda s: {"by": "SENDER", "since": ago(days=3), "until": ago(hours=-1)}),
    Operation("ApiRequests", 2, lambda s: {"apiRequests.nodes": [], "apiRequests.totalCount": 0}),
    Operation("SegmentFields", 1, lambda s: {
        "segmentFields.0.field": "first_name",
        "segmentFields.-1": {"field": "attributes.tier", "type": "TEXT", "values": ["vip"], "ops": [
            "eq", "ne", "in", "not_in", "contains", "starts_with", "exists"]}}),
    Operation("SegmentMembers", 3, lambda s: {
        "segment.contactCount": 1, "segment.members.nodes.0.id": s.maria,
        "segment.members.pageInfo.hasNextPage": False}, lambda s: {"id": s.segment}),
    Operation("Conversations", 1, lambda s: {"conversationOverview": {
        "conversationCount": 1, "replyCount": 1, "waitingCount": 1}}),
    Operation("ErrorCatalogue", 0, lambda s: {
        "errorCatalogue.errors.0": {
            "code": "http_invalid", "type": "invalid_request_error", "types": ["invalid_request_error"],
            "statuses": [400],
            "when": "The request is not valid HTTP/1.1, has no Host header or several, or has an ambiguous body"
            " length.",
            "action": "Use an HTTP client library; the message says what is wrong.",
            "docUrl": doc_url("http_invalid", Settings().base_url), "isGraphqlOnly": False},
        "errorCatalogue.failures.0": {
            "code": "invalid_number", "when": "The carrier says that the number does not exist.",
            "action": "Remove the number, or ask the contact for another."}}),
    Operation("Regions", 0, lambda s: {
        "regions.0": {
            "code": "AC", "callingCode": 247, "mainRegion": None, "isBlocked": False, "isOffUntilEnabled": False,
            "weekdayHours": {"opens": "08:00", "closes": "21:00"},
            "weekendHours": {"opens": "08:00", "closes": "21:00"}, "closedWeekdays": [], "isClosedOnHolidays": False,
            "hoursSource": "the hours most laws and carriers' codes agree on"}}),
    Operation("Messages", 2, lambda s: {
        "messages.nodes.0.id": s.scheduled, "messages.nodes.0.contact.id": s.ana,
        "messages.nodes.1.contact.firstName": "Maria", "messages.nodes.1.campaign": None,
        "messages.pageInfo.hasNextPage": False}),
    Operation("MessagesBackward", 2, lambda s: {
        "messages.edges.0.cursor": s.message, "messages.edges.0.node.id": s.message, "messages.totalCount": 2,
        "messages.pageInfo": {"hasNextPage": False, "hasPreviousPage": True, "startCursor": s.message}},
              lambda s: {"last": 1}),
    Operation("Message", 2, lambda s: {
        "message.id": s.message, "message.kind": "API", "message.status": "QUEUED", "message.encoding": "GSM7",
        "message.contact.id": s.maria, "message.metadata": {}}, lambda s: {"id": s.message}),
    Operation("MessageLinks", 2, lambda s: {"messageLinks": []}, lambda s: {"id": s.message}),
    Operation("SendMessage", 6, lambda s: {
        "sendMessage.__typename": "Message", "sendMessage.status": "QUEUED", "sendMessage.body": "Hi Maria"},
              lambda s: {"input": {"to": "+12125550101", "body": "Hi {firstName}"}, "key": "once"}),
    Operation("SendMessages", 2, lambda s: {
        "sendMessages.data.0.message.status": "QUEUED", "sendMessages.data.1.error.code": "phone_number_invalid"},
              lambda s: {"input": {"messages": [{"to": "+12125550101", "body": "A"}, {"to": "+1abc", "body": "B"}]}}),
    Operation("CancelMessage", 2, lambda s: {"cancelMessage.id": s.scheduled, "cancelMessage.status": "CANCELED"},
              lambda s: {"id": s.scheduled}),
    Operation("PreviewMessage", 4, lambda s: {
        "messagePreview.body": "Hi Maria \u201cfriend\u201d", "messagePreview.encoding": "UCS2",
        "messagePreview.characters.0.replacement": '"', "messagePreview.refusal": None},
              lambda s: {"input": {"to": "+12125550101", "body": "Hi {firstName} \u201cfriend\u201d"}}),
    Operation("Campaigns", 3, lambda s: {
        "campaigns.nodes.0.id": s.paused, "campaigns.nodes.0.pauseReason": "manual",
        "campaigns.nodes.1.stats.recipients": 0, "campaigns.totalCount": 2}),
    Operation("Campaign", 7, lambda s: {
        "campaign.id": s.campaign, "campaign.audience.lists.0.contactCount": 2, "campaign.audience.segment": None,
        "campaign.failures": [], "campaign.events": [], "campaign.messages.totalCount": 0,
        "campaign.quietHours": False},
              lambda s: {"id": s.campaign}),
    Operation("CreateCampaign", 6, lambda s: {
        "createCampaign.__typename": "Campaign", "createCampaign.name": "Launch",
        "createCampaign.status": "PREPARING"},
              lambda s: {"input": {"name": "Launch", "body": "Hey", AUDIENCE: {"listIds": [s.contact_list]}}}),
    Operation("PreviewCampaign", 5, lambda s: {
        "campaignPreview.recipientCount": 2, "campaignPreview.credits": {"total": 2, "minimum": 1, "maximum": 1},
        "campaignPreview.encodings": {"gsm7": 2, "ucs2": 0}, "campaignPreview.exact": True},
              lambda s: {"input": {"body": "Hey {firstName}", AUDIENCE: {"listIds": [s.contact_list]}}}),
    Operation("PreflightCampaign", 6, lambda s: {
        "preflightCampaign.recipientCount": 2, "preflightCampaign.cost": {"lowest": 2, "expected": 2, "highest": 2}},
              lambda s: {"input": {"body": "Hey {firstName}", AUDIENCE: {"listIds": [s.contact_list]}}}),
    Operation("PauseCampaign", 3, lambda s: {"pauseCampaign.id": s.campaign, "pauseCampaign.pauseReason": "manual"},
              lambda s: {"id": s.campaign}),
    Operation("ResumeCampaign", 5, lambda s: {"resumeCampaign.id": s.paused, "resumeCampaign.status": "SCHEDULED"},
              lambda s: {"id": s.paused}),
    Operation("CancelCampaign", 3, lambda s: {"cancelCampaign.id": s.campaign, "cancelCampaign.status": "CANCELED"},
              lambda s: {"id": s.campaign}),
    Operation("Contacts", 6, lambda s: {
        "contacts.nodes.0.id": s.maria, "contacts.nodes.0.lists.nodes.0.id": s.contact_list,
        "contacts.nodes.0.attributes": {"tier": "vip"}, "contacts.totalCount": 1},
              lambda s: {"filter": {"q": "mari", "optInStatus": "OPTED_IN", "listId": s.contact_list}}),
    Operation("Contact", 7, lambda s: {
        "contact.id": s.maria, "contact.phone": "+12125550101", "contact.lists.totalCount": 1,
        "contact.messages.nodes.0.id": s.message, "contact.consentHistory.totalCount": 0},
              lambda s: {"id": s.maria}),
    Operation("CreateContact", 11, lambda s: {
        "createContact.phone": "+12125550199",
        "createContact.optIn": {"status": "OPTED_IN", "source": "checkout", "ip": "203.0.113.4"}},
              lambda s: {"input": {"phone": "+12125550199", "firstName": "Eva",
                                   "optIn": {"source": "checkout", "ip": "203.0.113.4"}}}),
    Operation("ImportContacts", 15, lambda s: {
        "importContacts": {
            "__typename": "ContactsImported", "created": 1, "updated": 1, "unchanged": 0, "duplicates": 1,
            "addedToList": 1, "optedIn": 1, "pending": 0, "optedOut": 0,
            "invalid": [{"index": 3, "code": "email_invalid", "message": "The e-mail address is not valid.",
                         "param": "contacts[3].email"}]}},
              lambda s: {"input": {
                  "contacts": [{"phone": "(212) 555-0198", "firstName": "Eva"},
                               {"phone": "+12125550198", "lastName": "Reis"},
                               {"phone": "+12125550101", "timezone": "Europe/Lisbon"},
                               {"phone": "+12125550197", "email": "eva"}],
                  "listId": s.contact_list, "optIn": {"source": "webinar"}, "defaultRegion": "US"}}),
    Operation("UpdateContact", 3, lambda s: {
        "updateContact.lastName": "Silva", "updateContact.email": None,
        "updateContact.attributes": {"city": "Porto"}},
              lambda s: {"id": s.maria, "input": {"lastName": "Silva", "email": None,
                                                  "attributes": {"tier": None, "city": "Porto"}}}),
    Operation("OptOutContact", 11, lambda s: {
        "optOutContact.optIn.status": "OPTED_OUT",
        "optOutContact.consentHistory.nodes": [{"status": "OPTED_OUT", "source": "api"}]},
              lambda s: {"id": s.ana}),
    Operation("MarkContactReachable", 1, lambda s: {"markContactReachable.unreachable": None}, lambda s: {"id": s.ana}),
    Operation("DeleteContact", 6, lambda s: {"deleteContact": {"__typename": "Deleted", "id": s.spare}},
              lambda s: {"id": s.spare}),
    Operation("ContactLists", 2, lambda s: {
        "contactLists.nodes.0.id": s.contact_list, "contactLists.nodes.0.contactCount": 2,
        "contactLists.totalCount": 1}),
    Operation("ContactList", 3, lambda s: {
        "contactList.id": s.contact_list, "contactList.members.nodes.0.id": s.ana,
        "contactList.members.totalCount": 2}, lambda s: {"id": s.contact_list}),
    Operation("CreateList", 1, lambda s: {"createList.name": "Cohort 07", "createList.contactCount": 0},
              lambda s: {"name": "Cohort 07"}),
    Operation("UpdateList", 2, lambda s: {"updateList.name": "Cohort 06, closed"},
              lambda s: {"id": s.contact_list, "name": "Cohort 06, closed"}),
    Operation("DeleteList", 5, lambda s: {"deleteList.id": s.contact_list}, lambda s: {"id": s.contact_list}),
    Operation("AddContactsToList", 5, lambda s: {
        "addContactsToList.added": 1, "addContactsToList.alreadyMembers": 1,
        "addContactsToList.notFound": ["con_1"], "addContactsToList.contactList.contactCount": 3},
              lambda s: {"id": s.contact_list, "contactIds": [s.spare, s.ana, "con_1"]}),
    Operation("RemoveContactFromList", 4, lambda s: {"removeContactFromList.contactCount": 1},
              lambda s: {"id": s.contact_list, "contactId": s.ana}),
    Operation("MessageTemplates", 2, lambda s: {
        "messageTemplates.nodes.0.id": s.template, "messageTemplates.nodes.0.snippets": ["signature"],
        "messageTemplates.totalCount": 1}, lambda s: {"q": "clos", "archived": False}),
    Operation("MessageTemplate", 1, lambda s: {
        "messageTemplate.name": "Close", "messageTemplate.variables": ["first_name"]}, lambda s: {"id": s.template}),
    Operation("CreateMessageTemplate", 2, lambda s: {
        "createMessageTemplate.name": "Open", "createMessageTemplate.tags": ["launch"]},
              lambda s: {"input": {"name": "Open", "body": "Doors open", "tags": ["Launch"]}}),
    Operation("UpdateMessageTemplate", 3, lambda s: {"updateMessageTemplate.name": "Last call"},
              lambda s: {"id": s.template, "input": {"name": "Last call"}}),
    Operation("DeleteMessageTemplate", 3, lambda s: {"deleteMessageTemplate.id": s.template},
              lambda s: {"id": s.template}),
    Operation("Snippets", 2, lambda s: {"snippets.nodes.0.id": s.snippet, "snippets.totalCount": 1},
              lambda s: {"name": "signature"}),
    Operation("Snippet", 1, lambda s: {"snippet.body": "Ana"}, lambda s: {"id": s.snippet}),
    Operation("CreateSnippet", 1, lambda s: {"createSnippet.name": "address"},
              lambda s: {"input": {"name": "address", "body": "cohortlabs.co"}}),
    Operation("UpdateSnippet", 2, lambda s: {"updateSnippet.body": "Ana, Cohort Labs"},
              lambda s: {"id": s.snippet, "input": {"body": "Ana, Cohort Labs"}}),
    Operation("DeleteSnippet", 2, lambda s: {"deleteSnippet.id": s.snippet}, lambda s: {"id": s.snippet}),
    Operation("Sequences", 4, lambda s: {
        "sequences.nodes.0.id": s.draft_sequence, "sequences.nodes.2.stats.inside": 1, "sequences.totalCount": 3}),
    Operation("Sequence", 3, lambda s: {
        "sequence.steps.0.key": "hello", "sequence.hasChanges": False, "sequence.stats.entered": 1},
              lambda s: {"id": s.sequence}),
    Operation("SequenceStats", 7, lambda s: {
        "sequenceStats.stats.inside": 1, "sequenceStats.steps.0.key": "hello", "sequenceStats.steps.0.waiting": 1},
              lambda s: {"id": s.sequence}),
    Operation("Enrollments", 6, lambda s: {
        "enrollments.nodes.0.id": s.enrollment, "enrollments.nodes.0.contact.id": s.maria,
        "enrollments.totalCount": 1}, lambda s: {"id": s.sequence, "state": "ACTIVE", "contactId": s.maria}),
    Operation("Enrollment", 2, lambda s: {
        "enrollment.sequenceId": s.sequence, "enrollment.contactId": s.maria, "enrollment.state": "ACTIVE",
        "enrollment.step": "hello"}, lambda s: {"id": s.enrollment}),
    Operation("CreateSequence", 1, lambda s: {
        "createSequence.status": "DRAFT", "createSequence.steps.0.key": "day_1"},
              lambda s: {"input": {"name": "Challenge", "template": "CHALLENGE"}}),
    Operation("UpdateSequence", 3, lambda s: {"updateSequence.name": "Hello", "updateSequence.steps.0.key": "a"},
              lambda s: {"id": s.draft_sequence, "input": {"name": "Hello", "steps": [{"key": "a", "body": "Hi"}]}}),
    Operation("DeleteSequence", 2, lambda s: {"deleteSequence.id": s.draft_sequence},
              lambda s: {"id": s.draft_sequence}),
    Operation("PublishSequence", 14, lambda s: {
        "publishSequence.status": "ACTIVE", "publishSequence.publishedVersion": 1}, lambda s: {"id": s.draft_sequence}),
    Operation("PauseSequence", 12, lambda s: {"pauseSequence.status": "PAUSED"}, lambda s: {"id": s.sequence}),
    Operation("ResumeSequence", 9, lambda s: {"resumeSequence.status": "ACTIVE"}, lambda s: {"id": s.paused_sequence}),
    Operation("ArchiveSequence", 13, lambda s: {"archiveSequence.status": "ARCHIVED"}, lambda s: {"id": s.sequence}),
    Operation("EnrollContact", 6, lambda s: {
        "enrollContact.contactId": s.ana, "enrollContact.state": "ACTIVE", "enrollContact.step": "hello"},
              lambda s: {"id": s.sequence, "input": {"contactId": s.ana}}),
    Operation("RemoveEnrollment", 6, lambda s: {
        "removeEnrollment.state": "LEFT", "removeEnrollment.reason": "REMOVED"},
              lambda s: {"id": s.sequence, "enrollmentId": s.enrollment}),
    Operation("OrderHooks", 2, lambda s: {"orderHooks.nodes.0.id": s.order_hook, "orderHooks.totalCount": 1}),
    Operation("CreateOrderHook", 3, lambda s: {
        "createOrderHook.orderHook.type": "stripe", "createOrderHook.orderHook.hasSecret": True},
              lambda s: {"input": {"type": "stripe", "signingSecret": "whsec_12345678"}}),
    Operation("UpdateOrderHook", 3, lambda s: {"updateOrderHook.name": "Shop"},
              lambda s: {"id": s.order_hook, "input": {"name": "Shop"}}),
    Operation("DeleteOrderHook", 3, lambda s: {"deleteOrderHook.id": s.order_hook}, lambda s: {"id": s.order_hook}),
    Operation("Conversions", 3, lambda s: {
        "conversions.nodes.0.id": s.conversion, "conversions.nodes.0.contact.id": s.maria,
        "conversions.nodes.0.value": 14900, "conversions.nodes.0.attributed": None, "conversions.totalCount": 1},
              lambda s: {"contactId": s.maria}),
    Operation("Conversion", 1, lambda s: {
        "conversion.orderId": "1042", "conversion.contactId": s.maria, "conversion.source": "API"},
              lambda s: {"id": s.conversion}),
    Operation("ConversionTotals", 1, lambda s: {
        "conversionTotals.currencies.0.currency": "USD", "conversionTotals.currencies.0.net": 14900}),
    Operation("ConversionActivity", 2, lambda s: {
        "conversionActivity.-1.currencies.0.currency": "USD", "conversionActivity.-1.currencies.0.net": 14900},
              lambda s: {"since": ago(days=3), "until": ago(hours=0)}),
    Operation("CreateConversion", 5, lambda s: {
        "createConversion.contactId": s.ana, "createConversion.value": 0, "createConversion.attributed": None},
              lambda s: {"input": {"contactId": s.ana, "orderId": "7", "value": 0, "currency": "EUR"}}),
    Operation("RefundConversion", 3, lambda s: {"refundConversion.refundedValue": 14900},
              lambda s: {"id": s.conversion, "input": {}}),
    Operation("JoinKeywords", 3, lambda s: {
        "joinKeywords.nodes.0.id": s.keyword, "joinKeywords.nodes.0.contactList.id": s.contact_list,
        "joinKeywords.totalCount": 1}, lambda s: {"listId": s.contact_list}),
    Operation("JoinKeyword", 2, lambda s: {"joinKeyword.word": "COHORT6", "joinKeyword.reply": None},
              lambda s: {"id": s.keyword}),
    Operation("CreateJoinKeyword", 3, lambda s: {
        "createJoinKeyword.word": "VIP list", "createJoinKeyword.reply": "Welcome",
        "createJoinKeyword.contactList.id": s.contact_list},
              lambda s: {"input": {"word": "VIP list", "listId": s.contact_list, "reply": "Welcome"}}),
    Operation("UpdateJoinKeyword", 3, lambda s: {"updateJoinKeyword.word": "COHORT7", "updateJoinKeyword.reply": None},
              lambda s: {"id": s.keyword, "input": {"word": "COHORT7"}}),
    Operation("DeleteJoinKeyword", 2, lambda s: {"deleteJoinKeyword.id": s.keyword}, lambda s: {"id": s.keyword}),
    Operation("Segments", 2, lambda s: {"segments.nodes.0.id": s.segment, "segments.nodes.0.contactCount": 1}),
    Operation("Segment", 2, lambda s: {"segment.filter": VIP, "segment.contactCount": 1}, lambda s: {"id": s.segment}),
    Operation("SegmentPreview", 2, lambda s: {"segmentPreview": 2}, lambda s: {"filter": {"list": s.contact_list}}),
    Operation("CreateSegment", 3, lambda s: {"createSegment.name": "On the list", "createSegment.contactCount": 2},
              lambda s: {"name": "On the list", "filter": {"list": s.contact_list}}),
    Operation("UpdateSegment", 3, lambda s: {"updateSegment.name": "Very", "updateSegment.contactCount": 1},
              lambda s: {"id": s.segment, "name": "Very"}),
    Operation("DeleteSegment", 2, lambda s: {"deleteSegment.id": s.segment}, lambda s: {"id": s.segment}),
    Operation("Credits", 5, lambda s: {
        "credits.balance": 10_000, "credits.ledger.nodes.0.kind": "GRANT", "credits.ledger.nodes.0.amount": 10_000,
        "credits.ledger.totalCount": 1, "credits.estimatedRunwayDays": None}),
    Operation("Inbox", 4, lambda s: {
        "inboundMessages.nodes.0.id": s.inbound, "inboundMessages.nodes.0.contact.id": s.maria,
        "inboundMessages.totalCount": 1}, lambda s: {"contactId": s.maria}),
    Operation("Senders", 2, lambda s: {
        "senders.totalCount": 1, "senders.nodes.0.id": s.sender, "senders.nodes.0.value": "+12125550100",
        "senders.nodes.0.kind": "LONG_CODE", "senders.nodes.0.registration": "C0HORT"}, lambda s: {"first": 10}),
    Operation("Sender", 1, lambda s: {"sender.value": "+12125550100", "sender.regions": ["US"]},
              lambda s: {"id": s.sender}),
    Operation("FlaggedInbound", 2, lambda s: {"inboundMessages.nodes": [], "inboundMessages.totalCount": 0}),
    Operation("UnflagInboundMessage", 2, lambda s: {
        "unflagInboundMessage.id": s.inbound, "unflagInboundMessage.isFlagged": False,
        "unflagInboundMessage.intent": None}, lambda s: {"id": s.inbound}),
    Operation("InboundMessage", 1, lambda s: {"inboundMessage.from": "+12125550101", "inboundMessage.keyword": None},
              lambda s: {"id": s.inbound}),
    Operation("SimulateReply", 19, lambda s: {
        "simulateReply.keyword": "STOP", "simulateReply.contact.optIn.status": "OPTED_OUT"},
              lambda s: {"input": {"from": "+12125550103", "body": "stop"}}),
    Operation("TestClock", 2, lambda s: {"testClock": None, "testCarrier": None}),
    Operation("CreateTestClock", 2, lambda s: {
        "createTestClock.status": "ADVANCING", "createTestClock.advancingTo": "2031-03-03T09:00:00Z"},
              lambda s: {"input": {"now": "2031-03-03T09:00:00Z"}}),
    Operation("AdvanceTestClock", 1, lambda s: {"advanceTestClock.code": "resource_missing"},
              lambda s: {"input": {"bySeconds": 60}}),
    Operation("DeleteTestClock", 1, lambda s: {"deleteTestClock.code": "resource_missing"}),
    Operation("ScriptTestCarrier", 1, lambda s: {"scriptTestCarrier.loss": 0.1, "scriptTestCarrier.seed": 7},
              lambda s: {"input": {"seed": 7, "loss": 0.1}}),
    Operation("DeleteTestCarrier", 1, lambda s: {"deleteTestCarrier.code": "resource_missing"}),
    Operation("Webhooks", 3, lambda s: {
        "webhooks.nodes.0.id": s.webhook, "webhooks.nodes.0.events": ["MESSAGE_QUEUED"],
        "webhooks.nodes.0.attempts.nodes.0.id": s.attempt, "webhooks.totalCount": 1}),
    Operation("Webhook", 8, lambda s: {
        "webhook.enabled": True, "webhook.health.status": "HEALTHY", "webhook.sentEvents": [],
        "webhook.attempts.nodes.0.event.type": "MESSAGE_QUEUED",
        "webhook.attempts.nodes.0.statusCode": 500}, lambda s: {"id": s.webhook}),
    Operation("CreateWebhook", 4, lambda s: {
        "createWebhook.webhook.everyEvent": True, "createWebhook.webhook.events": [],
        "createWebhook.secret": "whsec_0123456789abcdef"},
              lambda s: {"input": {"url": "https://hooks.cohortlabs.co/all", "everyEvent": True,
                                   "secret": "whsec_0123456789abcdef"}}),
    Operation("UpdateWebhook", 3, lambda s: {
        "updateWebhook.events": ["CONTACT_OPTED_OUT"], "updateWebhook.enabled": False},
              lambda s: {"id": s.webhook, "input": {"events": ["CONTACT_OPTED_OUT"], "enabled": False}}),
    Operation("DeleteWebhook", 5, lambda s: {"deleteWebhook.id": s.webhook}, lambda s: {"id": s.webhook}),
    Operation("RotateWebhookSecret", 3, lambda s: {
        "rotateWebhookSecret.__typename": "WebhookWithSecret", "rotateWebhookSecret.webhook.id": s.webhook},
              lambda s: {"id": s.webhook}),
    Operation("TestWebhook", 3, lambda s: {"testWebhook.type": "TEST_PING"}, lambda s: {"id": s.webhook}),
    Operation("RecoverWebhook", 3, lambda s: {"recoverWebhook.deliveryCount": 0},
              lambda s: {"id": s.webhook, "since": ago(hours=1)}),
    Operation("Events", 3, lambda s: {
        "events.nodes.0.id": s.event, "events.nodes.0.resource": {"__typename": "Message", "id": s.message},
        "events.totalCount": 1}, lambda s: {"type": "MESSAGE_QUEUED"}),
    Operation("Event", 1, lambda s: {"event.data.id": s.message, "event.data.object": "message"},
              lambda s: {"id": s.event}),
    Operation("ResendEvent", 2, lambda s: {"resendEvent.deliveryCount": 1}, lambda s: {"id": s.event}),
    Operation("ApiKeys", 1, lambda s: {"apiKeys.1.id": s.api_key, "apiKeys.1.name": "Backend"}),
    Operation("ApiKey", 1, lambda s: {"apiKey.name": "Backend"}, lambda s: {"id": s.api_key}),
    Operation("CreateApiKey", 2, lambda s: {"createApiKey.apiKey.name": "CRM"},
              lambda s: {"name": "CRM"}, by_owner=True),
    Operation("RollApiKey", 4, lambda s: {"rollApiKey.apiKey.name": "Backend"},
              lambda s: {"id": s.api_key}, by_owner=True),
    Operation("RevokeApiKey", 3, lambda s: {"revokeApiKey.id": s.api_key}, lambda s: {"id": s.api_key}, by_owner=True),
    Operation("Settings", 4, lambda s: {
        "workspace.id": s.workspace, "workspace.quietHours": False, "credits.lowBalanceThreshold": 1000}),
    Operation("UpdateSettings", 6, lambda s: {
        "updateWorkspace.timezone": "America/New_York", "updateWorkspace.blockedRegions": ["BR"]},
              lambda s: {"input": {"timezone": "America/New_York", "blockedRegions": ["BR"],
                                   "lowBalanceThreshold": 500}}),
    Operation("Handsets", 5, lambda s: {"handsets.0.optedOut": False}),
    Operation("Handset", 4, lambda s: {
        "handset.phone": "+14155550123", "handset.optedOut": False,
        "handsetMessages.pageInfo.hasNextPage": False}, lambda s: {"phone": "+14155550123"}),
    Operation("SandboxNumbers", 0, lambda s: {"sandboxNumbers.0.phone": "+14155550101"}),
    Operation("Node", 1, lambda s: {"node": {"__typename": "Segment", "id": s.segment, "name": "VIP"}},
              lambda s: {"id": s.segment}),
    Operation("Nodes", 3, lambda s: {"nodes": [
        {"__typename": "Contact", "id": s.maria}, None, {"__typename": "Message", "id": s.message},
        {"__typename": "Contact", "id": s.ana}, {"__typename": "Workspace", "id": s.workspace}]},
              lambda s: {"ids": [s.maria, "con_1", s.message, s.ana, s.workspace]}),
    Operation("ApproveCampaign", 2, lambda s: {
        "approveCampaign.__typename": "ConflictError", "approveCampaign.code": "approval_decided"},
              lambda s: {"id": s.campaign, "input": {"version": "0"}}, by_owner=True),
    Operation("RejectCampaign", 2, lambda s: {
        "rejectCampaign.__typename": "ConflictError", "rejectCampaign.code": "approval_decided"},
              lambda s: {"id": s.campaign, "input": {"version": "0", "comment": "Wrong list."}}, by_owner=True),
    Operation("RequestCampaignApproval", 1, lambda s: {
        "requestCampaignApproval.__typename": "ConflictError", "requestCampaignApproval.code": "approval_decided"},
              lambda s: {"id": s.campaign}),
    Operation("ArchiveCampaign", 1, lambda s: {
        "archiveCampaign.__typename": "ConflictError", "archiveCampaign.code": "campaign_not_ended"},
              lambda s: {"id": s.campaign}),
    Operation("UnarchiveCampaign", 1, lambda s: {"unarchiveCampaign.id": s.campaign,
                                                 "unarchiveCampaign.archivedAt": None},
              lambda s: {"id": s.campaign}),
    Operation("CampaignAbTest", 2, lambda s: {
        "campaign.abTest.metric": "DELIVERY", "campaign.abTest.winner": None, "campaign.abTest.leader": "A",
        "campaign.abTest.variants.0.body": "Hey {firstName|there}", "campaign.abTest.variants.1.body": "Hey you",
        "campaign.abTest.variants.1.stats": {"recipients": 0, "delivered": 0, "failed": 0, "creditsUsed": 0},
        "campaign.abTest.significance.enough": False},
              lambda s: {"id": s.draft}),
    Operation("ChooseWinner", 3, lambda s: {
        "chooseWinner.__typename": "ConflictError", "chooseWinner.code": "ab_test_state"},
              lambda s: {"id": s.draft, "variant": "B"}),
    Operation("CampaignLinks", 1, lambda s: {"campaignLinks": []}, lambda s: {"id": s.campaign}),
    Operation(
        "CampaignReconciliation",
        4,
        lambda s: {
            "campaignReconciliation.recipients": 0,
            "campaignReconciliation.balanced": True,
            "campaignReconciliation.checks.0.ok": True,
        },
        lambda s: {"id": s.campaign},
    ),
    Operation(
        "MemberHoldings", 5,
        lambda s: {
            "memberHoldings.apiKeys": [],
            "memberHoldings.webhooks": [],
            "memberHoldings.invitations": [],
            "memberHoldings.syncedLists": [],
        },
        lambda s: {"id": s.member}, by_owner=True,
    ),
    Operation(
        "Members",
        2,
        lambda s: {"members.0.id": s.owner, "members.1.role": "MEMBER", "invitations.0.id": s.invitation},
        by_owner=True,
    ),
    Operation(
        "InviteMember",
        7,
        lambda s: {"inviteMember.invitation.email": "eva@cohortlabs.co", "inviteMember.invitation.role": "READ_ONLY"},
        lambda s: {"email": "Eva@cohortlabs.co", "role": "READ_ONLY"},
        by_owner=True,
    ),
    Operation(
        "ResendInvitation",
        4,
        lambda s: {"resendInvitation.id": s.invitation},
        lambda s: {"id": s.invitation},
        by_owner=True,
    ),
    Operation(
        "RevokeInvitation",
        3,
        lambda s: {"revokeInvitation.id": s.invitation},
        lambda s: {"id": s.invitation},
        by_owner=True,
    ),
    Operation(
        "ChangeMemberRole",
        5,
        lambda s: {"changeMemberRole": {"__typename": "Member", "id": s.member, "role": "ADMIN"}},
        lambda s: {"id": s.member, "role": "ADMIN"},
        by_owner=True,
    ),
    Operation(
        "RemoveMember", 5, lambda s: {"removeMember.id": s.member}, lambda s: {"id": s.member}, by_owner=True
    ),
    Operation(
        "AuditLog",
        2,
        lambda s: {
            "auditLog.nodes.0.actor": s.owner,
            "auditLog.nodes.0.resourceId": s.invitation,
            "auditLog.totalCount": 1,
        },
        lambda s: {"filter": {"action": "MEMBER_INVITED"}},
        by_owner=True,
    ),
)  # fmt: skip

# These need an authenticator app or a passkey: test_second_steps.py runs each.
SECOND_STEPS = (
    "AddPasskey",
    "BeginPasskey",
    "BeginPasskeyConfirmation",
    "BeginPasskeyLogin",
    "BeginTotp",
    "ConfirmTotp",
    "LogInWithCode",
    "LogInWithPasskey",
    "MakeRecoveryCodes",
    "RemovePasskey",
    "RemoveTotp",
    "RenamePasskey",
    "RequireSecondFactor",
    "SecondFactors",
)
# Documents that test_statements.py counts: they need a browser, or answer more than once.
RUN_ELSEWHERE = (
    "AcceptInvitation",
    "AuthenticationLog",
    "CampaignProgress",
    "CancelWorkspaceDeletion",
    "ChangeEmail",
    "ChangePassword",
    "ConfirmEmail",
    "CreateWorkspace",
    "DeleteWorkspace",
    "EndSession",
    "EventTail",
    "ExportProgress",
    "ImportProgress",
    "ListSyncProgress",
    "InvitationPreview",
    "LeaveWorkspace",
    "LogIn",
    "LogOut",
    "NewNotifications",
    "NewReplies",
    "RequestPasswordReset",
    "ResendConfirmation",
    "ResetPassword",
    "Sessions",
    "SignUp",
    "TransferOwnership",
    "UpdateProfile",
    "Viewer",
    *SECOND_STEPS,
)
