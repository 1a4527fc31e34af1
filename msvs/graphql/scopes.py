"""The key scopes that an operation requires, found in its document before it runs."""

from __future__ import annotations

from collections.abc import Mapping

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    get_named_type,
    is_composite_type,
)
from graphql.language import SelectionSetNode
from graphql.type import GraphQLCompositeType

from msvs.api.permissions import Permission

# What the fields of Query and Subscription ask; None is left to what is found, or open to all.
FIELDS: Mapping[str, Permission | None] = {
    **dict.fromkeys(("node", "nodes", "viewer", "invitationPreview", "errorCatalogue", "regions")),
    **dict.fromkeys(("sessions", "secondFactors", "authenticationLog")),
    **dict.fromkeys(("notifications", "notificationMails", "newNotifications", "savedViews", "search")),
    **dict.fromkeys(
        ("explainMessage", "message", "messages", "messageLinks", "inboundMessage"), Permission.MESSAGES_READ
    ),
    **dict.fromkeys(("inboundMessages", "inboxThreads", "inboxThread", "threadMessages"), Permission.MESSAGES_READ),
    **dict.fromkeys(("cannedAnswer", "cannedAnswers"), Permission.MESSAGES_READ),
    **dict.fromkeys(("handsets", "handset", "handsetMessages", "sandboxNumbers"), Permission.MESSAGES_READ),
    **dict.fromkeys(("activity", "conversationOverview", "newReplies"), Permission.MESSAGES_READ),
    "deliverability": Permission.MESSAGES_READ,
    "messagePreview": Permission.MESSAGES_SEND,
    **dict.fromkeys(("campaign", "campaigns", "campaignReconciliation", "campaignProgress"), Permission.CAMPAIGNS_READ),
    **dict.fromkeys(("campaignActivity", "campaignLinks"), Permission.CAMPAIGNS_READ),
    "orderHooks": Permission.WORKSPACE_READ,
    **dict.fromkeys(
        ("conversion", "conversions", "conversionActivity", "conversionTotals"), Permission.CONVERSIONS_READ
    ),
    **dict.fromkeys(("sequence", "sequences", "sequenceStats", "enrollment", "enrollments"), Permission.CAMPAIGNS_READ),
    **dict.fromkeys(("messageTemplate", "messageTemplates", "snippet", "snippets"), Permission.CAMPAIGNS_READ),
    "campaignPreview": Permission.CAMPAIGNS_WRITE,
    **dict.fromkeys(("contact", "contacts", "contactList", "contactLists", "contactExport"), Permission.CONTACTS_READ),
    **dict.fromkeys(("joinKeyword", "joinKeywords", "suppression", "suppressions"), Permission.CONTACTS_READ),
    **dict.fromkeys(("consentHistory", "segment", "segments", "segmentPreview"), Permission.CONTACTS_READ),
    **dict.fromkeys(("contactImport", "contactImports", "importProgress"), Permission.CONTACTS_READ),
    **dict.fromkeys(("listSync", "listSyncProgress", "connectors"), Permission.CONTACTS_READ),
    **dict.fromkeys(("export", "exports", "exportProgress"), Permission.EXPORTS_READ),
    **dict.fromkeys(
        ("audienceGrowth", "segmentFields", "contactNotes", "tags", "bulkAction", "bulkActions"),
        Permission.CONTACTS_READ,
    ),
    **dict.fromkeys(
        ("credits", "creditPacks", "checkout", "checkouts", "autoTopUp", "creditRates"), Permission.CREDITS_READ
    ),
    **dict.fromkeys(("workspace", "sender", "senders", "testClock", "testCarrier"), Permission.WORKSPACE_READ),
    **dict.fromkeys(("webhook", "webhooks"), Permission.WEBHOOKS_READ),
    **dict.fromkeys(("event", "events", "eventTail", "apiRequests"), Permission.EVENTS_READ),
    **dict.fromkeys(("apiKey", "apiKeys"), Permission.KEYS_READ),
    **dict.fromkeys(("members", "memberHoldings", "invitations"), Permission.MEMBERS_READ),
    **dict.fromkeys(("auditEntry", "auditLog"), Permission.AUDIT_READ),
}

# What a field of these types asks, in any way it is reached.
TYPES: Mapping[str, Permission] = {
    **dict.fromkeys(
        ("Message", "InboundMessage", "InboxThread", "ThreadMessage", "MessageExplanation", "Handset", "CannedAnswer"),
        Permission.MESSAGES_READ,
    ),
    **dict.fromkeys(("Campaign", "Sequence", "Enrollment", "MessageTemplate", "Snippet"), Permission.CAMPAIGNS_READ),
    "Conversion": Permission.CONVERSIONS_READ,
    "OrderHook": Permission.WORKSPACE_READ,
    **dict.fromkeys(
        ("Contact", "ContactList", "JoinKeyword", "Suppression", "Segment", "ConsentEvent", "ContactNote"),
        Permission.CONTACTS_READ,
    ),
    **dict.fromkeys(("ContactImport", "ListSync", "Tag", "BulkAction"), Permission.CONTACTS_READ),
    "Export": Permission.EXPORTS_READ,
    **dict.fromkeys(("Credits", "LedgerEntry", "Purchase", "CreditPack", "Checkout"), Permission.CREDITS_READ),
    **dict.fromkeys(("AutoTopUp", "CreditRate"), Permission.CREDITS_READ),
    **dict.fromkeys(("Workspace", "Sender", "TestClock", "TestCarrier"), Permission.WORKSPACE_READ),
    **dict.fromkeys(("Webhook", "WebhookAttempt"), Permission.WEBHOOKS_READ),
    **dict.fromkeys(("Event", "ApiRequest"), Permission.EVENTS_READ),
    "ApiKey": Permission.KEYS_READ,
    **dict.fromkeys(("Member", "Invitation"), Permission.MEMBERS_READ),
    "AuditEntry": Permission.AUDIT_READ,
}


def permissions_of(
    schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> frozenset[Permission]:
    """Return what a valid operation asks beside its mutations, which ask as they run.

    What a mutation answers of the thing that it changed is free, as it is in REST; what that leads to is not.
    """
    root = schema.get_root_type(operation.operation)
    assert root is not None
    reading = _Reading(schema, fragments)
    reading.follow(root, operation.selection_set, is_answer=root is schema.mutation_type)
    return frozenset(reading.found)


class _Reading:
    """One walk through a document; each fragment is followed once in each way."""

    def __init__(self, schema: GraphQLSchema, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self.schema = schema
        self.fragments = fragments
        self.found: set[Permission] = set()
        self.seen: set[tuple[str, bool]] = set()

    def follow(self, parent: GraphQLCompositeType, node: SelectionSetNode | None, *, is_answer: bool) -> None:
        """Note what the fields of one selection ask; `is_answer` while nothing of a type of TYPES was entered."""
        for selection in () if node is None else node.selections:
            if isinstance(selection, FieldNode):
                self.field(parent, selection, is_answer)
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                self.enter(parent.name if condition is None else condition.name.value, selection, is_answer)
            elif isinstance(selection, FragmentSpreadNode) and (selection.name.value, is_answer) not in self.seen:
                self.seen.add((selection.name.value, is_answer))
                fragment = self.fragments[selection.name.value]
                self.enter(fragment.type_condition.name.value, fragment, is_answer)

    def field(self, parent: GraphQLCompositeType, node: FieldNode, is_answer: bool) -> None:
        name = node.name.value
        if name.startswith("__"):
            return
        if parent in (self.schema.query_type, self.schema.subscription_type):
            permission = FIELDS[name]
            self.found |= set() if permission is None else {permission}
        kind = get_named_type(getattr(parent, "fields", {})[name].type)
        if is_composite_type(kind):
            self.enter(kind.name, node, is_answer)

    def enter(self, name: str, node: FieldNode | InlineFragmentNode | FragmentDefinitionNode, is_answer: bool) -> None:
        kind = self.schema.get_type(name)
        assert is_composite_type(kind)
        permission = TYPES.get(name.removesuffix("Connection"))
        if permission is not None and not is_answer:
            self.found.add(permission)
        self.follow(kind, node.selection_set, is_answer=is_answer and permission is None)
