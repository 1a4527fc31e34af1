"""The permission that each operation of /v1 requires, by operation id."""

from __future__ import annotations

from collections.abc import Mapping

from msvs.api.permissions import Permission

PERMISSIONS: Mapping[str, Permission] = {
    **dict.fromkeys(
        (
            *("listMessages", "retrieveMessage", "explainMessage", "retrieveMessageTimeline", "listMessageLinks"),
            *("listInbound", "retrieveInbound", "listInboxThreads", "retrieveInboxThread", "listInboxMessages"),
        ),
        Permission.MESSAGES_READ,
    ),
    # A preview shows what a message would say of the contact, and so takes what sending it takes.
    **dict.fromkeys(
        (
            *("createMessage", "createMessageBatch", "previewMessage", "cancelMessage"),
            *("answerInboxThread", "testCampaign"),
        ),
        Permission.MESSAGES_SEND,
    ),
    **dict.fromkeys(
        ("unflagInbound", "readInboxThread", "unreadInboxThread", "createTestInbound"), Permission.INBOX_WRITE
    ),
    **dict.fromkeys(("createTestClock", "advanceTestClock", "deleteTestClock"), Permission.WORKSPACE_WRITE),
    **dict.fromkeys(("scriptTestCarrier", "deleteTestCarrier"), Permission.WORKSPACE_WRITE),
    **dict.fromkeys(("retrieveTestClock", "retrieveTestCarrier"), Permission.WORKSPACE_READ),
    **dict.fromkeys(
        (
            *("listCampaigns", "retrieveCampaign", "listCampaignLinks", "retrieveAbTest", "reconcileCampaign"),
            *("listTemplates", "retrieveTemplate", "listSnippets", "retrieveSnippet"),
            *("listSequences", "retrieveSequence", "retrieveSequenceStats", "listEnrollments", "retrieveEnrollment"),
        ),
        Permission.CAMPAIGNS_READ,
    ),
    **dict.fromkeys(
        (
            *("preflightCampaign", "chooseWinner"),
            *("createCampaign", "previewCampaign", "updateCampaign", "deleteCampaign", "launchCampaign"),
            *("cloneCampaign", "cancelCampaign", "pauseCampaign", "resumeCampaign"),
            *("archiveCampaign", "unarchiveCampaign", "requestCampaignApproval"),
            *("createTemplate", "updateTemplate", "deleteTemplate"),
            *("createSnippet", "updateSnippet", "deleteSnippet"),
            *("createSequence", "updateSequence", "deleteSequence", "publishSequence", "pauseSequence"),
            *("resumeSequence", "archiveSequence", "createEnrollment", "removeEnrollment"),
        ),
        Permission.CAMPAIGNS_WRITE,
    ),
    **dict.fromkeys(
        (
            *(
                "listContacts",
                "listTags",
                "listBulkActions",
                "retrieveBulkAction",
                "retrieveContact",
                "listContactConsent",
                "exportContact",
                "listConsent",
            ),
            *("listSuppressions", "retrieveSuppression", "listLists", "retrieveList", "listListContacts"),
            *("listListSyncs", "listConnectors"),
            *("listImports", "retrieveImport", "listImportRows", "retrieveInvalidRows"),
            *("listKeywords", "retrieveKeyword", "previewSegment", "listSegments", "retrieveSegment"),
        ),
        Permission.CONTACTS_READ,
    ),
    **dict.fromkeys(
        (
            *("createContact", "importContacts", "updateContact", "deleteContact", "optOutContact"),
            *("markContactReachable", "tagContact", "mergeContacts", "createBulkAction", "cancelBulkAction"),
            *("createImport", "updateImport", "addImportPart", "runImport", "cancelImport", "undoImport"),
            *("createSuppression", "importSuppressions", "liftSuppression"),
            *("createList", "updateList", "deleteList", "addListContacts", "removeListContact"),
            *("updateListSource", "syncList", "confirmListSync", "pauseListSync", "resumeListSync", "disconnectList"),
            *("createKeyword", "updateKeyword", "deleteKeyword"),
            *("createSegment", "updateSegment", "deleteSegment"),
        ),
        Permission.CONTACTS_WRITE,
    ),
    **dict.fromkeys(("listConversions", "totalConversions", "retrieveConversion"), Permission.CONVERSIONS_READ),
    **dict.fromkeys(("createConversion", "refundConversion"), Permission.CONVERSIONS_WRITE),
    "eraseContact": Permission.CONTACTS_ERASE,
    **dict.fromkeys(("listExports", "retrieveExport"), Permission.EXPORTS_READ),
    **dict.fromkeys(("createExport", "cancelExport"), Permission.EXPORTS_WRITE),
    **dict.fromkeys(
        (
            *("retrieveCredits", "listLedger", "listCreditPurchases", "listCreditPacks"),
            *("listCheckouts", "retrieveCheckout", "retrieveAutoTopUp", "listCreditRates"),
        ),
        Permission.CREDITS_READ,
    ),
    **dict.fromkeys(("createCheckout", "updateAutoTopUp"), Permission.CREDITS_BUY),
    **dict.fromkeys(
        ("listWebhooks", "retrieveWebhook", "retrieveWebhookHealth", "listWebhookAttempts"), Permission.WEBHOOKS_READ
    ),
    **dict.fromkeys(
        (
            *("createWebhook", "updateWebhook", "deleteWebhook", "rotateWebhookSecret", "testWebhook"),
            *("recoverWebhook", "resendEvent"),
        ),
        Permission.WEBHOOKS_WRITE,
    ),
    **dict.fromkeys(("listEvents", "retrieveEvent"), Permission.EVENTS_READ),
    **dict.fromkeys(
        ("listSenders", "retrieveSender", "retrieveWorkspace", "listOrderHooks"), Permission.WORKSPACE_READ
    ),
    **dict.fromkeys(
        ("updateWorkspace", "createOrderHook", "updateOrderHook", "deleteOrderHook"), Permission.WORKSPACE_WRITE
    ),
    **dict.fromkeys(("listApiKeys", "retrieveApiKey"), Permission.KEYS_READ),
}
