"""Contacts: the people who receive messages, one for each phone in each mode."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from asyncpg import UniqueViolationError
from msgspec import UNSET, UnsetType

from msvs.api import ids
from msvs.api.consent import consent, revocation
from msvs.api.consent.consent import Evidence
from msvs.api.contacts.details import (
    EARLIEST,
    IMPORTED,
    MAX_ATTRIBUTE_KEY,
    MAX_ATTRIBUTE_VALUE,
    MAX_ATTRIBUTES,
    MAX_NAME,
    MAX_SOURCE,
    merge_attributes,
    read_detail,
    read_ip,
    read_name,
)
from msvs.api.contacts.tags import TAG
from msvs.api.context import Context, lock_number
from msvs.api.dispatch import cancellation, reachability
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest, check_version
from msvs.api.pages import OrderField, PageQuery
from msvs.api.permissions import Permission, allow
from msvs.api.resources import contact_version
from msvs.api.scope import find
from msvs.api.settings_of_mode import find_settings
from msvs.api.text.emails import MAX_EMAIL
from msvs.api.text.phones import Phone, canonical, parse_phone
from msvs.api.unit_of_work import unit_of_work
from msvs.database import encode_json, execute, fetch, fetch_row, fetch_value
from msvs.fields import E164, REQUIRED, AwareTime, Ref, Request, Version, about, id_pattern, named
from msvs.json_types import JSONObject
from msvs.models import Contact, ListMember, OptInStatus
from msvs.models.messages import KeptWarning
from msvs.models.rows import ContactRow

MAX_USER_AGENT = 300
MAX_AGREED_TEXT = 5000
MAX_VERSION = 60
MAX_SEARCH = 100
CONSENT_NOT_CARRIED_OVER = "consent_not_carried_over"
CHANGED_PHONE = (
    "The new phone, in E.164 format. Consent belongs to a number: it becomes `unknown`, or `opted_out` if that number"
    " opted out, unless `opt_in` has evidence for it; the answer then has a warning."
)
# Of a phone number (E.164).
MAX_DIGITS = 15
ON_CONFLICT = ("refuse", "update")

_line_breaks = re.compile(r"[\r\n\t]")
is_phone_like = re.compile(r"[0-9+(). -]*[0-9][0-9+(). -]*").fullmatch


FirstName = Annotated[str, about("The first name.", **named(MAX_NAME))]
LastName = Annotated[str, about("The last name.", **named(MAX_NAME))]
Email = Annotated[str, about("The e-mail address.", format="email", maxLength=MAX_EMAIL)]
Timezone = Annotated[str, about("An IANA time zone such as America/New_York.")]
ExternalId = Annotated[str, about("The id of the contact in your own system; it must be unique.", **named(MAX_NAME))]
Attributes = Annotated[
    JSONObject,
    about(
        f"Values for {{variables}} and segments: at most {MAX_ATTRIBUTES} strings, numbers and booleans.",
        propertyNames=named(MAX_ATTRIBUTE_KEY),
        additionalProperties={
            "anyOf": [
                {"type": "string", "maxLength": MAX_ATTRIBUTE_VALUE},
                {"type": "number"},
                {"type": "boolean"},
                {"type": "null"},
            ]
        },
    ),
]


class OptInEvidence(Request, frozen=True):
    """Evidence that a person agreed to receive texts."""

    source: (
        Annotated[
            str,
            REQUIRED,
            about("Where consent was given, such as `checkout`.", example="checkout", **named(MAX_SOURCE)),
        ]
        | None
    ) = None
    ip: Annotated[str, about("The IPv4 or IPv6 address it was given from.", example="203.0.113.4")] | None = None
    user_agent: Annotated[str, about("The browser it was given with.", **named(MAX_USER_AGENT))] | None = None
    text: (
        Annotated[
            str,
            about(
                "What the person agreed to, word for word.",
                example="Text me about Cohort 06.",
                **named(MAX_AGREED_TEXT),
            ),
        ]
        | None
    ) = None
    version: Annotated[str, about("Your version of that text.", example="2026-04", **named(MAX_VERSION))] | None = None
    at: (
        Annotated[
            AwareTime,
            about(
                "ISO-8601 time with an offset at which the person agreed; not in the future.",
                example="2026-05-02T09:30:00Z",
            ),
        ]
        | None
    ) = None
    renewed: Annotated[
        bool,
        about(
            "Whether the person agreed again: with an `at` after a STOP, that undoes the STOP. No other evidence does.",
            example=True,
        ),
    ] = False


class NewContact(Request, frozen=True):
    """The values of a contact to create."""

    phone: Annotated[E164, about(example="+14155550123")]
    first_name: Annotated[FirstName, about(example="Maria")] | None = None
    last_name: Annotated[LastName, about(example="Silva")] | None = None
    email: Annotated[Email, about(example="maria@example.com")] | None = None
    opt_in: Annotated[
        OptInEvidence | None,
        about("How the person agreed to be texted.", example={"source": "checkout", "ip": "203.0.113.4"}),
    ] = None
    attributes: (
        Annotated[Attributes, about(example={"tier": "vip", "joined_at": "2026-04-22"}, maxProperties=MAX_ATTRIBUTES)]
        | None
    ) = None
    timezone: Timezone | None = None
    external_id: Annotated[ExternalId, about(example="customer-4711")] | None = None


class CreateContact(NewContact, frozen=True):
    """A new contact."""

    on_conflict: (
        Annotated[
            str,
            about(
                "Where a contact has the external_id, or else the phone: `update` changes it, and what is not said"
                " stays; `refuse`, the default, answers 409.",
                enum=[*ON_CONFLICT],
            ),
        ]
        | None
    ) = None


class UpdateContact(Request, frozen=True):
    """Changes to a contact. Fields that are left out stay; null clears a field."""

    phone: Annotated[E164, about(CHANGED_PHONE)] | UnsetType = UNSET
    first_name: FirstName | UnsetType | None = UNSET
    last_name: Annotated[LastName, about(example="Santos")] | UnsetType | None = UNSET
    email: Email | UnsetType | None = UNSET
    opt_in: Annotated[OptInEvidence, about("Evidence that the person agreed again to receive texts.")] | UnsetType = (
        UNSET
    )
    attributes: (
        Annotated[
            Attributes,
            about(
                "Your own values to set; null removes a value.",
                example={"tier": "gold", "joined_at": None},
            ),
        ]
        | UnsetType
    ) = UNSET
    timezone: Timezone | UnsetType | None = UNSET
    external_id: ExternalId | UnsetType | None = UNSET
    version: Version | UnsetType = UNSET


class ListContacts(PageQuery, frozen=True, kw_only=True):
    """The filter."""

    search: (
        Annotated[
            str,
            about(
                "Parts of a name or e-mail address, in any case and with or without accents, or a phone as people write"
                " it, such as (415) 555-0123.",
                maxLength=MAX_SEARCH,
            ),
        ]
        | None
    ) = None
    q: (
        Annotated[str, about("The former name of `search`; with both, contacts meet each.", maxLength=MAX_SEARCH)]
        | None
    ) = None
    phone: Annotated[E164, about("Only the contact of this phone, in E.164 format.")] | None = None
    email: Annotated[Email, about("The whole e-mail address, in any case.")] | None = None
    external_id: Annotated[ExternalId, about("Only the contact of this external id.")] | None = None
    list_id: (
        Annotated[
            str, Ref(ids.CONTACT_LIST), about("Only contacts on this list.", pattern=id_pattern(ids.CONTACT_LIST))
        ]
        | None
    ) = None
    segment_id: (
        Annotated[
            str,
            Ref(ids.SEGMENT),
            about("Only contacts that this segment holds at this moment.", pattern=id_pattern(ids.SEGMENT)),
        ]
        | None
    ) = None
    tag: Annotated[str, about("Only contacts with this tag, in any case.", **TAG)] | None = None
    opt_in_status: Annotated[str, about("Only contacts of this opt-in status.", enum=[*OptInStatus])] | None = None
    unreachable: (
        Annotated[
            Literal["true", "false"],
            about(
                "`true`: only contacts that campaigns skip because messages to their number failed again and again."
                " `false`: only the others.",
                type="string",
            ),
        ]
        | None
    ) = None
    attributes: (
        Annotated[
            dict[str, Annotated[str, about(maxLength=MAX_ATTRIBUTE_VALUE)]],
            about(
                "Only contacts whose attributes have these values under these keys. A string also finds the"
                " number or boolean that it spells.",
                maxProperties=MAX_ATTRIBUTES,
            ),
        ]
        | None
    ) = None
    created_from: Annotated[AwareTime, about("Only contacts created at this time or later.")] | None = msgspec.field(
        name="created_at[gte]", default=None
    )
    created_before: Annotated[AwareTime, about("Only contacts created before this time.")] | None = msgspec.field(
        name="created_at[lt]", default=None
    )
    updated_from: Annotated[AwareTime, about("Only contacts changed at this time or later.")] | None = msgspec.field(
        name="updated_at[gte]", default=None
    )
    updated_before: Annotated[AwareTime, about("Only contacts last changed before this time.")] | None = msgspec.field(
        name="updated_at[lt]", default=None
    )
    order: OrderField | None = None


# What is told of a contact besides its phone and attributes: the column of each text.
DETAILS = (
    # Files tell them too.
    *IMPORTED,
)


FIND_BY_EXTERNAL_ID = "SELECT * FROM contacts WHERE workspace_id = $1 AND livemode = $2 AND external_id = $3"
FIND_BY_PHONE = "SELECT * FROM contacts WHERE workspace_id = $1 AND livemode = $2 AND canonical = $3"
LOCK_BY_PHONE = f"{FIND_BY_PHONE} FOR NO KEY UPDATE"

# A phone that was erased while it was suppressed is suppressed in plain again before anything is sent to it; it may
# have been so in several spellings.
SUPPRESSION = """
WITH restored AS (
    DELETE FROM erased_suppressions
    WHERE workspace_id = $2 AND livemode = $3 AND phone_hash = ANY({hashes}::varchar[]) RETURNING id, source, created_at
), plain AS (
    INSERT INTO suppressions (id, workspace_id, livemode, phone, source, created_at)
    SELECT id, $2, $3, $4, source, created_at FROM restored ORDER BY created_at, id ON CONFLICT DO NOTHING
), stop AS (
    SELECT source, created_at FROM suppressions WHERE workspace_id = $2 AND livemode = $3 AND canonical = {canonical}
    UNION ALL SELECT source, created_at FROM restored LIMIT 1
)
"""

# A suppressed phone makes a contact that is opted out, for the reason and since the time of its suppression.
INSERT_CONTACT = f"""
{SUPPRESSION.format(hashes="$9", canonical="$10")}
INSERT INTO contacts (id, workspace_id, livemode, phone, region, number_kind, attributes, opt_in_status, opt_in_source,
    opt_in_at, created_at, updated_at, is_automatic, {", ".join(DETAILS)})
SELECT $1::uuid, $2::uuid, $3::bool, $4::varchar, $5::varchar, $6::varchar, $7::jsonb,
    CASE WHEN stop.source IS NULL THEN 'unknown' ELSE 'opted_out' END, stop.source, stop.created_at,
    $8::timestamptz, $8::timestamptz, $11::bool,
    {", ".join(f"${place}::varchar" for place in range(12, 12 + len(DETAILS)))}
FROM (VALUES (1)) AS one LEFT JOIN stop ON true
ON CONFLICT DO NOTHING
RETURNING *
"""

UPDATE_CONTACT = f"""
UPDATE contacts SET attributes = $4::jsonb, updated_at = $5, is_automatic = false,
    {", ".join(f"{column} = ${place}" for place, column in enumerate(DETAILS, start=6))}
WHERE id = $1 AND workspace_id = $2 AND livemode = $3
"""

CHANGE_PHONE = f"""
{SUPPRESSION.format(hashes="$8", canonical="$9")}
UPDATE contacts SET phone = $4, region = $5, number_kind = $6, updated_at = $7,
    opt_in_status = CASE WHEN stop.source IS NULL THEN 'unknown' ELSE 'opted_out' END,
    opt_in_source = stop.source, opt_in_ip = NULL, opt_in_at = stop.created_at,
    unreachable_at = NULL, unreachable_code = NULL, reached_at = NULL
FROM (VALUES (1)) AS one LEFT JOIN stop ON true
WHERE contacts.id = $1 AND contacts.workspace_id = $2 AND contacts.livemode = $3
"""

# Those who are opted in and suppressed all the same.
SUPPRESSED_AT_ONCE = """
SELECT 1 FROM suppressions JOIN contacts USING (workspace_id, livemode, canonical)
WHERE workspace_id = $1 AND livemode = $2 AND canonical = $3 AND opt_in_status = 'opted_in'
"""

# In the order of their ids: two deletions that lower the counts of the same lists must not wait for each other.
LOCK_LISTS = """
SELECT count(*) FROM (
    SELECT 1 FROM contact_lists WHERE workspace_id = $2 AND livemode = $3
        AND id IN (SELECT list_id FROM list_members WHERE contact_id = $1)
    ORDER BY id FOR NO KEY UPDATE
) AS locked
"""

# What the workspace's people wrote down about a contact, and who answers it, go with it.
FORGET = """
WITH notes AS (
    DELETE FROM contact_notes WHERE contact_id = $1 AND workspace_id = $2 AND livemode = $3
), assignments AS (
    DELETE FROM thread_assignments WHERE contact_id = $1 AND workspace_id = $2 AND livemode = $3
)"""
DELETE_CONTACT = f"{FORGET} DELETE FROM contacts WHERE id = $1 AND workspace_id = $2 AND livemode = $3"

# Anyone who is opted out stays suppressed, also where nothing but the contact said so.
DELETE_AND_SUPPRESS = f"""
{FORGET}, gone AS (
    DELETE FROM contacts WHERE id = $1 AND workspace_id = $2 AND livemode = $3 RETURNING *
)
INSERT INTO suppressions (id, workspace_id, livemode, phone, source, created_at)
SELECT $4::uuid, workspace_id, livemode, phone, coalesce(opt_in_source, 'import'), coalesce(opt_in_at, updated_at)
FROM gone WHERE opt_in_status = 'opted_out' ON CONFLICT DO NOTHING
"""


async def create_contact(ctx: Context, data: CreateContact, *, upsert: bool = False) -> ContactRow:
    """Make a contact. Raises Conflict `contact_exists` with `existing_id` where somebody made one of the phone.

    One that a send or a message made by itself is adopted: it gets what is said. With `upsert` or `on_conflict`
    "update", so does any contact of the external_id, else of the phone; what is not said stays.
    With `opt_in` it is opted in, or pending where the workspace asks for double opt-in; for a number that said STOP,
    that takes renewed evidence, else Conflict `opt_in_revoked`. Without `opt_in` it is unknown, or opted out if it said
    STOP.
    """
    allow(ctx, Permission.CONTACTS_WRITE)
    phone = parse_phone(data.phone, param="phone")
    evidence = None if data.opt_in is None else read_evidence(data.opt_in, ctx.services.clock())
    now = ctx.services.clock()
    details = read_details(data)
    attributes = merge_attributes({}, data.attributes or {})
    is_update = upsert or _read_conflict(data.on_conflict)
    if details["external_id"] is not None:
        holder = await hold_external_id(ctx, details["external_id"])
        if holder is not None and is_update:
            return await update_contact(ctx, holder.id, _change_of(data))
        if holder is not None:
            raise _taken(holder, "external_id")
    row = None
    while row is None:
        existing = await fetch_row(ContactRow, LOCK_BY_PHONE, ctx.workspace_id, ctx.livemode, canonical(phone.e164))
        if existing is None:
            row = await _insert(ctx, phone, now, details, attributes)
        elif is_update or existing.is_automatic:
            return await update_contact(ctx, existing.id, _change_of(data))
        else:
            if evidence is not None:
                await _refuse_revoked(ctx, existing, evidence, now)
            raise _taken(existing)
    if evidence is None:
        return row
    await _opt_in(ctx, row, evidence, now)
    await _refuse_suppressed(ctx, phone.e164, now)
    created = await fetch_row(ContactRow, FIND_BY_PHONE, ctx.workspace_id, ctx.livemode, canonical(phone.e164))
    assert created is not None, "the row is this transaction's own"
    return created


async def ensure_contact(ctx: Context, phone: str, *, now: datetime) -> ContactRow:
    """Return the contact of `phone` (E.164), made if there is none.

    Unknown, or opted out if the phone is suppressed.
    """
    while True:
        row = await fetch_row(ContactRow, FIND_BY_PHONE, ctx.workspace_id, ctx.livemode, canonical(phone))
        if row is None:
            row = await _insert(ctx, parse_phone(phone), now, is_automatic=True)
        # None again: another caller made the contact between the two statements; the next look finds it.
        if row is not None:
            return row


# Of phones whose erased suppressions are plain again.
INSERT_AUTOMATIC = """
INSERT INTO contacts (id, workspace_id, livemode, phone, region, number_kind, attributes, opt_in_status, opt_in_source,
    opt_in_at, created_at, updated_at, is_automatic)
SELECT entry.id, $1, $2, entry.phone, entry.region, entry.number_kind, '{}',
    CASE WHEN stop.id IS NULL THEN 'unknown' ELSE 'opted_out' END, stop.source, stop.created_at,
    $8::timestamptz, $8::timestamptz, true
FROM unnest($3::uuid[], $4::varchar[], $5::varchar[], $6::varchar[], $7::varchar[])
    AS entry (id, phone, canonical, region, number_kind)
LEFT JOIN suppressions AS stop ON stop.workspace_id = $1 AND stop.livemode = $2 AND stop.canonical = entry.canonical
ORDER BY entry.canonical ON CONFLICT DO NOTHING RETURNING *
"""


async def make_automatic(ctx: Context, phones: Sequence[Phone], *, now: datetime) -> Mapping[str, ContactRow]:
    """Make contacts of phones that have none, each once, as `ensure_contact` does; return them by canonical number.

    Those that another caller made meanwhile are not among them.
    """
    wanted = {canonical(phone.e164): phone for phone in phones}
    await consent.hold_suppressions(ctx)
    await consent.restore_suppressions(ctx, [phone.e164 for phone in wanted.values()])
    rows = await fetch(
        ContactRow,
        INSERT_AUTOMATIC,
        ctx.workspace_id,
        ctx.livemode,
        [ids.new_id() for _ in wanted],
        [phone.e164 for phone in wanted.values()],
        list(wanted),
        [phone.region for phone in wanted.values()],
        [phone.kind for phone in wanted.values()],
        now,
    )
    return {canonical(row.phone): row for row in rows}


async def get_contact(ctx: Context, id: UUID) -> Contact:
    """Return one contact. Raises NotFound."""
    return await find(ctx, Contact, id, prefix=ids.CONTACT, noun="contact")


async def update_contact(ctx: Context, id: UUID, data: UpdateContact) -> Contact:
    """Change a contact: attributes are merged per key and null removes one. Raises NotFound, Conflict.

    `opt_in` needs its source, and opts a number that said STOP in again only if it is renewed: else Conflict
    `opt_in_revoked`. Another phone is another consent: the contact becomes unknown (or opted out if that phone is
    suppressed), which its `warnings` tell, and what campaigns hold for the old phone is canceled.
    """
    allow(ctx, Permission.CONTACTS_WRITE)
    evidence = None if data.opt_in is UNSET else read_evidence(data.opt_in, ctx.services.clock())
    phone = None if data.phone is UNSET else parse_phone(data.phone, param="phone")
    told = read_details(data)
    external_id = told.get("external_id")
    holder = None if external_id is None else await hold_external_id(ctx, external_id)
    if holder is not None and holder.id != id:
        raise _taken(holder, "external_id")
    contact = await find(ctx, Contact, id, prefix=ids.CONTACT, noun="contact", lock=True)
    check_version(data.version, contact_version(contact), "contact")
    now = ctx.services.clock()
    details = {**{name: getattr(contact, name) for name in DETAILS}, **told}
    attributes = (
        contact.attributes if data.attributes is UNSET else merge_attributes(contact.attributes, data.attributes)
    )
    await execute(
        UPDATE_CONTACT,
        id,
        ctx.workspace_id,
        ctx.livemode,
        encode_json(attributes),
        now,
        *(details[name] for name in DETAILS),
    )
    # Another spelling is the same phone, which stays as it was given first.
    if phone is not None and canonical(phone.e164) != contact.canonical:
        await _change_phone(ctx, contact, phone, now)
    if evidence is not None:
        await _opt_in(ctx, contact, evidence, now)
        if phone is not None:
            await _refuse_suppressed(ctx, phone.e164, now)
    changed = await get_contact(ctx, id)
    if changed.canonical != contact.canonical:
        changed.warnings = _warn_of_consent(contact.opt_in_status, changed.opt_in_status)
    return changed


# What became of the consent of a contact that has another number now.
CONSENT_LOST = {
    OptInStatus.UNKNOWN: "Consent belongs to a number, and the new one has none: campaigns skip it until it opts in, or"
    " opt_in brings evidence for it.",
    OptInStatus.OPTED_OUT: "The new number has opted out: nothing is sent to it.",
}


def _warn_of_consent(before: OptInStatus, after: OptInStatus) -> list[KeptWarning]:
    text = CONSENT_LOST.get(after)
    if text is None or before == after == OptInStatus.UNKNOWN:
        return []
    return [{"code": CONSENT_NOT_CARRIED_OVER, "message": text, "param": "phone"}]


async def delete_contact(ctx: Context, id: UUID) -> None:
    """Delete a contact, take it off its lists and cancel what campaigns hold for it. Raises NotFound.

    The history of its consent and the suppression of its phone stay; a message sent to the phone itself still goes out.
    """
    allow(ctx, Permission.CONTACTS_WRITE)
    await find(ctx, Contact, id, prefix=ids.CONTACT, noun="contact", lock=True)
    await fetch_value(LOCK_LISTS, id, ctx.workspace_id, ctx.livemode)
    await ListMember.filter(contact_id=id).delete()
    await execute(DELETE_AND_SUPPRESS, id, ctx.workspace_id, ctx.livemode, ids.new_id())
    await cancellation.cancel_campaign_contact(ctx, id, reason="recipient_deleted", now=ctx.services.clock())


async def opt_out_contact(ctx: Context, id: UUID, *, source: str = "api") -> Contact:
    """Opt a contact out. Raises NotFound, and Conflict `contact_opted_out` where it is out already."""
    allow(ctx, Permission.CONTACTS_WRITE)
    contact = await get_contact(ctx, id)
    if not await consent.opt_out(ctx, contact, source=source, now=ctx.services.clock()):
        raise Conflict("The contact has already opted out.", code=ErrorCode.CONTACT_OPTED_OUT)
    return await get_contact(ctx, id)


async def mark_reachable(ctx: Context, id: UUID) -> Contact:
    """Let campaigns reach a contact again whose number is marked as unreachable; earlier failures count no more.

    Its consent stays as it is. One that is not marked is returned as it is. Raises NotFound.
    """
    allow(ctx, Permission.CONTACTS_WRITE)
    contact = await find(ctx, Contact, id, prefix=ids.CONTACT, noun="contact", lock=True)
    if contact.unreachable_at is None:
        return contact
    await reachability.clear_mark(contact, ctx.services.clock())
    return await get_contact(ctx, id)


async def _insert(
    ctx: Context,
    phone: Phone,
    now: datetime,
    details: Mapping[str, str | None] = MappingProxyType({}),
    attributes: Mapping[str, object] = MappingProxyType({}),
    *,
    is_automatic: bool = False,
) -> ContactRow | None:
    await consent.hold_suppressions(ctx)
    return await fetch_row(
        ContactRow,
        INSERT_CONTACT,
        ids.new_id(),
        ctx.workspace_id,
        ctx.livemode,
        phone.e164,
        phone.region,
        phone.kind,
        encode_json(dict(attributes)),
        now,
        consent.hashes_of(ctx, phone.e164),
        canonical(phone.e164),
        is_automatic,
        *(details.get(name) for name in DETAILS),
    )


async def _opt_in(ctx: Context, contact: ContactRow, evidence: Evidence, now: datetime) -> None:
    workspace = await find_settings(ctx)
    await consent.opt_in(
        ctx,
        contact,
        source=evidence.source,
        ip=evidence.ip,
        now=now,
        confirmed=not workspace.double_opt_in,
        user_agent=evidence.user_agent,
        text=evidence.text,
        version=evidence.version,
        claim=evidence.claim,
    )


async def _refuse_revoked(ctx: Context, contact: ContactRow, evidence: Evidence, now: datetime) -> None:
    """Raise Conflict `opt_in_revoked` where the contact's phone is out and the evidence may not undo that."""
    standing = await revocation.find_opt_out(ctx, contact.phone)
    if standing is not None and not revocation.may_undo(evidence.claim, standing.at, now):
        raise revocation.revoked(standing.at, existing_id=ids.encode_id(ids.CONTACT, contact.id))


async def _refuse_suppressed(ctx: Context, phone: str, now: datetime) -> None:
    """Raise Conflict where a phone that was just opted in was suppressed at the same time.

    Nobody saw the contact before, so it did not keep them apart: anyone who wrote the history first did. Under double
    opt-in an older suppression stands until the answer.
    """
    row = await fetch_row(SUPPRESSED_AT_ONCE, ctx.workspace_id, ctx.livemode, canonical(phone))
    if row is not None:
        raise revocation.revoked(now)


async def _change_phone(ctx: Context, contact: Contact, phone: Phone, now: datetime) -> None:
    await consent.hold_suppressions(ctx)
    while True:
        try:
            # A savepoint: a refused UPDATE would otherwise end the caller's transaction.
            async with unit_of_work():
                await execute(
                    CHANGE_PHONE,
                    contact.id,
                    ctx.workspace_id,
                    ctx.livemode,
                    phone.e164,
                    phone.region,
                    phone.kind,
                    now,
                    consent.hashes_of(ctx, phone.e164),
                    canonical(phone.e164),
                )
            break
        except UniqueViolationError:
            existing = await fetch_row(ContactRow, FIND_BY_PHONE, ctx.workspace_id, ctx.livemode, canonical(phone.e164))
            if existing is not None:
                raise _taken(existing) from None
    await cancellation.cancel_campaign_contact(ctx, contact.id, reason="recipient_deleted", now=now)


async def hold_external_id(ctx: Context, external_id: str) -> ContactRow | None:
    """Return the contact that has an external_id; until the transaction ends, nobody else gives one to a contact."""
    await lock_external_ids(ctx)
    return await fetch_row(ContactRow, FIND_BY_EXTERNAL_ID, ctx.workspace_id, ctx.livemode, external_id)


async def lock_external_ids(ctx: Context) -> None:
    """Keep others from giving contacts external ids until the transaction ends. Before contacts are locked."""
    await fetch_value("SELECT pg_advisory_xact_lock($1)", lock_number(ctx, before=b"external ids"))


def _read_conflict(text: str | None) -> bool:
    """Return whether a contact that is there is changed. Raises InvalidRequest."""
    if text not in (None, *ON_CONFLICT):
        raise InvalidRequest(f"on_conflict must be one of: {', '.join(ON_CONFLICT)}.", param="on_conflict")
    return text == "update"


def _change_of(data: CreateContact) -> UpdateContact:
    """Return what a contact to be made says of one that is there; what it does not say stays."""
    told = {name: getattr(data, name) for name in UpdateContact.__struct_fields__ if name != "version"}
    return UpdateContact(**{name: value for name, value in told.items() if value is not None})


def _taken(existing: ContactRow, param: str = "phone") -> Conflict:
    return Conflict(
        f"A contact with this {'phone number' if param == 'phone' else param} already exists.",
        code=ErrorCode.CONTACT_EXISTS,
        param=param,
        existing_id=ids.encode_id(ids.CONTACT, existing.id),
    )


def read_details(data: NewContact | UpdateContact) -> dict[str, str | None]:
    """Return what is told of a contact besides its phone and attributes, checked. Raises InvalidRequest."""
    told: dict[str, str | None] = {name: value for name in DETAILS if (value := getattr(data, name)) is not UNSET}
    return {name: None if text is None else read_detail(name, text) for name, text in told.items()}


def read_status(text: str) -> OptInStatus:
    """Read an opt-in status. Raises InvalidRequest."""
    try:
        return OptInStatus(text)
    except ValueError:
        known = ", ".join(OptInStatus)
        raise InvalidRequest(f"opt_in_status must be one of {known}.", param="opt_in_status") from None


def read_evidence(evidence: OptInEvidence, now: datetime) -> Evidence:
    """Evidence that has a source. Raises InvalidRequest."""
    if evidence.source is None:
        raise InvalidRequest(
            "Opting in needs evidence: say where consent was given.",
            param="opt_in.source",
            code=ErrorCode.PARAMETER_MISSING,
        )
    source = read_name(evidence.source, param="opt_in.source", maximum=MAX_SOURCE)
    return Evidence(
        source,
        None if evidence.ip is None else read_ip(evidence.ip),
        _read_detail(evidence.user_agent, param="opt_in.user_agent", maximum=MAX_USER_AGENT),
        _read_agreed(evidence.text),
        _read_detail(evidence.version, param="opt_in.version", maximum=MAX_VERSION),
        None if evidence.at is None else _read_past(evidence.at, now),
        evidence.renewed,
    )


def _read_past(at: datetime, now: datetime) -> datetime:
    """Read a time that has been, and not before EARLIEST: of another, the database may know no such year."""
    if not EARLIEST <= at <= now:
        raise InvalidRequest(
            f"opt_in.at must be a time from {EARLIEST.year} on that is not in the future.",
            param="opt_in.at",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )
    return at.astimezone(UTC)


def _read_detail(text: str | None, *, param: str, maximum: int) -> str | None:
    return None if text is None else read_name(text, param=param, maximum=maximum)


def _read_agreed(text: str | None) -> str | None:
    """Return what a person agreed to, which may have several lines."""
    if text is not None:
        read_name(_line_breaks.sub(" ", text), param="opt_in.text", maximum=MAX_AGREED_TEXT)
    return text
