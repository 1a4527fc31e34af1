"""Merge two contacts of one person into one that keeps the data of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from msvs.api import ids
from msvs.api.audit import AuditAction, record_audit
from msvs.api.consent import consent
from msvs.api.contacts.contacts import DETAILS, UPDATE_CONTACT, delete_contact, get_contact, lock_external_ids
from msvs.api.contacts.details import merge_attributes
from msvs.api.contacts.tags import MAX_TAGS, change_tags
from msvs.api.context import Context
from msvs.api.dispatch import cancellation
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.permissions import Permission, allow
from msvs.api.resources import ContactResource, Resource, contact_resource
from msvs.api.scope import scoped
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.database import encode_json, execute, fetch, fetch_value
from msvs.fields import ULID, Ref, Request, about, id_pattern
from msvs.models import Contact, OptInStatus

KEPT, OTHER = "kept", "other"
PREFERENCES = (KEPT, OTHER)
SOURCE = "merge"

IS_EITHER_SUPPRESSED = """
SELECT EXISTS (
    SELECT FROM suppressions WHERE workspace_id = $1 AND livemode = $2 AND canonical = ANY($3::varchar[])
)
"""
COUNT_NEW_LISTS = """
SELECT count(*) FROM list_members AS theirs JOIN contact_lists AS list ON list.id = theirs.list_id
WHERE list.workspace_id = $1 AND list.livemode = $2 AND theirs.contact_id = $4 AND NOT EXISTS (
    SELECT FROM list_members AS own WHERE own.list_id = theirs.list_id AND own.contact_id = $3
)
"""
COUNT_MESSAGES = """
SELECT (SELECT count(*) FROM messages WHERE workspace_id = $1 AND livemode = $2 AND contact_id = $3)
    + (SELECT count(*) FROM inbound_messages WHERE workspace_id = $1 AND livemode = $2 AND contact_id = $3)
"""
# Lock lists in id order before their members change, as `delete_contact` does.
LOCK_LISTS_OF_BOTH = """
SELECT count(*) FROM (
    SELECT 1 FROM contact_lists WHERE workspace_id = $1 AND livemode = $2
        AND id IN (SELECT list_id FROM list_members WHERE contact_id IN ($3, $4))
    ORDER BY id FOR NO KEY UPDATE
) AS locked
"""
JOIN_LISTS = """
INSERT INTO list_members (id, list_id, contact_id, created_at)
SELECT gen_random_uuid(), theirs.list_id, $3, theirs.created_at
FROM list_members AS theirs JOIN contact_lists AS list ON list.id = theirs.list_id
WHERE list.workspace_id = $1 AND list.livemode = $2 AND theirs.contact_id = $4
ORDER BY theirs.list_id ON CONFLICT DO NOTHING
"""
MOVE_MESSAGES = """
UPDATE messages SET contact_id = $3 WHERE workspace_id = $1 AND livemode = $2 AND contact_id = $4
"""
MOVE_INBOUND = """
UPDATE inbound_messages SET contact_id = $3 WHERE workspace_id = $1 AND livemode = $2 AND contact_id = $4
"""
MOVE_LINKS = "UPDATE short_links SET contact_id = $3 WHERE workspace_id = $1 AND livemode = $2 AND contact_id = $4"
MOVE_CONVERSIONS = (
    "UPDATE conversions SET contact_id = $3 WHERE workspace_id = $1 AND livemode = $2 AND contact_id = $4"
)
MOVE_NOTES = "UPDATE contact_notes SET contact_id = $3 WHERE workspace_id = $1 AND livemode = $2 AND contact_id = $4"
MOVE_ASSIGNMENT = """
UPDATE thread_assignments SET contact_id = $3 WHERE workspace_id = $1 AND livemode = $2 AND contact_id = $4
    AND NOT EXISTS (SELECT FROM thread_assignments AS own WHERE own.contact_id = $3)
"""
# The next sync finds the person under the kept contact.
MOVE_PEOPLE = """
UPDATE source_people SET contact_id = $3 WHERE contact_id = $4 AND source_id IN (
    SELECT id FROM list_sources WHERE workspace_id = $1 AND livemode = $2
)
"""
# An enrollment in a sequence that the kept contact was never in; any other ends with the contact that is gone.
MOVE_ENROLLMENTS = """
UPDATE sequence_enrollments SET contact_id = $3 WHERE workspace_id = $1 AND livemode = $2 AND contact_id = $4
    AND NOT EXISTS (
        SELECT FROM sequence_enrollments AS own
        WHERE own.sequence_id = sequence_enrollments.sequence_id AND own.contact_id = $3
    )
"""
MOVES = (
    *(MOVE_MESSAGES, MOVE_LINKS, MOVE_INBOUND, MOVE_NOTES, MOVE_ASSIGNMENT, MOVE_ENROLLMENTS, MOVE_PEOPLE),
    MOVE_CONVERSIONS,
)
# Campaigns not yet launched switch to the kept contact.
READ_AUDIENCES = """
SELECT id, audience FROM campaigns
WHERE workspace_id = $1 AND livemode = $2 AND status IN ('draft', 'scheduled') AND audience -> 'contact_ids' ? $3
ORDER BY id FOR NO KEY UPDATE
"""
WRITE_AUDIENCE = "UPDATE campaigns SET audience = $4::jsonb WHERE workspace_id = $1 AND livemode = $2 AND id = $3"


class MergeContacts(Request, frozen=True, kw_only=True):
    """A contact to merge into another."""

    contact_id: Annotated[
        str,
        Ref(ids.CONTACT),
        about("The contact that is merged, and then gone.", pattern=id_pattern(ids.CONTACT), example=f"con_{ULID}"),
    ]
    prefer: Annotated[
        str, about("Whose values win where both have one; the default is `kept`.", enum=[*PREFERENCES])
    ] = KEPT
    dry_run: Annotated[bool, about("Whether to only show what would result.", example=True)] = False


class ContactMergeResource(Resource, kw_only=True):
    """What a merge of two contacts results in."""

    object: Literal["contact_merge"] = "contact_merge"
    dry_run: Annotated[bool, about("Whether nothing was changed.", example=False)]
    contact: Annotated[ContactResource, about("The contact that is kept.")]
    merged_id: Annotated[str, about("The id of the contact that is gone.", example=f"con_{ULID}")]
    lists_joined: Annotated[int, about("How many lists it joined.", example=1)]
    messages_moved: Annotated[int, about("How many messages of the other are its own now.", example=12)]


@dataclass(frozen=True, slots=True)
class _Result:
    """The values of the kept contact after the merge."""

    details: Mapping[str, str | None]
    attributes: Mapping[str, object]
    tags: list[str]
    is_out: bool


async def merge_contacts(ctx: Context, id: UUID, data: MergeContacts) -> ContactMergeResource:
    """Merge another contact into `id`, which keeps its phone and gets the lists, tags, messages and notes of both.

    Consent belongs to a phone, so the kept contact keeps its own; but an opt-out of either contact opts it out. The
    other phone stays suppressed if it was. Raises NotFound, and InvalidRequest if the merged values exceed a limit.
    """
    allow(ctx, Permission.CONTACTS_WRITE)
    if data.prefer not in PREFERENCES:
        raise InvalidRequest(f"prefer must be one of: {', '.join(PREFERENCES)}.", param="prefer")
    other_id = ids.read_id(ids.CONTACT, data.contact_id, "contact_id")
    if other_id == id:
        raise InvalidRequest("A contact is not merged with itself.", param="contact_id")
    await lock_external_ids(ctx)
    kept, other = await _lock_both(ctx, id, other_id)
    result = await _result_of(ctx, kept, other, data.prefer)
    scope = (ctx.workspace_id, ctx.livemode)
    joined = int(await fetch_value(COUNT_NEW_LISTS, *scope, id, other_id))
    moved = int(await fetch_value(COUNT_MESSAGES, *scope, other_id))
    if data.dry_run:
        return _shape(_preview(kept, result), other, joined, moved, dry_run=True)
    await _merge(ctx, kept, other, result)
    merged = await get_contact(ctx, id)
    now = ctx.services.clock()
    shape = _shape(contact_resource(merged), other, joined, moved, dry_run=False)
    told = msgspec.structs.replace(shape.contact, merged_id=shape.merged_id)
    await record_events([NewEvent(EventType.CONTACT_MERGED, *scope, id, told)], now)
    await record_audit(
        ctx,
        AuditAction.CONTACT_MERGED,
        ids.encode_id(ids.CONTACT, id),
        {"livemode": ctx.livemode, "merged": shape.merged_id, "messages": moved},
    )
    return shape


async def _lock_both(ctx: Context, id: UUID, other_id: UUID) -> tuple[Contact, Contact]:
    """Lock both contacts in id order, so that concurrent merges do not deadlock. Raises NotFound."""
    both = scoped(ctx, Contact).filter(id__in=[id, other_id]).order_by("id").select_for_update()
    found = {row.id: row for row in await both}
    for each, param in ((id, "id"), (other_id, "contact_id")):
        if each not in found:
            raise ids.missing("contact", ids.encode_id(ids.CONTACT, each), param=param)
    return found[id], found[other_id]


async def _result_of(ctx: Context, kept: Contact, other: Contact, prefer: str) -> _Result:
    first, second = (kept, other) if prefer == KEPT else (other, kept)
    details = {
        name: getattr(first, name) if getattr(first, name) is not None else getattr(second, name) for name in DETAILS
    }
    tags = sorted({*kept.tags, *other.tags})
    if len(tags) > max(MAX_TAGS, len(kept.tags)):
        raise InvalidRequest(
            f"A contact has at most {MAX_TAGS} tags: first remove some from either contact.",
            param="contact_id",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )
    phones = [kept.canonical, other.canonical]
    is_out = OptInStatus.OPTED_OUT in (kept.opt_in_status, other.opt_in_status) or bool(
        await fetch_value(IS_EITHER_SUPPRESSED, ctx.workspace_id, ctx.livemode, phones)
    )
    return _Result(details, merge_attributes(second.attributes, first.attributes), tags, is_out)


def _preview(kept: Contact, result: _Result) -> ContactResource:
    shape = msgspec.structs.replace(
        contact_resource(kept), **result.details, attributes=dict(result.attributes), tags=result.tags
    )
    if not result.is_out or kept.opt_in_status is OptInStatus.OPTED_OUT:
        return shape
    return msgspec.structs.replace(
        shape, opt_in=msgspec.structs.replace(shape.opt_in, status="opted_out", source=SOURCE, ip=None, at=None)
    )


def _shape(contact: ContactResource, other: Contact, joined: int, moved: int, *, dry_run: bool) -> ContactMergeResource:
    return ContactMergeResource(
        dry_run=dry_run,
        contact=contact,
        merged_id=ids.encode_id(ids.CONTACT, other.id),
        lists_joined=joined,
        messages_moved=moved,
    )


async def _merge(ctx: Context, kept: Contact, other: Contact, result: _Result) -> None:
    """Merge, taking locks in the common order: contacts, suppressions, lists, tags, messages."""
    now = ctx.services.clock()
    both = (ctx.workspace_id, ctx.livemode, kept.id, other.id)
    if result.is_out and kept.opt_in_status is not OptInStatus.OPTED_OUT:
        await consent.opt_out(ctx, kept, source=SOURCE, now=now)
    await fetch_value(LOCK_LISTS_OF_BOTH, *both)
    await execute(JOIN_LISTS, *both)
    await change_tags(ctx, [kept.id], add=result.tags, now=now)
    # Cancel pending campaign messages to the removed phone first; they move to the kept contact with the others.
    await cancellation.cancel_campaign_contact(ctx, other.id, reason="recipient_deleted", now=now)
    for move in MOVES:
        await execute(move, *both)
    await _rename(ctx, kept.id, other.id)
    await delete_contact(ctx, other.id)
    await _write(ctx, kept, result, now)


async def _write(ctx: Context, kept: Contact, result: _Result, now: datetime) -> None:
    values = (result.details[name] for name in DETAILS)
    attributes = encode_json(dict(result.attributes))
    await execute(UPDATE_CONTACT, kept.id, ctx.workspace_id, ctx.livemode, attributes, now, *values)


async def _rename(ctx: Context, kept_id: UUID, other_id: UUID) -> None:
    """Replace the other contact by the kept one in the audiences of campaigns not yet launched."""
    scope = (ctx.workspace_id, ctx.livemode)
    name, gone = ids.encode_id(ids.CONTACT, kept_id), ids.encode_id(ids.CONTACT, other_id)
    for row in await fetch(READ_AUDIENCES, *scope, gone):
        named = [name if each == gone else each for each in row.audience["contact_ids"]]
        audience = {**row.audience, "contact_ids": [*dict.fromkeys(named)]}
        await execute(WRITE_AUDIENCE, *scope, row.id, encode_json(audience))
