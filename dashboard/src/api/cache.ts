// How answers are kept: by id where a type has one, within their parent where it has none.
import type { Cache, CacheExchangeOpts, UpdateResolver } from "@urql/exchange-graphcache";

// Mutation → the lists and sums that it makes stale, beside what it answers with.
const STALE: Record<string, readonly string[]> = {
  createCampaign: ["campaigns"],
  cloneCampaign: ["campaigns"],
  deleteCampaign: ["campaigns"],
  updateCampaign: ["campaigns", "campaign"],
  launchCampaign: ["campaigns", "credits"],
  cancelCampaign: ["credits"],
  approveCampaign: ["campaigns", "campaign", "credits"],
  rejectCampaign: ["campaigns", "campaign"],
  requestCampaignApproval: ["campaigns", "campaign"],
  createSequence: ["sequences"],
  updateSequence: ["sequences", "sequenceStats"],
  deleteSequence: ["sequences"],
  publishSequence: ["sequences", "sequenceStats"],
  pauseSequence: ["sequences"],
  resumeSequence: ["sequences"],
  archiveSequence: ["sequences", "enrollments", "sequenceStats"],
  enrollContact: ["sequences", "sequence", "enrollments", "sequenceStats", "contacts"],
  removeEnrollment: ["sequences", "sequence", "enrollments", "sequenceStats"],
  sendCampaignTest: ["messages", "credits", "handsets", "handsetMessages"],
  createContact: ["contacts"],
  deleteContact: ["contacts"],
  createImport: ["contactImports"],
  runImport: ["contactImports"],
  cancelImport: ["contactImports"],
  undoImport: ["contactImports"],
  createOrderHook: ["orderHooks"],
  deleteOrderHook: ["orderHooks"],
  createExport: ["exports"],
  cancelExport: ["exports"],
  optOutContact: ["contact", "suppressions"],
  markContactReachable: ["contacts"],
  eraseContact: ["contacts"],
  tagContact: ["contacts", "tags"],
  createMessageTemplate: ["messageTemplates"],
  updateMessageTemplate: ["messageTemplates"],
  deleteMessageTemplate: ["messageTemplates"],
  createSnippet: ["snippets", "messagePreview"],
  updateSnippet: ["messagePreview"],
  deleteSnippet: ["snippets", "messagePreview"],
  createTestClock: ["testClock"],
  deleteTestClock: ["testClock"],
  createBulkAction: ["bulkActions"],
  createList: ["contactLists"],
  deleteList: ["contactLists", "joinKeywords"],
  addContactsToList: ["contacts", "contact", "contactLists", "contactList"],
  removeContactFromList: ["contacts", "contact", "contactLists", "contactList"],
  syncList: ["contactLists", "contactList"],
  confirmListSync: ["contactLists", "contactList"],
  updateListSource: ["contactLists", "contactList"],
  grantListSource: ["contactLists", "contactList"],
  pauseListSync: ["contactLists"],
  resumeListSync: ["contactLists"],
  disconnectList: ["contactLists", "contactList"],
  createJoinKeyword: ["joinKeywords"],
  deleteJoinKeyword: ["joinKeywords"],
  createSuppression: ["contacts", "suppressions"],
  importSuppressions: ["suppressions"],
  liftSuppression: ["contacts", "suppressions"],
  createSegment: ["segments"],
  deleteSegment: ["segments"],
  answerThread: ["inboxThreads", "inboxThread", "threadMessages", "conversationOverview", "messages"],
  markThreadRead: ["inboxThreads", "inboxThread"],
  markThreadUnread: ["inboxThreads", "inboxThread"],
  assignThread: ["inboxThreads", "inboxThread"],
  createCannedAnswer: ["cannedAnswers"],
  deleteCannedAnswer: ["cannedAnswers"],
  addNote: ["contactNotes"],
  deleteNote: ["contactNotes"],
  cancelMessage: ["credits"],
  unflagInboundMessage: ["inboundMessages"],
  simulateReply: ["inboxThreads", "inboundMessages", "threadMessages", "handsets", "handset", "handsetMessages"],
  sendMessage: ["messages", "credits", "handsets", "handsetMessages"],
  createCheckout: ["checkouts"],
  updateAutoTopUp: ["autoTopUp"],
  createWebhook: ["webhooks"],
  deleteWebhook: ["webhooks"],
  createApiKey: ["apiKeys"],
  rollApiKey: ["apiKeys"],
  inviteMember: ["invitations"],
  revokeInvitation: ["invitations"],
  removeMember: ["members"],
  createSavedView: ["savedViews"],
  updateSavedView: ["savedViews"],
  deleteSavedView: ["savedViews"],
  markNotificationsRead: ["notifications"],
  chooseNotificationMail: ["notificationMails"],
  updateWorkspace: ["credits"],
  endSession: ["sessions", "authenticationLog"],
  changePassword: ["sessions", "authenticationLog"],
  confirmTotp: ["secondFactors", "sessions", "authenticationLog"],
  removeTotp: ["secondFactors", "authenticationLog"],
  makeRecoveryCodes: ["secondFactors", "authenticationLog"],
  addPasskey: ["secondFactors", "authenticationLog"],
  removePasskey: ["secondFactors", "authenticationLog"],
};

// The same for what happens by itself.
const STALE_BY_REPLY = ["inboxThreads", "inboxThread", "threadMessages", "inboundMessages", "conversationOverview"] as const;
const STALE_BY_EVENT: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^CAMPAIGN_/, ["campaigns"]],
  [/^CAMPAIGN_(APPROV|REJECT)/, ["campaign"]],
  [/^CREDITS_/, ["credits"]],
  [/^CONTACT_OPTED_/, ["contacts", "suppressions"]],
  [/^WEBHOOK_/, ["webhooks"]],
];

const STALE_BY_MERGE = ["contacts", "contact", "contactLists", "contactList", "tags", "messages", "inboxThreads", "inboxThread", "threadMessages", "contactNotes", "suppressions"] as const;
const STALE_BY_IMPORT = ["contactImports", "contacts", "contactLists", "contactList", "suppressions"] as const;

const STALE_BY_SYNC = ["contactLists", "contactList", "contacts"] as const;

export function makeStale(cache: Cache, fields: readonly string[]) {
  for (const { fieldName, arguments: given } of cache.inspectFields("Query")) {
    if (fields.includes(fieldName)) cache.invalidate("Query", fieldName, given ?? undefined);
  }
}

const stale =
  (fields: readonly string[]): UpdateResolver =>
  (_result, _arguments, cache) =>
    makeStale(cache, fields);

// What may stand behind the interface: without it the cache guesses, and drops what is said of a mutation's errors.
const ERRORS = [
  "AuthenticationError", "ComplianceError", "ConflictError", "IdempotencyError", "InvalidRequestError", "NotFoundError",
  "PaymentRequiredError", "PermissionError", "RateLimitError",
];

export const cacheRules: Partial<CacheExchangeOpts> = {
  possibleTypes: { Error: ERRORS },
  keys: new Proxy({}, { get: () => (data: { id?: string }) => data.id ?? null }) as NonNullable<CacheExchangeOpts["keys"]>,
  updates: {
    Mutation: {
      ...Object.fromEntries(Object.entries(STALE).map(([name, fields]) => [name, stale(fields)])),
      mergeContacts: (result, _arguments, cache) => {
        if ((result["mergeContacts"] as { dryRun?: boolean } | null)?.dryRun === false) makeStale(cache, STALE_BY_MERGE);
      },
    },
    Subscription: {
      newReplies: stale(STALE_BY_REPLY),
      newNotifications: stale(["notifications"]),
      importProgress: (result, _arguments, cache) => {
        const status = String((result["importProgress"] as { status?: string } | null)?.status);
        if (/^(COMPLETED|CANCELED|FAILED|UNDONE)$/.test(status)) makeStale(cache, STALE_BY_IMPORT);
      },
      listSyncProgress: (result, _arguments, cache) => {
        const status = String((result["listSyncProgress"] as { status?: string } | null)?.status);
        if (/^(HELD|COMPLETED|FAILED|CANCELED)$/.test(status)) makeStale(cache, STALE_BY_SYNC);
      },
      eventTail: (result, _arguments, cache) => {
        const type = String((result["eventTail"] as { type?: string } | null)?.type);
        for (const [pattern, fields] of STALE_BY_EVENT) if (pattern.test(type)) makeStale(cache, fields);
      },
    },
  },
};
