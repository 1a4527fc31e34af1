"""Bulk actions: opt out, delete, erase, tag or list all contacts that match; created here, run by a worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal, Protocol
from uuid import UUID

import msgspec
from tortoise.queryset import QuerySet

from msvs.api import ids
from msvs.api.audit import AuditAction, record_audit
from msvs.api.contacts import lists
from msvs.api.contacts.contact_filters import check_attribute_values, compile_contacts
from msvs.api.contacts.contacts import MAX_SEARCH, ListContacts
from msvs.api.contacts.details import MAX_ATTRIBUTE_KEY, MAX_ATTRIBUTE_VALUE, MAX_ATTRIBUTES
from msvs.api.contacts.tags import MAX_TAGS, TAG, read_tags
from msvs.api.context import Context
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest
from msvs.api.pages import Page, PageQuery, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow
from msvs.api.resources import Resource, moment, optional_moment
from msvs.api.scope import find, scoped
from msvs.api.unit_of_work import WorkQueue, notify_after_commit
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.database import execute, fetch
from msvs.fields import ULID, AwareTime, Ref, Request, about, id_pattern, named
from msvs.json_types import JSONObject
from msvs.models import BulkAction, BulkKind, BulkStatus, ContactList, OptInStatus, rows

MAX_NAMED = 1000
# The most queued and running actions per workspace and mode.
MAX_WAITING = 10
DUE = (BulkStatus.QUEUED, BulkStatus.RUNNING)
TAGGING = (BulkKind.TAG, BulkKind.UNTAG)
LISTING = (BulkKind.ADD_TO_LIST, BulkKind.REMOVE_FROM_LIST)
FIRST = UUID(int=0)


class CreateBulkAction(Request, frozen=True, kw_only=True):
    """An action on all contacts that meet every condition, or on those named."""

    action: Annotated[str, about("What is done to each contact.", example="tag", enum=[*BulkKind])]
    dry_run: Annotated[bool, about("Whether the contacts are only counted.", example=True)] = False
    tags: (
        Annotated[
            list[Annotated[str, about(**TAG)]],
            about("The tags of `tag` and `untag`, which need some.", example=["vip"], maxItems=MAX_TAGS),
        ]
        | None
    ) = None
    target_list_id: (
        Annotated[
            str,
            Ref(ids.CONTACT_LIST),
            about(
                "The list of `add_to_list` and `remove_from_list`, which need one.",
                pattern=id_pattern(ids.CONTACT_LIST),
            ),
        ]
        | None
    ) = None
    every: Annotated[bool, about("Whether all contacts are meant; required if there is no condition.")] = False
    contact_ids: (
        Annotated[
            list[Annotated[str, about(pattern=id_pattern(ids.CONTACT))]],
            about("The contacts, by their ids; then there is no other condition.", maxItems=MAX_NAMED),
        ]
        | None
    ) = None
    search: Annotated[str, about("Only contacts that a search finds by it.", **named(MAX_SEARCH))] | None = None
    list_id: (
        Annotated[
            str, Ref(ids.CONTACT_LIST), about("Only contacts on this list.", pattern=id_pattern(ids.CONTACT_LIST))
        ]
        | None
    ) = None
    segment_id: (
        Annotated[str, Ref(ids.SEGMENT), about("Only contacts of this segment.", pattern=id_pattern(ids.SEGMENT))]
        | None
    ) = None
    tag: Annotated[str, about("Only contacts with this tag.", example="webinar", **TAG)] | None = None
    opt_in_status: Annotated[str, about("Only contacts of this opt-in status.", enum=[*OptInStatus])] | None = None
    unreachable: (
        Annotated[
            bool, about("Only contacts that campaigns skip because messages to their number failed again and again.")
        ]
        | None
    ) = None
    attributes: (
        Annotated[
            dict[str, Annotated[str, about(maxLength=MAX_ATTRIBUTE_VALUE)]],
            about(
                "Only contacts with these values of attributes.",
                minProperties=1,
                maxProperties=MAX_ATTRIBUTES,
                propertyNames=named(MAX_ATTRIBUTE_KEY),
            ),
        ]
        | None
    ) = None
    created_from: Annotated[AwareTime, about("Only contacts created at this time or later.")] | None = None
    created_before: Annotated[AwareTime, about("Only contacts created before this time.")] | None = None
    updated_from: Annotated[AwareTime, about("Only contacts changed at this time or later.")] | None = None
    updated_before: Annotated[AwareTime, about("Only contacts last changed before this time.")] | None = None


class ListBulkActions(PageQuery, frozen=True, kw_only=True):
    """Which bulk actions."""

    status: Annotated[str, about("Only those of this status.", enum=[*BulkStatus])] | None = None


CONDITIONS = (
    *("search", "list_id", "segment_id", "tag", "opt_in_status", "unreachable", "attributes"),
    *("created_from", "created_before", "updated_from", "updated_before"),
)
# The conditions that can name a person: events leave them out, and an erasure deletes them.
NAMING = ("search", "contact_ids", "attributes")
_DUE = ", ".join(f"'{status}'" for status in DUE)
_HAS_ENDED = f"status NOT IN ({_DUE})"
# What is under way still needs its conditions.
FORGET_BULK_ACTIONS = f"""
UPDATE bulk_actions SET options = options - $4::text[]
WHERE workspace_id = $1 AND livemode = $2 AND {_HAS_ENDED}
    AND EXISTS (SELECT FROM unnest($3::text[]) AS named WHERE strpos(lower(options::text), lower(named)) > 0)
"""
FIND_NAMING = f"""
SELECT id, options FROM bulk_actions
WHERE workspace_id = $1 AND livemode = $2 AND {_HAS_ENDED}
    AND (options ->> 'search' IS NOT NULL OR jsonb_typeof(options -> 'attributes') = 'object') ORDER BY id FOR UPDATE
"""
FORGET_NAMING = """
UPDATE bulk_actions SET options = options - $4::text[] WHERE workspace_id = $1 AND livemode = $2 AND id = $3
"""


class _Asked(Protocol):
    id: UUID
    options: JSONObject


class BulkFault(Resource, kw_only=True):
    """Why a bulk action failed."""

    code: Annotated[str, about("The code of the catalogue.", example="resource_missing")]
    message: Annotated[str, about("What is wrong, for people.", example="No such list.")]


class BulkActionResource(Resource, kw_only=True):
    """An action on many contacts, and how far it is."""

    id: Annotated[str, about(example=f"blk_{ULID}")]
    object: Literal["bulk_action"] = "bulk_action"
    livemode: Annotated[bool, about("Whether it is live; false in the sandbox.")]
    action: Annotated[str, about("What is done to each contact.", example="tag", enum=[*BulkKind])]
    status: Annotated[str, about("How far it is.", example="completed", enum=[*BulkStatus])]
    dry_run: Annotated[bool, about("Whether the contacts are only counted.", example=False)]
    conditions: Annotated[JSONObject, about("What it was asked for.", example={"tag": "lead", "tags": ["webinar"]})]
    matched: Annotated[int, about("How many contacts it found so far.", example=120)]
    changed: Annotated[int, about("How many of them it changed so far; the others were so already.", example=118)]
    error: Annotated[BulkFault, about("Why it failed.")] | None
    created_at: Annotated[str, about("When it was made.")]
    updated_at: Annotated[str, about("When it last went on.")]
    started_at: Annotated[str, about("When it was begun.")] | None
    ended_at: Annotated[str, about("When it ended.")] | None


def bulk_action_resource(row: rows.BulkActionRow, *, has_people: bool = True) -> BulkActionResource:
    """Return the resource of a bulk action; without `has_people`, its conditions name no person."""
    left_out = () if has_people else NAMING
    return BulkActionResource(
        id=ids.encode_id(ids.BULK_ACTION, row.id),
        livemode=row.livemode,
        action=str(row.kind),
        status=str(row.status),
        dry_run=request_of(row).dry_run,
        conditions={name: value for name, value in conditions_of(row).items() if name not in left_out},
        matched=row.matched,
        changed=row.changed,
        error=None if row.error is None else fault_of(row.error),
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
        started_at=optional_moment(row.started_at),
        ended_at=optional_moment(row.ended_at),
    )


def request_of(row: rows.BulkActionRow) -> CreateBulkAction:
    """Return the request that created a bulk action."""
    return msgspec.convert(row.options, CreateBulkAction)


def fault_of(error: JSONObject) -> BulkFault:
    """Return the resource of the error that ended a bulk action."""
    return msgspec.convert(error, BulkFault)


def conditions_of(row: rows.BulkActionRow) -> JSONObject:
    """Return the conditions and options of a bulk action, as requested."""
    return {
        name: value
        for name, value in row.options.items()
        if name not in ("action", "dry_run") and value is not None and (value is not False or name in CONDITIONS)
    }


def which_of(request: CreateBulkAction) -> ListContacts:
    """Return the conditions of a bulk action as filters of the contact list."""
    return ListContacts(**{name: getattr(request, name) for name in CONDITIONS})


async def create_bulk_action(ctx: Context, data: CreateBulkAction) -> BulkAction:
    """Create a bulk action. Raises InvalidRequest, PermissionDenied, Conflict `list_synced`, `bulk_action_limit`."""
    allow(ctx, Permission.CONTACTS_WRITE)
    kind = _read_kind(data.action)
    if kind is BulkKind.ERASE:
        allow(ctx, Permission.CONTACTS_ERASE)
    check_attribute_values(data.attributes)
    await _check(ctx, kind, data)
    if await scoped(ctx, BulkAction).filter(status__in=DUE).count() >= MAX_WAITING:
        raise Conflict(
            f"{MAX_WAITING} bulk actions are queued or running: wait for one to end, or cancel one.",
            code=ErrorCode.BULK_ACTION_LIMIT,
        )
    row = await BulkAction.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        kind=kind,
        actor=ctx.actor,
        options=msgspec.to_builtins(data),
        done_id=FIRST,
        last_id=ids.id_after(ctx.services.clock()),
    )
    await record_audit(
        ctx,
        AuditAction.BULK_ACTION_CREATED,
        ids.encode_id(ids.BULK_ACTION, row.id),
        {"action": kind.value, "dry_run": data.dry_run, "livemode": ctx.livemode},
    )
    notify_after_commit(WorkQueue.IMPORTS)
    return row


async def get_bulk_action(ctx: Context, id: UUID) -> BulkAction:
    """Return one bulk action. Raises NotFound."""
    return await _find(ctx, id)


async def list_bulk_actions(ctx: Context, page: PageRequest, which: ListBulkActions | None = None) -> Page[BulkAction]:
    """List bulk actions, newest first. Raises InvalidRequest."""
    return await fetch_page(bulk_action_query(ctx, which or ListBulkActions()), page)


def bulk_action_query(ctx: Context, which: ListBulkActions) -> QuerySet[BulkAction]:
    """Return the query of bulk actions. Raises InvalidRequest."""
    query = scoped(ctx, BulkAction)
    if which.status is None:
        return query
    if which.status not in set(BulkStatus):
        raise InvalidRequest(f"status must be one of: {', '.join(BulkStatus)}.", param="status")
    return query.filter(status=BulkStatus(which.status))


async def cancel_bulk_action(ctx: Context, id: UUID) -> BulkAction:
    """Cancel a bulk action, keeping its changes so far; return one that has ended unchanged. Raises NotFound."""
    allow(ctx, Permission.CONTACTS_WRITE)
    row = await _find(ctx, id, lock=True)
    if row.status in DUE:
        await end_bulk_action(row, BulkStatus.CANCELED, ctx.services.clock())
    return row


async def end_bulk_action(
    row: BulkAction, status: BulkStatus, now: datetime, error: Mapping[str, str] | None = None
) -> None:
    """End a bulk action whose row the caller has locked, release its lease, and record its event."""
    row.status = status
    row.error = None if error is None else dict(error)
    row.ended_at = now
    row.lease_token = row.lease_until = None
    if row.kind is BulkKind.ERASE and not request_of(row).dry_run:
        # The conditions may name the people who are erased.
        row.options = {name: value for name, value in row.options.items() if name not in NAMING}
    await row.save()
    resource = bulk_action_resource(row, has_people=False)
    event = NewEvent(EventType.BULK_ACTION_COMPLETED, row.workspace_id, row.livemode, row.id, resource)
    await record_events([event], now)


async def forget_ids(ctx: Context, texts: Sequence[str]) -> None:
    """Delete the conditions that name people from the bulk actions that have ended and hold one of the texts."""
    await execute(FORGET_BULK_ACTIONS, ctx.workspace_id, ctx.livemode, list(texts), list(NAMING))


async def forget_names(ctx: Context, is_named: Callable[[str], bool]) -> None:
    """Delete the searches and attribute values that name a person from the bulk actions that have ended."""
    for row in await fetch(_Asked, FIND_NAMING, ctx.workspace_id, ctx.livemode):
        search, attributes = row.options.get("search"), row.options.get("attributes")
        texts: dict[str, list[object]] = {
            "search": [search] if isinstance(search, str) else [],
            "attributes": list(attributes.values()) if isinstance(attributes, dict) else [],
        }
        named = [name for name, values in texts.items() if any(is_named(str(value)) for value in values)]
        if named:
            await execute(FORGET_NAMING, ctx.workspace_id, ctx.livemode, row.id, named)


def read_contact_ids(texts: Sequence[str]) -> list[UUID]:
    """Decode the contact ids of an action that was accepted."""
    return [id for text in texts if (id := ids.decode_id(ids.CONTACT, text)) is not None]


def _check_contact_ids(texts: Sequence[str]) -> None:
    """Check that each contact is named by an id. Raises InvalidRequest."""
    if len(texts) > MAX_NAMED:
        raise InvalidRequest(
            f"contact_ids holds at most {MAX_NAMED} ids.", param="contact_ids", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    for position, text in enumerate(texts):
        ids.read_id(ids.CONTACT, text, f"contact_ids[{position}]")


def _read_kind(text: str) -> BulkKind:
    if text not in set(BulkKind):
        raise InvalidRequest(f"action must be one of: {', '.join(BulkKind)}.", param="action")
    return BulkKind(text)


async def _check(ctx: Context, kind: BulkKind, data: CreateBulkAction) -> None:
    """Check the options of a bulk action. Raises InvalidRequest, and Conflict `list_synced`."""
    tags = read_tags(data.tags or (), param="tags")
    _require(kind in TAGGING, bool(tags), "tags", kind)
    list_id = ids.read_optional_id(ids.CONTACT_LIST, data.target_list_id, "target_list_id")
    _require(kind in LISTING, list_id is not None, "target_list_id", kind)
    if list_id is not None:
        row = await _find_list(ctx, list_id, "target_list_id")
        lists.refuse_synced(row)
    has_conditions = any(getattr(data, name) is not None for name in CONDITIONS)
    if [data.every, data.contact_ids is not None, has_conditions].count(True) != 1:
        raise InvalidRequest(
            "Give contact_ids, or conditions, or every: true for all contacts.",
            param="contact_ids",
            code=ErrorCode.PARAMETER_MISSING,
        )
    _check_contact_ids(data.contact_ids or ())
    await compile_contacts(ctx, which_of(data), 1)
    for name in CONDITIONS:
        value = getattr(data, name)
        if value == {} or (isinstance(value, str) and not value.strip()):
            # It filters nothing: the action would affect more contacts than were meant, if not every one.
            raise InvalidRequest(
                f"{name} is blank: give a value, or leave it out.", param=name, code=ErrorCode.PARAMETER_MISSING
            )
    asked = ids.read_optional_id(ids.CONTACT_LIST, data.list_id, "list_id")
    if asked is not None:
        await _find_list(ctx, asked, "list_id")


def _require(is_needed: bool, is_given: bool, name: str, kind: BulkKind) -> None:
    if is_needed and not is_given:
        raise InvalidRequest(f"Missing required parameter: {name}.", code=ErrorCode.PARAMETER_MISSING, param=name)
    if is_given and not is_needed:
        raise InvalidRequest(f"{name} does not apply to {kind}.", param=name)


async def _find_list(ctx: Context, id: UUID, param: str) -> ContactList:
    row = await scoped(ctx, ContactList).filter(id=id).first()
    if row is None:
        raise InvalidRequest(
            f"No such list: '{ids.encode_id(ids.CONTACT_LIST, id)}'.", code=ErrorCode.RESOURCE_MISSING, param=param
        )
    return row


async def _find(ctx: Context, id: UUID, *, lock: bool = False) -> BulkAction:
    return await find(ctx, BulkAction, id, prefix=ids.BULK_ACTION, noun="bulk action", lock=lock)
