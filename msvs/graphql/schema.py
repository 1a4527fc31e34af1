"""The schema: every resource's queries and mutations in one."""

from __future__ import annotations

from collections.abc import Iterator

import strawberry
from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

# First, because it describes the enums that the types below use.
from msvs.graphql import enums as enums
from msvs.graphql.accounts import AccountMutation, AccountQuery
from msvs.graphql.addresses import AddressMutation, AddressQuery
from msvs.graphql.audit import AuditQuery
from msvs.graphql.billing import BillingMutation, BillingQuery
from msvs.graphql.bulk_actions import BulkActionMutation, BulkActionQuery
from msvs.graphql.campaigns import CampaignMutation, CampaignQuery
from msvs.graphql.catalogue import CatalogueQuery
from msvs.graphql.contacts import ContactMutation, ContactQuery
from msvs.graphql.conversions import ConversionMutation, ConversionQuery
from msvs.graphql.credits import CreditQuery
from msvs.graphql.errors import Error
from msvs.graphql.events import EventMutation, EventQuery
from msvs.graphql.exports import ExportMutation, ExportQuery
from msvs.graphql.handset import HandsetQuery
from msvs.graphql.imports import ImportMutation, ImportQuery
from msvs.graphql.inbound import InboundMutation, InboundQuery
from msvs.graphql.inbox import InboxMutation, InboxQuery
from msvs.graphql.keys import KeyMutation, KeyQuery
from msvs.graphql.keywords import KeywordMutation, KeywordQuery
from msvs.graphql.list_sources import ListSyncQuery
from msvs.graphql.lists import ListMutation, ListQuery
from msvs.graphql.merges import MergeMutation
from msvs.graphql.messages import MessageMutation, MessageQuery
from msvs.graphql.nodes import NodeQuery
from msvs.graphql.notifications import NotificationMutation, NotificationQuery
from msvs.graphql.order_hooks import OrderHookMutation, OrderHookQuery
from msvs.graphql.previews import PreviewMutation, PreviewQuery
from msvs.graphql.requests import RequestQuery
from msvs.graphql.saved_views import SavedViewMutation, SavedViewQuery
from msvs.graphql.scalars import SCALARS
from msvs.graphql.search import SearchQuery
from msvs.graphql.second_factors import SecondFactorMutation, SecondFactorQuery
from msvs.graphql.segments import SegmentMutation, SegmentQuery
from msvs.graphql.senders import SenderQuery
from msvs.graphql.sequences import SequenceMutation, SequenceQuery
from msvs.graphql.statistics import StatisticsQuery
from msvs.graphql.subscriptions import Subscription
from msvs.graphql.suppressions import SuppressionMutation, SuppressionQuery
from msvs.graphql.tags import TagMutation, TagQuery
from msvs.graphql.templates import TemplateMutation, TemplateQuery
from msvs.graphql.test_clocks import TestClockMutation, TestClockQuery
from msvs.graphql.users import UserMutation, UserQuery
from msvs.graphql.webhooks import WebhookMutation, WebhookQuery
from msvs.graphql.workspaces import WorkspaceMutation, WorkspaceQuery


@strawberry.type(description="All queries. Null means that the object does not exist, never that reading it failed.")
class Query(
    NodeQuery,
    AccountQuery,
    AddressQuery,
    SecondFactorQuery,
    WorkspaceQuery,
    MessageQuery,
    CampaignQuery,
    SequenceQuery,
    TemplateQuery,
    ConversionQuery,
    OrderHookQuery,
    ContactQuery,
    ImportQuery,
    ExportQuery,
    TagQuery,
    BulkActionQuery,
    ListQuery,
    ListSyncQuery,
    KeywordQuery,
    SuppressionQuery,
    RequestQuery,
    SegmentQuery,
    CreditQuery,
    BillingQuery,
    SenderQuery,
    InboundQuery,
    TestClockQuery,
    InboxQuery,
    HandsetQuery,
    WebhookQuery,
    EventQuery,
    KeyQuery,
    UserQuery,
    NotificationQuery,
    SavedViewQuery,
    AuditQuery,
    PreviewQuery,
    StatisticsQuery,
    SearchQuery,
    CatalogueQuery,
):
    pass


@strawberry.type(description="All mutations. Each field is one transaction; fields run one after the other.")
class Mutation(
    AccountMutation,
    AddressMutation,
    SecondFactorMutation,
    WorkspaceMutation,
    MessageMutation,
    CampaignMutation,
    SequenceMutation,
    TemplateMutation,
    ConversionMutation,
    OrderHookMutation,
    PreviewMutation,
    ContactMutation,
    ImportMutation,
    ExportMutation,
    TagMutation,
    MergeMutation,
    BulkActionMutation,
    ListMutation,
    KeywordMutation,
    SuppressionMutation,
    SegmentMutation,
    InboundMutation,
    TestClockMutation,
    InboxMutation,
    BillingMutation,
    WebhookMutation,
    EventMutation,
    KeyMutation,
    UserMutation,
    NotificationMutation,
    SavedViewMutation,
):
    pass


# Under this name an execution carries its document.
DOCUMENT = "document"


class Prepared(SchemaExtension):
    """Runs the document that the front has parsed, validated and weighed, rather than all of that again."""

    def on_operation(self) -> Iterator[None]:
        """Put the document where the executor looks for it."""
        extensions = self.execution_context.operation_extensions or {}
        self.execution_context.graphql_document = extensions[DOCUMENT]
        self.execution_context.validation_rules = ()
        yield


class Schema(strawberry.Schema):
    """The schema; errors are logged by the front, which knows the request."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Log nothing: an error's text may hold what a caller sent."""


schema = Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[Error],
    extensions=[Prepared],
    config=StrawberryConfig(scalar_map=SCALARS),
)


def sdl() -> str:
    """Return the schema in GraphQL's own language, as it is committed."""
    return schema.as_str() + "\n"
