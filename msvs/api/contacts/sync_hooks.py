"""Handle people that a service, or a tool such as Zapier, posts to the hook URL of a synced list."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Protocol
from uuid import UUID

import msgspec

from msvs.api.contacts import sync_merge, sync_runs
from msvs.api.contacts.sources import connector_settings, hash_token
from msvs.api.contacts.sync_merge import Taken
from msvs.api.contacts.sync_runs import Held
from msvs.api.context import Context, Services
from msvs.api.errors import (
    ApiError,
    ErrorCode,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    RequestTooLarge,
    Unavailable,
)
from msvs.api.resources import Resource, SyncCounts, SyncProblem
from msvs.api.scope import scoped
from msvs.api.unit_of_work import WorkQueue, in_unit_of_work, notify_after_commit
from msvs.connectors.base import Connection, ConnectorError, HookCall, HookDelivery, HookRefused, Person
from msvs.connectors.registry import open_connector
from msvs.database import execute, fetch_row, fetch_value
from msvs.fields import about
from msvs.http_client import HttpClient
from msvs.models import ListSource, SourceStatus, rows

MAX_TOKEN = 100
UNKNOWN = "No list uses this address."
PAUSED_SECONDS = 3600

READ_ANSWER = "SELECT answer FROM hook_deliveries WHERE source_id = $1 AND delivery_id = $2"
KEEP_ANSWER = """
INSERT INTO hook_deliveries (source_id, delivery_id, answer, created_at) VALUES ($1, $2, $3::jsonb, $4)
ON CONFLICT DO NOTHING
"""
# Renew due_at even if a lookup is queued: one already in progress may have read data older than this change.
QUEUE_LOOKUPS = """
INSERT INTO source_lookups (source_id, external_id, due_at)
SELECT $1, named.external_id, $3 FROM unnest($2::varchar[]) AS named (external_id)
ON CONFLICT (source_id, external_id) DO UPDATE SET due_at = excluded.due_at
"""


FIND_SOURCE = """
SELECT list_sources.*, workspaces.has_test_clock AND NOT list_sources.livemode AS has_clock
FROM list_sources JOIN workspaces ON workspaces.id = list_sources.workspace_id WHERE list_sources.hook_hash = $1
"""


class FoundSource(rows.ListSourceRow, Protocol):
    """A source, and whether its sandbox lives in its own time."""

    @property
    def has_clock(self) -> bool:
        """Whether its sandbox has a clock."""
        ...


class HookAnswer(Resource, kw_only=True):
    """The result of a request to a hook URL."""

    object: Literal["hook_delivery"] = "hook_delivery"
    status: Annotated[
        str,
        about(
            "`taken`; `queued` to be looked up in the service; or `sampled`, if the list is not confirmed yet.",
            example="taken",
            enum=["taken", "queued", "sampled"],
        ),
    ]
    counts: Annotated[SyncCounts, about("The number of people by outcome.")]
    invalid: Annotated[list[SyncProblem], about("The people who could not be read, with the reason.", example=[])]


async def find_source(token: str) -> FoundSource:
    """Return the source whose hook URL holds this token. Raises NotFound."""
    found = None
    if len(token) <= MAX_TOKEN and token.isascii():
        found = await fetch_row(FoundSource, FIND_SOURCE, hash_token(token))
    if found is None:
        raise NotFound(UNKNOWN)
    return found


async def take_delivery(
    services: Services, source: rows.ListSourceRow, headers: Mapping[str, str], body: bytes
) -> HookAnswer:
    """Process a request to the hook URL of a source. A repeated delivery returns the first answer and changes nothing.

    Raises InvalidRequest, PermissionDenied, NotFound, RequestTooLarge, and Unavailable while the list is paused.
    """
    ctx = Context(source.workspace_id, source.livemode, source.actor, services=services)
    delivery = _read(ctx, source, headers, body)
    return await in_unit_of_work(lambda: _take(ctx, source.id, delivery))


def _read(ctx: Context, source: rows.ListSourceRow, headers: Mapping[str, str], body: bytes) -> HookDelivery:
    settings = connector_settings(ctx, source)
    # Parsing a posted body makes no network call, so this client is never used.
    connection = Connection(
        settings=settings, http=HttpClient(ctx.services.address_policy), now=ctx.services.real_clock
    )
    call = HookCall(headers=headers, body=body, now=ctx.services.real_clock())
    try:
        return open_connector(source.kind, connection).read_hook(call)
    except HookRefused as refused:
        raise hook_refusal(refused, unknown=UNKNOWN) from None
    except ConnectorError as error:
        raise InvalidRequest(error.message, code=ErrorCode.CALLBACK_INVALID) from None


def hook_refusal(refused: HookRefused, *, unknown: str) -> ApiError:
    """Return the error for a request that a connector refused; `unknown` is said of an address that is none."""
    match refused.status:
        case 404:
            return NotFound(unknown)
        case 413:
            return RequestTooLarge(f"The request is refused: {refused.reason}.")
        case 400:
            return InvalidRequest(f"The request cannot be read: {refused.reason}.", code=ErrorCode.CALLBACK_INVALID)
    return PermissionDenied(
        "The request is not the service's, or too old.",
        code=ErrorCode.CALLBACK_REFUSED,
    )


async def _take(ctx: Context, id: UUID, delivery: HookDelivery) -> HookAnswer:
    source = await scoped(ctx, ListSource).filter(id=id).select_for_update().first()
    if source is None:
        raise NotFound(UNKNOWN)
    name = hashlib.sha256(delivery.delivery_id.encode()).hexdigest()
    before = await fetch_value(READ_ANSWER, id, name)
    if before is not None:
        return msgspec.convert(before, HookAnswer)
    if source.is_paused or source.status is SourceStatus.STOPPED:
        raise Unavailable(
            "The syncs of this list are paused.", code=ErrorCode.SOURCE_PAUSED, retry_after=PAUSED_SECONDS
        )
    held = Held(ctx, source, ctx.services.clock())
    answer = await _act(held, delivery)
    await execute(KEEP_ANSWER, id, name, msgspec.json.encode(answer).decode(), held.now)
    return answer


async def _act(held: Held, delivery: HookDelivery) -> HookAnswer:
    if held.source.status is not SourceStatus.ACTIVE:
        return await _sample(held, delivery.people)
    if delivery.external_ids:
        await execute(QUEUE_LOOKUPS, held.source.id, list(dict.fromkeys(delivery.external_ids)), held.now)
        notify_after_commit(WorkQueue.IMPORTS)
    if not delivery.people:
        return _answer("queued", Taken())
    sync_id = await sync_runs.current_sync(held)
    taken = await sync_merge.take_people(held.ctx, held.source, sync_id, delivery.people, held.now, is_dry_run=False)
    await sync_runs.note_hook(held, taken)
    return _answer("taken", taken)


async def _sample(held: Held, people: Sequence[Person]) -> HookAnswer:
    """Dry-run the first people posted, and propose a mapping if there is none."""
    source = held.source
    taken = Taken()
    if people and source.status is SourceStatus.CHECKING:
        keys = dict.fromkeys(key for person in people for key in person.fields)
        source.columns = [{"key": key[:100], "label": key[:100], "type": "text"} for key in list(keys)[:200]]
        if not source.mapping:
            source.mapping = sync_merge.propose_mapping(source.columns, {})
        if "phone" in source.mapping.values():
            sync = await sync_runs.create_hook_sync(held, is_dry_run=True)
            taken = await sync_merge.take_people(held.ctx, source, sync.id, people, held.now, is_dry_run=True)
            await sync_runs.note(held, sync, taken)
            source.status = SourceStatus.CHECKED
        else:
            message = "No field that was posted is mapped to phone: choose the one that holds phone numbers."
            source.error = {"code": "mapping_missing", "message": message, "setting": "mapping"}
        await source.save()
    return _answer("sampled", taken)


def _answer(status: str, taken: Taken) -> HookAnswer:
    counts = {name: count for name, count in taken.counts.items() if count}
    return HookAnswer(
        status=status,
        counts=msgspec.convert(counts, SyncCounts),
        invalid=msgspec.convert(taken.problems, list[SyncProblem]),
    )
