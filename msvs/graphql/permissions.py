"""The permission that each mutation requires."""

from __future__ import annotations

from collections.abc import Mapping

from msvs.api.permissions import Permission

MUTATIONS: Mapping[str, Permission] = {
    **dict.fromkeys(("sendMessage", "sendMessages", "cancelMessage"), Permission.MESSAGES_SEND),
    **dict.fromkeys(("answerThread", "sendCampaignTest"), Permission.MESSAGES_SEND),
    **dict.fromkeys(("createCampaign", "pauseCampaign", "resumeCampaign"), Permission.CAMPAIGNS_WRITE),
    **dict.fromkeys(("cancelCampaign", "updateCampaign", "launchCampaign"), Permission.CAMPAIGNS_WRITE),
    **dict.fromkeys(("cloneCampaign", "deleteCampaign", "preflightCampaign"), Permission.CAMPAIGNS_WRITE),
    **dict.fromkeys(("archiveCampaign", "unarchiveCampaign"), Permission.CAMPAIGNS_WRITE),
    **dict.fromkeys(
        ("createMessageTemplate", "updateMessageTemplate", "deleteMessageTemplate"), Permission.CAMPAIGNS_WRITE
    ),
    **dict.fromkeys(("createSnippet", "updateSnippet", "deleteSnippet"), Permission.CAMPAIGNS_WRITE),
    "requestCampaignApproval": Permission.CAMPAIGNS_WRITE,
    **dict.fromkeys(("approveCampaign", "rejectCampaign"), Permission.CAMPAIGNS_APPROVE),
    "chooseWinner": Permission.CAMPAIGNS_WRITE,
    **dict.fromkeys(("createOrderHook", "updateOrderHook", "deleteOrderHook"), Permission.WORKSPACE_WRITE),
    **dict.fromkeys(("createConversion", "refundConversion"), Permission.CONVERSIONS_WRITE),
    **dict.fromkeys(("createSequence", "updateSequence", "deleteSequence"), Permission.CAMPAIGNS_WRITE),
    **dict.fromkeys(("publishSequence", "pauseSequence", "resumeSequence"), Permission.CAMPAIGNS_WRITE),
    **dict.fromkeys(("archiveSequence", "enrollContact", "removeEnrollment"), Permission.CAMPAIGNS_WRITE),
    **dict.fromkeys(("createContact", "updateContact", "optOutContact", "deleteContact"), Permission.CONTACTS_WRITE),
    "markContactReachable": Permission.CONTACTS_WRITE,
    **dict.fromkeys(
        ("importContacts", "tagContact", "mergeContacts", "createBulkAction", "cancelBulkAction"),
        Permission.CONTACTS_WRITE,
    ),
    **dict.fromkeys(("createImport", "addImportPart", "updateImport"), Permission.CONTACTS_WRITE),
    **dict.fromkeys(("runImport", "cancelImport", "undoImport"), Permission.CONTACTS_WRITE),
    **dict.fromkeys(("createExport", "cancelExport"), Permission.EXPORTS_WRITE),
    **dict.fromkeys(("createList", "updateList", "deleteList"), Permission.CONTACTS_WRITE),
    **dict.fromkeys(("updateListSource", "syncList", "confirmListSync"), Permission.CONTACTS_WRITE),
    **dict.fromkeys(("authorizeListSource", "grantListSource"), Permission.CONTACTS_WRITE),
    **dict.fromkeys(("pauseListSync", "resumeListSync", "disconnectList"), Permission.CONTACTS_WRITE),
    **dict.fromkeys(("addContactsToList", "removeContactFromList"), Permission.CONTACTS_WRITE),
    **dict.fromkeys(("createSuppression", "importSuppressions", "liftSuppression"), Permission.CONTACTS_WRITE),
    "eraseContact": Permission.CONTACTS_ERASE,
    **dict.fromkeys(("createJoinKeyword", "updateJoinKeyword", "deleteJoinKeyword"), Permission.CONTACTS_WRITE),
    **dict.fromkeys(("createSegment", "updateSegment", "deleteSegment"), Permission.CONTACTS_WRITE),
    **dict.fromkeys(
        ("markThreadRead", "markThreadUnread", "simulateReply", "unflagInboundMessage"), Permission.INBOX_WRITE
    ),
    **dict.fromkeys(("assignThread", "addNote", "deleteNote"), Permission.INBOX_WRITE),
    **dict.fromkeys(("createCannedAnswer", "updateCannedAnswer", "deleteCannedAnswer"), Permission.INBOX_WRITE),
    # The operations refuse keys.
    **dict.fromkeys(("createSavedView", "updateSavedView", "deleteSavedView"), Permission.CONTACTS_WRITE),
    **dict.fromkeys(("createWebhook", "updateWebhook", "deleteWebhook"), Permission.WEBHOOKS_WRITE),
    **dict.fromkeys(("rotateWebhookSecret", "testWebhook", "recoverWebhook", "resendEvent"), Permission.WEBHOOKS_WRITE),
    **dict.fromkeys(("createApiKey", "rollApiKey", "revokeApiKey"), Permission.KEYS_WRITE),
    "updateWorkspace": Permission.WORKSPACE_WRITE,
    **dict.fromkeys(("createTestClock", "advanceTestClock", "deleteTestClock"), Permission.WORKSPACE_WRITE),
    **dict.fromkeys(("scriptTestCarrier", "deleteTestCarrier"), Permission.WORKSPACE_WRITE),
    **dict.fromkeys(("createCheckout", "updateAutoTopUp"), Permission.CREDITS_BUY),
    **dict.fromkeys(
        ("inviteMember", "resendInvitation", "revokeInvitation", "changeMemberRole"), Permission.MEMBERS_WRITE
    ),
    # Those of the member who asks; the operation refuses keys.
    **dict.fromkeys(("markNotificationsRead", "chooseNotificationMail"), Permission.WORKSPACE_READ),
    # Anyone may take themselves; the operation sees to others.
    "removeMember": Permission.WORKSPACE_READ,
}

# What people do for themselves, regardless of their role; API keys may do none of it.
FOR_PEOPLE = frozenset(
    (
        *("signUp", "logIn", "logOut", "endSession", "changePassword", "acceptInvitation"),
        *("confirmEmail", "resendConfirmation", "requestPasswordReset", "resetPassword"),
        *("updateProfile", "changeEmail", "createWorkspace"),
        *("beginTotp", "confirmTotp", "removeTotp", "makeRecoveryCodes", "beginPasskey", "addPasskey"),
        *("renamePasskey", "removePasskey", "logInWithCode", "beginPasskeyLogin", "logInWithPasskey"),
        *("requireSecondFactor", "beginPasskeyConfirmation"),
        *("transferOwnership", "deleteWorkspace", "cancelWorkspaceDeletion", "leaveWorkspace"),
    )
)
# What needs no login.
OPEN_FIELDS = frozenset(
    (
        *("signUp", "logIn", "logOut", "invitationPreview", "__typename"),
        *("confirmEmail", "requestPasswordReset", "resetPassword"),
        *("logInWithCode", "beginPasskeyLogin", "logInWithPasskey"),
    )
)
# What a page of our own may run with a session's cookie alone: it has to come by the session's CSRF token again.
RETURNING_FIELDS = OPEN_FIELDS | {"viewer"}
