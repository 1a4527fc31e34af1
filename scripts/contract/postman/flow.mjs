// What a generated request cannot know: what it needs made first, what it names, and what it leaves for the next one.

export const FOLDERS = [
  "API keys", "Contacts", "Imports", "Exports", "Lists", "Segments", "Suppressions", "Keywords", "Senders", "Campaigns", "Messages", "Sandbox", "Inbound",
  "Inbox", "Credits", "Webhooks", "Events", "Workspace",
];

// By operationId: `path` names the variables behind the path's parameters, `body` replaces the example's values,
// `query` are parameters that are sent, `save` keeps the answer's id, `saveFirst` that of a list's first, `saveAny` that too if there is one;
// `before` makes something to use up, and without the variable of `needs` a request is skipped.
export const FLOW = {
  listApiKeys: { query: { limit: "5" }, saveFirst: "api_key_id" },
  retrieveApiKey: { path: { id: "api_key_id" } },
  createContact: { body: { phone: "{{phone}}" }, save: "contact_id" },
  importContacts: {
    body: { contacts: [{ phone: "{{spare_phone}}", first_name: "Maria" }], list_id: "{{spare_list_id}}" },
    before: ["spareList"],
  },
  listContacts: { query: { limit: "5", phone: "{{phone_in_query}}" } },
  retrieveContact: { path: { id: "contact_id" } },
  updateContact: { path: { id: "contact_id" } },
  deleteContact: { path: { id: "spare_contact_id" }, before: ["spareContact"] },
  optOutContact: { path: { id: "spare_contact_id" }, before: ["spareContact"] },
  tagContact: { path: { id: "contact_id" } },
  markContactReachable: { path: { id: "contact_id" } },
  mergeContacts: { path: { id: "contact_id" }, body: { contact_id: "{{spare_contact_id}}" }, before: ["spareContact"] },
  listTags: {},
  createBulkAction: { save: "bulk_action_id" },
  listBulkActions: { query: { limit: "5" } },
  retrieveBulkAction: { path: { id: "bulk_action_id" } },
  cancelBulkAction: { path: { id: "bulk_action_id" } },

  listContactConsent: { path: { id: "contact_id" }, query: { limit: "5" } },
  exportContact: { path: { id: "contact_id" } },
  eraseContact: { path: { id: "spare_contact_id" }, before: ["spareContact"] },

  createImport: { body: { list_id: "{{spare_list_id}}" }, before: ["spareList"], save: "import_id" },
  listImports: { query: { limit: "5", status: "checked" }, saveAny: "checked_import_id" },
  retrieveImport: { path: { id: "import_id" } },
  // The file of one that was checked has been looked at by a worker.
  updateImport: { path: { id: "checked_import_id" }, needs: "checked_import_id" },
  addImportPart: { path: { id: "spare_import_id" }, before: ["spareImport"] },
  listImportRows: { path: { id: "import_id" }, query: { limit: "5" } },
  retrieveInvalidRows: { path: { id: "checked_import_id" }, needs: "checked_import_id" },
  runImport: { path: { id: "checked_import_id" }, needs: "checked_import_id" },
  cancelImport: { path: { id: "spare_import_id" }, before: ["spareImport"] },
  undoImport: { path: { id: "checked_import_id" }, needs: "checked_import_id" },

  createExport: { body: { kind: "contacts" }, save: "export_id" },
  listExports: { query: { limit: "5" } },
  retrieveExport: { path: { id: "export_id" } },
  cancelExport: { path: { id: "export_id" } },

  listConsent: { query: { limit: "5", phone: "{{phone_in_query}}" } },
  createSuppression: { body: { phone: "{{spare_phone}}" }, save: "suppression_id" },
  listSuppressions: { query: { limit: "5" } },
  importSuppressions: { body: { phones: ["{{spare_phone}}"] } },
  retrieveSuppression: { path: { id: "suppression_id" } },
  liftSuppression: { path: { id: "suppression_id" }, body: { at: "{{now}}" } },

  createKeyword: { body: { list_id: "{{list_id}}" }, save: "keyword_id" },
  listKeywords: { query: { limit: "5" } },
  retrieveKeyword: { path: { id: "keyword_id" } },
  updateKeyword: { path: { id: "keyword_id" } },
  deleteKeyword: { path: { id: "keyword_id" } },

  listSenders: { query: { limit: "5" }, saveAny: "sender_id" },
  retrieveSender: { path: { id: "sender_id" }, needs: "sender_id" },

  createList: { save: "list_id" },
  listLists: { query: { limit: "5" } },
  retrieveList: { path: { id: "list_id" } },
  updateList: { path: { id: "list_id" } },
  deleteList: { path: { id: "spare_list_id" }, before: ["spareList"] },
  updateListSource: { path: { id: "spare_pulled_list_id" }, before: ["sparePulledList"] },
  // A list that contacts are only posted to cannot be synced, so this needs a pulled one.
  syncList: { path: { id: "spare_pulled_list_id" }, before: ["sparePulledList"] },
  confirmListSync: { path: { id: "spare_synced_list_id" }, before: ["spareSyncedList"] },
  pauseListSync: { path: { id: "spare_synced_list_id" }, before: ["spareSyncedList"] },
  resumeListSync: { path: { id: "spare_synced_list_id" }, before: ["spareSyncedList"] },
  disconnectList: { path: { id: "spare_synced_list_id" }, before: ["spareSyncedList"] },
  listListSyncs: { path: { id: "list_id" }, query: { limit: "5" } },
  listConnectors: {},
  addListContacts: { path: { id: "list_id" }, body: { contact_ids: ["{{contact_id}}"] } },
  listListContacts: { path: { id: "list_id" }, query: { limit: "5" } },
  removeListContact: {
    path: { id: "list_id", contact_id: "spare_contact_id" },
    before: ["spareContact"],
  },

  createSegment: { body: { filter: { all: [{ field: "attributes.tier", op: "eq", value: "gold" }, { list: "{{list_id}}" }] } }, save: "segment_id" },
  listSegments: { query: { limit: "5" } },
  previewSegment: { body: { filter: { all: [{ field: "attributes.tier", op: "eq", value: "gold" }, { list: "{{list_id}}" }] } } },
  retrieveSegment: { path: { id: "segment_id" } },
  updateSegment: { path: { id: "segment_id" } },
  deleteSegment: { path: { id: "spare_segment_id" }, before: ["spareSegment"] },

  createCampaign: { body: { audience: { list_ids: ["{{list_id}}"] } }, save: "campaign_id" },
  listCampaigns: { query: { limit: "5" } },
  previewCampaign: { body: { audience: { list_ids: ["{{list_id}}"] } } },
  preflightCampaign: { body: { audience: { list_ids: ["{{list_id}}"] } } },
  retrieveCampaign: { path: { id: "campaign_id" } },
  updateCampaign: { path: { id: "spare_campaign_id" }, before: ["spareCampaign"] },
  deleteCampaign: { path: { id: "spare_draft_id" }, before: ["spareDraft"] },
  launchCampaign: { path: { id: "spare_draft_id" }, before: ["spareDraft"] },
  cloneCampaign: { path: { id: "campaign_id" } },
  testCampaign: { path: { id: "campaign_id" }, body: { to: ["{{phone}}"] } },
  listCampaignLinks: { path: { id: "campaign_id" } },
  reconcileCampaign: { path: { id: "campaign_id" } },
  cancelCampaign: { path: { id: "spare_campaign_id" }, before: ["spareCampaign"] },
  pauseCampaign: { path: { id: "spare_campaign_id" }, before: ["spareCampaign"] },
  resumeCampaign: { path: { id: "spare_campaign_id" } },

  createMessage: { body: { to: "{{phone}}" }, save: "message_id" },
  createMessageBatch: {
    body: { messages: [{ to: "{{phone}}", body: "Your seat is 12A." }, { to: "{{phone}}", body: "See you there." }] },
  },
  listMessages: { query: { limit: "5", contact_id: "{{contact_id}}" } },
  previewMessage: { body: { to: "{{phone}}" } },
  retrieveMessage: { path: { id: "message_id" } },
  explainMessage: { path: { id: "message_id" } },
  listMessageLinks: { path: { id: "message_id" } },
  retrieveMessageTimeline: { path: { id: "message_id" } },
  cancelMessage: { path: { id: "spare_message_id" }, before: ["spareMessage"] },

  createTestInbound: { body: { from: "{{phone}}" }, save: "inbound_id" },
  listInbound: { query: { limit: "5" } },
  retrieveInbound: { path: { id: "inbound_id" } },
  unflagInbound: { path: { id: "inbound_id" } },

  listInboxThreads: { query: { limit: "5", status: "waiting" } },
  retrieveInboxThread: { path: { contact_id: "contact_id" } },
  listInboxMessages: { path: { contact_id: "contact_id" }, query: { limit: "5" } },
  answerInboxThread: { path: { contact_id: "contact_id" } },
  readInboxThread: { path: { contact_id: "contact_id" } },
  unreadInboxThread: { path: { contact_id: "contact_id" } },

  retrieveCredits: {},
  listLedger: { query: { limit: "5" } },
  listCreditPurchases: { query: { limit: "5" } },
  listCreditPacks: {},
  listCheckouts: { query: { limit: "5" }, saveAny: "checkout_id" },
  retrieveCheckout: { path: { id: "checkout_id" }, needs: "checkout_id" },
  createCheckout: { needs: "checkout_id" },
  listCreditRates: {},
  retrieveAutoTopUp: {},
  updateAutoTopUp: { needs: "checkout_id" },

  createWebhook: { body: { url: "{{webhook_url}}" }, save: "webhook_id" },
  listWebhooks: { query: { limit: "5" } },
  retrieveWebhook: { path: { id: "webhook_id" } },
  updateWebhook: { path: { id: "webhook_id" } },
  deleteWebhook: { path: { id: "spare_webhook_id" }, before: ["spareWebhook"] },
  rotateWebhookSecret: { path: { id: "webhook_id" } },
  testWebhook: { path: { id: "webhook_id" } },
  listWebhookAttempts: { path: { id: "webhook_id" }, query: { limit: "5" } },
  recoverWebhook: { path: { id: "webhook_id" }, body: { since: "{{an_hour_ago}}" } },

  listEvents: { query: { limit: "5" }, saveFirst: "event_id" },
  retrieveEvent: { path: { id: "event_id" } },
  resendEvent: { path: { id: "event_id" }, body: { webhook_id: "{{webhook_id}}" } },

  retrieveWorkspace: {},
  updateWorkspace: {},
};

// Made by a request of its own just before the one that uses it up.
export const SPARES = {
  spareContact: { path: "/v1/contacts", variable: "spare_contact_id", body: { phone: "{{spare_phone}}" } },
  spareImport: { path: "/v1/imports", variable: "spare_import_id", body: { file_name: "members.csv" } },
  spareList: { path: "/v1/lists", variable: "spare_list_id", body: { name: "To be deleted" } },
  spareSyncedList: {
    path: "/v1/lists",
    variable: "spare_synced_list_id",
    body: { name: "To be posted to", source: { type: "hook", settings: {}, mapping: { phone: "phone" } } },
  },
  sparePulledList: {
    path: "/v1/lists",
    variable: "spare_pulled_list_id",
    body: { name: "To be synced", source: { type: "kit", settings: { api_key: "{{$guid}}" }, mapping: { phone: "phone" } } },
  },
  spareSegment: {
    path: "/v1/segments",
    variable: "spare_segment_id",
    body: { name: "To be deleted", filter: { field: "opt_in_status", op: "eq", value: "opted_in" } },
  },
  spareCampaign: {
    path: "/v1/campaigns",
    variable: "spare_campaign_id",
    body: {
      name: "To be stopped",
      body: "Doors open tomorrow.",
      audience: { list_ids: ["{{list_id}}"] },
      scheduled_at: "{{tomorrow}}",
    },
  },
  spareDraft: {
    path: "/v1/campaigns",
    variable: "spare_draft_id",
    body: {
      name: "To be launched or deleted",
      body: "Doors open tomorrow.",
      audience: { list_ids: ["{{list_id}}"] },
      scheduled_at: "{{tomorrow}}",
      draft: true,
    },
  },
  spareMessage: {
    path: "/v1/messages",
    variable: "spare_message_id",
    body: { to: "{{phone}}", body: "Doors open tomorrow.", scheduled_at: "{{tomorrow}}" },
  },
  spareWebhook: { path: "/v1/webhooks", variable: "spare_webhook_id", body: { url: "{{webhook_url}}/spare", events: ["*"] } },
};
