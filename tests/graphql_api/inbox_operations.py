"""The operations of the inbox, of drafts and of timelines, as those beside them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.graphql_api.operations import Operation


def ahead(**by: float) -> str:
    """A time to come."""
    return (datetime.now(UTC) + timedelta(**by)).strftime("%Y-%m-%dT%H:%M:%SZ")


def of_list(scene: Any) -> dict[str, object]:
    """The variables that name a list."""
    return {"id": scene.contact_list}


AT = ahead(days=3)

INBOX_OPERATIONS = (
    Operation(
        "AuditEntry",
        1,
        lambda s: {"auditEntry.action": "MEMBER_INVITED", "auditEntry.resourceId": s.invitation},
        lambda s: {"id": s.audit_entry},
        by_owner=True,
    ),
    Operation(
        "MessageTimeline",
        5,
        lambda s: {
            "message.timeline.0.kind": "STATE",
            "message.timeline.0.status": "QUEUED",
            "message.timeline.1.kind": "EVENT",
            "message.timeline.1.eventType": "MESSAGE_QUEUED",
        },
        lambda s: {"id": s.message},
    ),
    Operation(
        "ExplainMessage",
        11,
        lambda s: {
            "explainMessage.kind": "API",
            "explainMessage.message.id": s.message,
            "explainMessage.consent.currentStatus": "OPTED_IN",
            "explainMessage.consent.contact.id": s.maria,
            "explainMessage.encoding.forcedBy": [],
            "explainMessage.sender.source": "workspace_default",
            "explainMessage.quietHours": None,
        },
        lambda s: {"id": s.message},
    ),
    Operation(
        "InboxThreads",
        5,
        lambda s: {
            "inboxThreads.nodes.0.contact.id": s.maria,
            "inboxThreads.nodes.0.lastReply.id": s.inbound,
            "inboxThreads.nodes.0.lastMessage.id": s.message,
            "inboxThreads.nodes.0.unreadCount": 1,
            "inboxThreads.totalCount": 1,
            "inboxThreads.pageInfo.endCursor": s.inbound,
        },
        lambda s: {"unread": True, "waiting": True},
    ),
    Operation(
        "InboxThread",
        9,
        lambda s: {
            "inboxThread.waiting": True,
            "threadMessages.nodes.0.inbound.id": s.inbound,
            "threadMessages.nodes.0.message": None,
            "threadMessages.nodes.1.message.id": s.message,
            "threadMessages.totalCount": 2,
            "threadMessages.pageInfo.endCursor": s.message,
        },
        lambda s: {"contactId": s.maria},
    ),
    Operation(
        "AnswerThread",
        9,
        lambda s: {"answerThread.body": "At 8, Maria", "answerThread.from": "MASSIVESMS"},
        lambda s: {"contactId": s.maria, "input": {"body": "At 8, {firstName}"}, "key": "answer"},
    ),
    Operation(
        "MarkThreadRead",
        5,
        lambda s: {"markThreadRead.unreadCount": 0, "markThreadRead.lastReply.id": s.inbound},
        lambda s: {"contactId": s.maria, "until": s.inbound},
    ),
    Operation(
        "MarkThreadUnread",
        5,
        lambda s: {"markThreadUnread.unreadCount": 1, "markThreadUnread.lastReply.readAt": None},
        lambda s: {"contactId": s.maria},
    ),
    Operation(
        "AssignThread",
        14,
        lambda s: {"assignThread.assigneeId": s.member, "assignThread.waiting": True},
        lambda s: {"contactId": s.maria, "userId": s.member},
    ),
    Operation(
        "AddNote",
        2,
        lambda s: {"addNote.__typename": "ContactNote", "addNote.body": "Call on Friday."},
        lambda s: {"contactId": s.maria, "body": "Call on Friday."},
    ),
    Operation(
        "ContactNotes",
        3,
        lambda s: {"contactNotes.nodes": [], "contactNotes.totalCount": 0},
        lambda s: {"contactId": s.maria},
    ),
    Operation(
        "DeleteNote",
        1,
        lambda s: {"deleteNote.__typename": "NotFoundError", "deleteNote.code": "resource_missing"},
        lambda s: {"id": "nte_01HYZ8K5VQAE2N0PWQ6DC9V8MP"},
    ),
    Operation(
        "SyncedList",
        3,
        lambda s: {"contactList.kind": "static", "contactList.source": None, "contactList.syncs.totalCount": 0},
        lambda s: {"id": s.contact_list},
    ),
    Operation("Connectors", 0, lambda s: {
        "connectors.0.type": "kit",
        "connectors.0.settings.0": {
            "name": "api_key",
            "label": "API key",
            "kind": "secret",
            "required": False,
            "help": "In Kit: Settings, Developer, V4 keys.",
            "example": None,
            "choices": [],
        },
        "connectors.-1.capabilities.reads": False,
    }),
    Operation("ListSync", 1, lambda s: {"listSync": None}, lambda s: {"id": "syn_01HYZ8K5VQAE2N0PWQ6DC9V8MP"}),
    Operation(
        "CreateSyncedList",
        6,
        lambda s: {
            "createList.kind": "synced",
            "createList.source.type": "hook",
            "createList.source.status": "ACTIVE",
        },
        lambda s: {"name": "Skool", "source": {"type": "hook", "settings": {}, "mapping": {"phone": "phone"}}},
    ),
    Operation(
        "UpdateListSource",
        2,
        lambda s: {"updateListSource.code": "list_not_synced"},
        lambda s: {"id": s.contact_list, "input": {"removal": "stay"}},
    ),
    *(
        Operation(
            name, 2, lambda s, name=name: {f"{name[0].lower()}{name[1:]}.code": "list_not_synced"}, of_list
        )
        for name in ("SyncList", "ConfirmListSync", "PauseListSync", "ResumeListSync")
    ),
    Operation(
        "AuthorizeListSource", 2, lambda s: {"authorizeListSource.code": "list_not_synced"}, of_list, by_owner=True
    ),
    Operation(
        "GrantListSource",
        0,
        lambda s: {"grantListSource.code": "parameter_invalid", "grantListSource.param": "state"},
        lambda s: {"state": "state-1", "code": "code-1"},
        by_owner=True,
    ),
    Operation("DisconnectList", 2, lambda s: {"disconnectList.kind": "static"}, of_list),
    Operation("Tags", 2, lambda s: {"tags.nodes": [], "tags.totalCount": 0}),
    Operation(
        "TagContact",
        7,
        lambda s: {"tagContact.tags": ["vip", "webinar"]},
        lambda s: {"id": s.maria, "input": {"add": ["Webinar", "vip"], "remove": ["lead"]}},
    ),
    Operation(
        "MergeContacts",
        0,
        lambda s: {"mergeContacts.code": "parameter_invalid"},
        lambda s: {"id": s.maria, "input": {"contactId": s.maria, "dryRun": True}},
    ),
    Operation("BulkActions", 2, lambda s: {"bulkActions.nodes": [], "bulkActions.totalCount": 0}),
    Operation("BulkAction", 1, lambda s: {"bulkAction": None}, lambda s: {"id": "blk_01HYZ8K5VQAE2N0PWQ6DC9V8MP"}),
    Operation(
        "CreateBulkAction",
        4,
        lambda s: {
            "createBulkAction.status": "QUEUED",
            "createBulkAction.conditions": {"search": "maria", "tags": ["vip"]},
        },
        lambda s: {"input": {"action": "TAG", "search": "maria", "tags": ["vip"]}},
    ),
    Operation(
        "CancelBulkAction",
        1,
        lambda s: {"cancelBulkAction.code": "resource_missing"},
        lambda s: {"id": "blk_01HYZ8K5VQAE2N0PWQ6DC9V8MP"},
    ),
    Operation("Exports", 2, lambda s: {"exports.nodes": [], "exports.totalCount": 0}),
    Operation("Export", 1, lambda s: {"export": None}, lambda s: {"id": "exp_01HYZ8K5VQAE2N0PWQ6DC9V8MP"}),
    Operation(
        "CreateExport",
        3,
        lambda s: {"createExport.status": "QUEUED", "createExport.conditions": {"opt_in_status": "opted_in"}},
        lambda s: {"input": {"kind": "contacts", "optInStatus": "opted_in"}},
    ),
    Operation(
        "CancelExport",
        1,
        lambda s: {"cancelExport.code": "resource_missing"},
        lambda s: {"id": "exp_01HYZ8K5VQAE2N0PWQ6DC9V8MP"},
    ),
    Operation("ContactImports", 2, lambda s: {"contactImports.nodes": [], "contactImports.totalCount": 0}),
    Operation("ContactImport", 1, lambda s: {"contactImport": None},
              lambda s: {"id": "imp_01HYZ8K5VQAE2N0PWQ6DC9V8MP"}),
    Operation(
        "CreateImport",
        1,
        lambda s: {"createImport.status": "UPLOADING", "createImport.fileSize": 0},
        lambda s: {"input": {"fileName": "people.csv", "defaultRegion": "US"}},
    ),
    Operation(
        "AddImportPart",
        1,
        lambda s: {"addImportPart.code": "resource_missing"},
        lambda s: {"id": "imp_01HYZ8K5VQAE2N0PWQ6DC9V8MP", "input": {"offset": 0, "content": "cGhvbmU="}},
    ),
    Operation(
        "UpdateImport",
        1,
        lambda s: {"updateImport.code": "resource_missing"},
        lambda s: {"id": "imp_01HYZ8K5VQAE2N0PWQ6DC9V8MP", "input": {"update": "fill"}},
    ),
    Operation(
        "RunImport",
        1,
        lambda s: {"runImport.code": "resource_missing"},
        lambda s: {"id": "imp_01HYZ8K5VQAE2N0PWQ6DC9V8MP"},
    ),
    Operation(
        "CancelImport",
        1,
        lambda s: {"cancelImport.code": "resource_missing"},
        lambda s: {"id": "imp_01HYZ8K5VQAE2N0PWQ6DC9V8MP"},
    ),
    Operation(
        "UndoImport",
        1,
        lambda s: {"undoImport.code": "resource_missing"},
        lambda s: {"id": "imp_01HYZ8K5VQAE2N0PWQ6DC9V8MP"},
    ),
    Operation("CannedAnswers", 1, lambda s: {"cannedAnswers.nodes": []}),
    Operation("CannedAnswer", 1, lambda s: {"cannedAnswer": None},
              lambda s: {"id": "can_01HYZ8K5VQAE2N0PWQ6DC9V8MP"}),
    Operation(
        "CreateCannedAnswer",
        1,
        lambda s: {"createCannedAnswer.name": "Plan", "createCannedAnswer.body": "In three parts."},
        lambda s: {"input": {"name": "Plan", "body": "In three parts."}},
    ),
    Operation(
        "UpdateCannedAnswer",
        1,
        lambda s: {"updateCannedAnswer.code": "resource_missing"},
        lambda s: {"id": "can_01HYZ8K5VQAE2N0PWQ6DC9V8MP", "input": {"name": "Plan"}},
    ),
    Operation(
        "DeleteCannedAnswer",
        1,
        lambda s: {"deleteCannedAnswer.code": "resource_missing"},
        lambda s: {"id": "can_01HYZ8K5VQAE2N0PWQ6DC9V8MP"},
    ),
    Operation("SavedViews", 1, lambda s: {"savedViews": []}, lambda s: {"page": "CONTACTS"}, by_owner=True),
    Operation(
        "CreateSavedView",
        3,
        lambda s: {"createSavedView.name": "Agreed", "createSavedView.filters": {"consent": "OPTED_IN"}},
        lambda s: {"input": {"page": "CONTACTS", "name": "Agreed", "filters": {"consent": "OPTED_IN"}}},
        by_owner=True,
    ),
    Operation(
        "UpdateSavedView",
        1,
        lambda s: {"updateSavedView.code": "resource_missing"},
        lambda s: {"id": "vew_01HYZ8K5VQAE2N0PWQ6DC9V8MP", "input": {"name": "Agreed"}},
        by_owner=True,
    ),
    Operation(
        "DeleteSavedView",
        1,
        lambda s: {"deleteSavedView.code": "resource_missing"},
        lambda s: {"id": "vew_01HYZ8K5VQAE2N0PWQ6DC9V8MP"},
        by_owner=True,
    ),
    Operation("Notifications", 2, lambda s: {"notifications.nodes": [], "notifications.totalCount": 0}, by_owner=True),
    Operation(
        "NotificationMails",
        1,
        lambda s: {"notificationMails.0": {"kind": "CREDITS_LOW", "byMail": True}},
        by_owner=True,
    ),
    Operation(
        "MarkNotificationsRead",
        2,
        lambda s: {"markNotificationsRead": {"__typename": "NotificationsRead", "unreadCount": 0}},
        by_owner=True,
    ),
    Operation(
        "ChooseNotificationMail",
        2,
        lambda s: {"chooseNotificationMail.mails.1": {"kind": "CAMPAIGN_COMPLETED", "byMail": True}},
        lambda s: {"kinds": ["CAMPAIGN_COMPLETED"]},
        by_owner=True,
    ),
    Operation(
        "Search",
        12,
        lambda s: {
            "search.contacts.0.id": s.maria,
            "search.campaigns": [],
            "search.messages": [],
            "search.lists": [],
            "search.segments": [],
        },
        lambda s: {"q": "maria"},
    ),
    Operation("CreditPacks", 0, lambda s: {"creditPacks": []}),
    Operation("Checkouts", 2, lambda s: {"checkouts.nodes": [], "checkouts.totalCount": 0}),
    Operation("Checkout", 1, lambda s: {"checkout": None}, lambda s: {"id": "pur_01HYZ8K5VQAE2N0PWQ6DC9V8MP"}),
    Operation(
        "CreateCheckout",
        0,
        lambda s: {"createCheckout.__typename": "PermissionError", "createCheckout.code": "live_only"},
        lambda s: {"input": {"pack": "starter"}},
    ),
    Operation("CreditRates", 1, lambda s: {"creditRates": []}),
    Operation("AutoTopUp", 1, lambda s: {"autoTopUp.enabled": False, "autoTopUp.cardLast4": None}),
    Operation(
        "UpdateAutoTopUp",
        0,
        lambda s: {"updateAutoTopUp.__typename": "PermissionError", "updateAutoTopUp.code": "live_only"},
        lambda s: {"input": {"enabled": False}},
    ),
    Operation(
        "CreditPurchases",
        5,
        lambda s: {"credits.purchases.nodes.0.kind": "GRANT", "credits.purchases.totalCount": 1},
    ),
    Operation(
        "Drafts",
        2,
        lambda s: {
            "campaigns.nodes.0.id": s.draft,
            "campaigns.nodes.0.audience.listIds": [s.contact_list],
            "campaigns.totalCount": 1,
        },
    ),
    Operation(
        "UpdateCampaign",
        7,
        lambda s: {
            "updateCampaign.name": "Doors",
            "updateCampaign.audience": {"listIds": [], "contactIds": [s.ana]},
            "updateCampaign.exclude": {"listIds": [s.contact_list], "messagedWithinDays": 3},
            "updateCampaign.quietHours": True,
            "updateCampaign.scheduledAt": AT,
        },
        lambda s: {
            "id": s.campaign,
            "input": {
                "name": "Doors",
                "audience": {"contactIds": [s.ana]},
                "exclude": {"listIds": [s.contact_list], "messagedWithinDays": 3},
                "quietHours": True,
                "scheduledAt": AT,
            },
        },
    ),
    Operation(
        "LaunchCampaign",
        6,
        lambda s: {"launchCampaign.id": s.draft, "launchCampaign.status": "SCHEDULED"},
        lambda s: {"id": s.draft, "scheduledAt": AT},
    ),
    Operation(
        "CloneCampaign",
        5,
        lambda s: {
            "cloneCampaign.name": "Copy of Cart close",
            "cloneCampaign.status": "DRAFT",
            "cloneCampaign.audience.listIds": [s.contact_list],
        },
        lambda s: {"id": s.campaign},
    ),
    Operation(
        "SendCampaignTest",
        3,
        lambda s: {
            "sendCampaignTest.messages.0.body": "Hey Maria",
            "sendCampaignTest.messages.0.metadata": {"test": "true", "campaign_id": s.draft},
        },
        lambda s: {"id": s.draft, "to": ["+12125550101"]},
    ),
    Operation("DeleteCampaign", 2, lambda s: {"deleteCampaign": {"__typename": "Deleted", "id": s.draft}},
              lambda s: {"id": s.draft}),
)  # fmt: skip
