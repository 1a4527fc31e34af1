"""GraphQL types for synced lists: sources, syncs and connectors."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api import resources as shapes
from msvs.api.contacts import source_types
from msvs.api.contacts.source_options import NewSource, UpdateSource
from msvs.api.contacts.sources import source_resource
from msvs.api.context import Context
from msvs.api.resources import list_sync_resource
from msvs.graphql.contacts import OptInInput
from msvs.graphql.context import Info
from msvs.graphql.fields import field
from msvs.graphql.inputs import request_input
from msvs.graphql.nodes import Node, load_kind, register_rows
from msvs.graphql.scalars import JSONObject, json_object
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import ListSync as ListSyncRow
from msvs.models import SourceStatus, SyncStatus, SyncTrigger, rows


@resource_type(shapes.SyncFault, "Why a sync failed or stopped.")
class SyncFault:
    code: str
    message: str
    setting: str | None


@resource_type(shapes.SyncCounts, "The outcomes of a sync, actual or expected.")
class SyncCounts:
    people: int
    created: int
    updated: int
    unchanged: int
    duplicate: int
    suppressed: int
    invalid: int
    erased: int
    left: int
    added_to_list: int
    removed_from_list: int
    opted_in: int
    pending: int


@resource_type(shapes.SyncSample, "One of the first people that a dry run read.")
class SyncSample:
    phone: str | None
    first_name: str | None
    last_name: str | None
    email: str | None
    status: str


@resource_type(shapes.SyncProblem, "A person who could not be read, by their id in the service.")
class SyncProblem:
    external_id: str
    reason: str


@resource_type(shapes.ListSyncResource, "A sync of a list from its service.")
class ListSync(Node):
    livemode: bool
    list_id: ID
    trigger: SyncTrigger
    status: SyncStatus
    dry_run: bool
    full: bool
    counts: SyncCounts
    samples: list[SyncSample]
    problems: list[SyncProblem]
    error: SyncFault | None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def from_row(cls, row: rows.ListSyncRow) -> ListSync:
        """Return the GraphQL type for a row."""
        told = list_sync_resource(row)
        return from_row(
            cls,
            row,
            id=ID(told.id),
            list_id=ID(told.list_id),
            dry_run=told.dry_run,
            full=told.full,
            counts=from_row(SyncCounts, told.counts),
            samples=[from_row(SyncSample, each) for each in told.samples],
            problems=[from_row(SyncProblem, each) for each in told.problems],
            error=_fault(told.error),
        )


register_rows(ids.LIST_SYNC, ListSyncRow, ListSync.from_row)


@resource_type(shapes.SourceField, "A field of the people in the service.")
class SourceField:
    key: str
    label: str
    type: str
    field: str


@resource_type(shapes.SettingChoice, "A value that a setting can have in the account.")
class SettingChoice:
    value: str
    label: str


@resource_type(shapes.SettingChoices, "What the account has for a setting, such as its tags.")
class SettingChoices:
    setting: str
    choices: list[SettingChoice]

    @classmethod
    def of(cls, told: shapes.SettingChoices) -> SettingChoices:
        """Return the GraphQL type for the choices of a setting."""
        return from_row(cls, told, choices=[from_row(SettingChoice, each) for each in told.choices])


@strawberry.type(description="Where to grant access to the account of a service.")
class ListSourceAuthorization:
    url: str = strawberry.field(description="The service's page, which sends the browser back when access is granted.")
    expires_at: datetime = strawberry.field(description="When access must be granted by.")


@resource_type(shapes.ListSourceResource, "The service that a list syncs from, and its status.")
class ListSource:
    type: str
    status: SourceStatus
    paused: bool
    account: str | None
    settings: JSONObject
    setting_choices: list[SettingChoices]
    known_fields: list[SourceField]
    mapping: JSONObject
    default_region: str | None
    evidence: JSONObject | None
    update: str
    removal: str
    every_minutes: int
    writes_opt_outs: bool
    hook_url: str | None
    next_sync_at: datetime | None
    last_sync: ListSync | None
    error: SyncFault | None

    @classmethod
    def from_rows(cls, ctx: Context, row: rows.ListSourceRow, last: rows.ListSyncRow | None) -> ListSource:
        """Return the GraphQL type for a source, with its latest sync."""
        told = source_resource(ctx, row, last)
        return from_row(
            cls,
            told,
            settings=json_object(told.settings),
            setting_choices=[SettingChoices.of(each) for each in told.setting_choices],
            known_fields=[from_row(SourceField, each) for each in told.known_fields],
            mapping=json_object(told.mapping),
            evidence=None if told.evidence is None else json_object(told.evidence),
            next_sync_at=None if told.next_sync_at is None else row.next_sync_at,
            last_sync=None if last is None else ListSync.from_row(last),
            error=_fault(told.error),
        )


def _fault(error: shapes.SyncFault | None) -> SyncFault | None:
    return None if error is None else from_row(SyncFault, error)


@request_input(NewSource, evidence=OptInInput)
class ListSourceInput:
    pass


@request_input(UpdateSource, evidence=OptInInput)
class UpdateListSourceInput:
    pass


@resource_type(source_types.ConnectorChoice, "An allowed value of a setting.")
class ConnectorChoice:
    value: str
    label: str


@resource_type(source_types.ConnectorSetting, "A setting of a connector, with what a form needs to ask for it.")
class ConnectorSetting:
    name: str
    label: str
    kind: str
    required: bool
    help: str
    example: str | None
    choices: list[ConnectorChoice]
    listed: bool


@resource_type(source_types.ConnectorCapabilities, "The features that a connector supports.")
class ConnectorCapabilities:
    reads: bool
    reads_changes: bool
    writes_opt_outs: bool
    has_hook: bool
    registers_hook: bool
    grants_access: bool
    reports_consent: bool


@resource_type(source_types.ConnectorResource, "A service that a list can sync from.")
class Connector:
    type: str
    label: str
    settings: list[ConnectorSetting]
    capabilities: ConnectorCapabilities

    @classmethod
    def of(cls, told: source_types.ConnectorResource) -> Connector:
        """Return the GraphQL type for a connector."""
        settings = [
            from_row(ConnectorSetting, each, choices=[from_row(ConnectorChoice, choice) for choice in each.choices])
            for each in told.settings
        ]
        return from_row(cls, told, settings=settings, capabilities=from_row(ConnectorCapabilities, told.capabilities))


@strawberry.type
class ListSyncQuery:
    @field("The connectors available for synced lists, with their settings. The same for every workspace.")
    async def connectors(self, info: Info) -> list[Connector]:
        return [Connector.of(each) for each in await source_types.list_connectors(info.context.ctx)]

    @field("A sync of a list by its id; null if there is none.")
    async def list_sync(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The sync's id.")]
    ) -> ListSync | None:
        return await load_kind(info, id, ListSync, ids.LIST_SYNC)
