"""Import many contacts in one request: create those with new phones, and update the others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, ClassVar, NamedTuple, Protocol
from uuid import UUID

import msgspec
from phonenumbers import SUPPORTED_REGIONS

from msvs.api import ids
from msvs.api.consent import consent, revocation
from msvs.api.consent.consent import Evidence
from msvs.api.contacts import lists
from msvs.api.contacts.contacts import (
    DETAILS,
    NewContact,
    OptInEvidence,
    lock_external_ids,
    read_details,
    read_evidence,
)
from msvs.api.contacts.details import merge_attributes, trim
from msvs.api.context import Context, lock_number
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest
from msvs.api.permissions import Permission, allow
from msvs.api.scope import scoped
from msvs.api.settings_of_mode import find_settings
from msvs.api.text.phones import Phone, canonical, parse_phone, read_phone
from msvs.api.text.templates import is_visible
from msvs.database import Row, encode_json, execute, fetch, fetch_value
from msvs.fields import LIST_ID, REGION_PATTERN, Ref, Request, about, id_pattern
from msvs.models import Contact, ContactList, OptInStatus

# An import is one transaction, and the head of the chain of consent is its own until it commits.
MAX_IMPORTED = 500


LOCK_BY_PHONES = """
SELECT * FROM contacts WHERE workspace_id = $1 AND livemode = $2 AND canonical = ANY($3::varchar[])
ORDER BY id FOR NO KEY UPDATE
"""

FIND_EXTERNAL_IDS = """
SELECT external_id, canonical FROM contacts
WHERE workspace_id = $1 AND livemode = $2 AND external_id = ANY($3::varchar[])
"""

_columns = ", ".join(DETAILS)
_entry_columns = ", ".join(f"entry.{name}" for name in DETAILS)


def _texts(first: int) -> str:
    return ", ".join(f"${place}::varchar[]" for place in range(first, first + len(DETAILS)))


# A suppressed phone makes a contact that is opted out, for the reason and since the time of its suppression.
INSERT_CONTACTS = f"""
INSERT INTO contacts (id, workspace_id, livemode, phone, region, number_kind, attributes, opt_in_status, opt_in_source,
    opt_in_at, created_at, updated_at, {_columns})
SELECT entry.id, $1, $2, entry.phone, entry.region, entry.number_kind, entry.attributes::jsonb,
    CASE WHEN stop.id IS NULL THEN 'unknown' ELSE 'opted_out' END, stop.source, stop.created_at,
    $9::timestamptz, $9::timestamptz, {_entry_columns}
FROM unnest($3::uuid[], $4::varchar[], $5::varchar[], $6::varchar[], $7::varchar[], $8::text[], {_texts(10)})
    AS entry (id, phone, canonical, region, number_kind, attributes, {_columns})
LEFT JOIN suppressions AS stop ON stop.workspace_id = $1 AND stop.livemode = $2 AND stop.canonical = entry.canonical
ORDER BY entry.canonical ON CONFLICT DO NOTHING RETURNING *
"""

UPDATE_CONTACTS = f"""
UPDATE contacts SET attributes = entry.attributes::jsonb, updated_at = $5, is_automatic = false,
    {", ".join(f"{name} = entry.{name}" for name in DETAILS)}
FROM unnest($3::uuid[], $4::text[], {_texts(6)}) AS entry (id, attributes, {_columns})
WHERE contacts.workspace_id = $1 AND contacts.livemode = $2 AND contacts.id = entry.id
"""


class ImportedContact(NewContact, frozen=True):
    """A contact to import."""

    # What breaks the rules of a contact is reported, and refuses nothing: the documents tell no limits of the fields.
    told_limits: ClassVar[bool] = False

    phone: Annotated[str, about("A phone number in E.164 format, or in the national format of `default_region`.")]


class ImportContacts(Request, frozen=True):
    """Contacts to import, with options for all of them."""

    # REST has the refusal of a row that cannot be read in its place.
    read_by_row: ClassVar[str] = "contacts"

    contacts: Annotated[
        list[ImportedContact],
        about(
            f"At most {MAX_IMPORTED} contacts. If a phone has a contact, the contact is updated.",
            example=[
                {"phone": "+12125550123", "first_name": "Maria", "attributes": {"tier": "vip"}},
                {"phone": "(212) 555-0124", "first_name": "Ana"},
            ],
            maxItems=MAX_IMPORTED,
        ),
    ]
    list_id: (
        Annotated[
            str,
            Ref(ids.CONTACT_LIST),
            about("The list to which all contacts are added.", example=LIST_ID, pattern=id_pattern(ids.CONTACT_LIST)),
        ]
        | None
    ) = None
    opt_in: Annotated[
        OptInEvidence | None,
        about(
            "How the contacts without their own `opt_in` agreed to receive texts.",
            example={"source": "webinar sign-up"},
        ),
    ] = None
    default_region: (
        Annotated[
            str,
            about(
                "An ISO 3166-1 region: phones may then also be in the national format of that region.",
                example="US",
                pattern=REGION_PATTERN,
            ),
        ]
        | None
    ) = None


class RowRefused(msgspec.Struct, frozen=True):
    """An invalid row of an import, counted from 0, with the reason; `param` names its field."""

    index: Annotated[int, about("The index of the row, from 0.")]
    code: Annotated[str, about("The error code.")]
    message: Annotated[str, about("What is wrong, in English.")]
    param: Annotated[str, about("The field of the row.")]


class ContactsImported(msgspec.Struct):
    """The result of importing contacts.

    Each row is counted in `created`, `updated`, `unchanged` or `duplicates`, or is in `invalid`. Of the contacts,
    `opted_in` were opted in, `pending` are asked to confirm, and `opted_out` had opted out and stay so.
    """

    created: Annotated[int, about("The number of contacts created.", example=2)] = 0
    updated: Annotated[int, about("The number of contacts updated.", example=0)] = 0
    unchanged: Annotated[int, about("The number of contacts that already had these values.", example=0)] = 0
    duplicates: Annotated[int, about("The number of rows whose phone an earlier row has.", example=0)] = 0
    added_to_list: Annotated[int, about("The number of contacts added to the list.", example=2)] = 0
    opted_in: Annotated[int, about("The number of contacts opted in.", example=2)] = 0
    pending: Annotated[int, about("The number of contacts asked to confirm.", example=0)] = 0
    opted_out: Annotated[int, about("The number of contacts that had opted out and stay opted out.", example=0)] = 0
    invalid: Annotated[list[RowRefused], about("The rows that were refused.", example=[])] = msgspec.field(
        default_factory=list
    )


@dataclass(slots=True)
class _Person:
    """The combined values of the rows of one phone; None if not given."""

    index: int
    phone: Phone
    values: dict[str, str]
    attributes: dict[str, object]
    evidence: Evidence | None


async def import_contacts(ctx: Context, data: ImportContacts) -> ContactsImported:
    """Make or change at most 500 contacts, and put them on a list; a row that cannot be is reported, not refused.

    What is blank in a row is not said, and the edges of its texts are trimmed.
    A phone that is known has its contact changed as an update would: what the row leaves out stays, and attributes are
    merged. Rows of one phone count as one, of which the last word holds. Evidence opts in contacts that are `unknown`;
    a number that said STOP stays opted out. Raises InvalidRequest, also where the evidence for all is none, and
    Conflict `list_synced`.
    """
    list_id = ids.read_optional_id(ids.CONTACT_LIST, data.list_id, "list_id")
    allow(ctx, Permission.CONTACTS_WRITE)
    if len(data.contacts) > MAX_IMPORTED:
        raise InvalidRequest(
            f"contacts holds at most {MAX_IMPORTED} contacts.", param="contacts", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    region = data.default_region
    if region is not None and region not in SUPPORTED_REGIONS:
        raise InvalidRequest(f"'{region[:10]}' is not an ISO 3166-1 region code.", param="default_region")
    now = ctx.services.clock()
    shared = None if data.opt_in is None else read_evidence(data.opt_in, now)
    done = ContactsImported()
    people = _read_rows(data.contacts, region, shared, done, now)
    # One import after the other: each holds many contacts, and two could wait for each other's.
    await fetch_value("SELECT pg_advisory_xact_lock($1)", lock_number(ctx, before=b"imports"))
    await _without_taken(ctx, people, done)
    known = await _lock(ctx, people)
    await consent.hold_suppressions(ctx)
    await consent.restore_suppressions(ctx, [person.phone.e164 for person in people.values()])
    made: dict[str, Row] = {}
    while missing := sorted(people.keys() - known.keys() - made.keys()):
        made |= await _insert(ctx, [people[phone] for phone in missing], now)
        # Whom somebody else made meanwhile.
        known |= await _lock(ctx, people.keys() - known.keys() - made.keys())
    if list_id is not None:
        # Lock contacts before lists, as everywhere else: no deadlock.
        await hold_list(ctx, list_id)
    done.created = len(made)
    await _update(ctx, people, known, done, now)
    imported = {phone: made.get(phone) or known[phone] for phone in sorted(people)}
    if list_id is not None and imported:
        members = [row.id for row in imported.values()]
        done.added_to_list = await execute(lists.ADD_MEMBERS, list_id, [ids.new_id() for _ in members], members, now)
    await _opt_in(ctx, people, imported, done, now)
    done.invalid.sort(key=lambda refused: refused.index)
    return done


def _read_rows(
    rows: Sequence[NewContact | InvalidRequest],
    region: str | None,
    shared: Evidence | None,
    done: ContactsImported,
    now: datetime,
) -> dict[str, _Person]:
    """Return what the valid rows say of each phone, by its canonical number; `done` is told of the others."""
    people: dict[str, _Person] = {}
    for index, row in enumerate(rows):
        try:
            person = _read_row(row, index, region, shared, now)
            before = people.get(canonical(person.phone.e164))
            if before is not None:
                _join(before, person)
                done.duplicates += 1
            else:
                people[canonical(person.phone.e164)] = person
        except InvalidRequest as error:
            done.invalid.append(_refused(index, error))
    return people


def _read_row(
    row: NewContact | InvalidRequest, index: int, region: str | None, shared: Evidence | None, now: datetime
) -> _Person:
    if isinstance(row, InvalidRequest):
        raise row
    text = trim(row.phone)
    phone = parse_phone(text, param="phone") if region is None else read_phone(text, region, param="phone")
    given = {name: _said(getattr(row, name)) for name in DETAILS}
    details = read_details(msgspec.structs.replace(row, **given))
    attributes: dict[str, object] = {
        name: trim(value) if isinstance(value, str) else value
        for name, value in (row.attributes or {}).items()
        if not (isinstance(value, str) and not trim(value))
    }
    merge_attributes({}, attributes)
    return _Person(
        index,
        phone,
        {name: value for name, value in details.items() if value is not None},
        attributes,
        shared if row.opt_in is None else read_evidence(_trimmed(row.opt_in), now),
    )


def _trimmed(opt_in: OptInEvidence) -> OptInEvidence:
    """Return evidence without the edges of its texts; a blank one is no evidence, and stays."""
    texts = {name: getattr(opt_in, name) for name in OptInEvidence.__struct_fields__}
    return msgspec.structs.replace(
        opt_in, **{name: trim(value) for name, value in texts.items() if isinstance(value, str)}
    )


def _said(text: str | None) -> str | None:
    """Return what a cell says, without its edges; one of which nothing prints says nothing."""
    return trim(text) if text is not None and is_visible(text) else None


def _join(person: _Person, later: _Person) -> None:
    """Let a later row of the same phone add to, and go before, what is said already. Raises InvalidRequest."""
    attributes = {**person.attributes, **later.attributes}
    merge_attributes({}, attributes)
    person.values |= later.values
    person.attributes = attributes
    person.evidence = later.evidence or person.evidence


def _refused(index: int, error: InvalidRequest) -> RowRefused:
    path = f"contacts[{index}]"
    return RowRefused(index, error.code, error.message, path if error.param is None else f"{path}.{error.param}")


async def _without_taken(ctx: Context, people: dict[str, _Person], done: ContactsImported) -> None:
    """Leave out whom another contact, or another row before, has the external_id of."""
    named = {phone: id for phone, person in people.items() if (id := person.values.get("external_id")) is not None}
    if not named:
        return
    await lock_external_ids(ctx)
    rows = await fetch(FIND_EXTERNAL_IDS, ctx.workspace_id, ctx.livemode, list(named.values()))
    holders: dict[str, str] = {row.external_id: row.canonical for row in rows}
    for phone, external_id in named.items():
        if holders.setdefault(external_id, phone) != phone:
            index = people.pop(phone).index
            path = f"contacts[{index}].external_id"
            done.invalid.append(
                RowRefused(index, ErrorCode.CONTACT_EXISTS, "Another contact has this external_id.", path)
            )


async def _lock(ctx: Context, phones: Collection[str]) -> dict[str, Row]:
    if not phones:
        return {}
    return {row.canonical: row for row in await fetch(LOCK_BY_PHONES, ctx.workspace_id, ctx.livemode, list(phones))}


async def hold_list(ctx: Context, id: UUID, *, is_sync: bool = False) -> None:
    """Lock the list that gets contacts. Raises InvalidRequest, and Conflict `list_synced` unless its own sync adds."""
    row = await scoped(ctx, ContactList).filter(id=id).select_for_update().first()
    if row is None:
        raise InvalidRequest(
            f"No such list: '{ids.encode_id(ids.CONTACT_LIST, id)}'.", code=ErrorCode.RESOURCE_MISSING, param="list_id"
        )
    if not is_sync:
        lists.refuse_synced(row)


async def _insert(ctx: Context, people: Sequence[_Person], now: datetime) -> dict[str, Row]:
    rows = await fetch(
        INSERT_CONTACTS,
        ctx.workspace_id,
        ctx.livemode,
        [ids.new_id() for _ in people],
        [person.phone.e164 for person in people],
        [canonical(person.phone.e164) for person in people],
        [person.phone.region for person in people],
        [person.phone.kind for person in people],
        [encode_json(merge_attributes({}, person.attributes)) for person in people],
        now,
        *([person.values.get(name) for person in people] for name in DETAILS),
    )
    return {row.canonical: row for row in rows}


async def _update(
    ctx: Context, people: dict[str, _Person], known: Mapping[str, Row], done: ContactsImported, now: datetime
) -> None:
    """Change the contacts of which the rows say something new; one that would have too many attributes is left out."""
    changes: list[tuple[UUID, dict[str, object], dict[str, object]]] = []
    for phone, row in known.items():
        person = people[phone]
        try:
            attributes = merge_attributes(row.attributes, person.attributes)
        except InvalidRequest as error:
            done.invalid.append(_refused(person.index, error))
            del people[phone]
            continue
        before = {name: row[name] for name in DETAILS}
        after = {**before, **person.values}
        if (after, attributes) == (before, row.attributes):
            done.unchanged += 1
        else:
            changes.append((row.id, after, attributes))
    done.updated = len(changes)
    if changes:
        await execute(
            UPDATE_CONTACTS,
            ctx.workspace_id,
            ctx.livemode,
            [id for id, _, _ in changes],
            [encode_json(attributes) for _, _, attributes in changes],
            now,
            *([after[name] for _, after, _ in changes] for name in DETAILS),
        )


async def _opt_in(
    ctx: Context,
    people: Mapping[str, _Person],
    imported: Mapping[str, Row],
    done: ContactsImported,
    now: datetime,
) -> None:
    given = {phone: evidence for phone in imported if (evidence := people[phone].evidence) is not None}
    came = await opt_in_imported(ctx, imported, given, now)
    done.opted_in, done.pending, done.opted_out = came


class OptedIn(NamedTuple):
    """Counts of contacts that were opted in, asked to confirm, or stay opted out."""

    opted_in: int = 0
    pending: int = 0
    opted_out: int = 0


class ImportedRow(Protocol):
    """A contact that an import made or changed, which its transaction holds."""

    id: UUID
    opt_in_status: str


async def opt_in_imported(
    ctx: Context, imported: Mapping[str, ImportedRow], given: Mapping[str, Evidence], now: datetime
) -> OptedIn:
    """Opt in the contacts of an import, by their canonical numbers, that are unknown and have evidence.

    An import undoes no opt-out, no matter what its evidence says: not one that is yet to be told by a carrier either.
    """
    out = await revocation.find_opt_outs(ctx, list(imported)) if imported else {}
    evidence = {
        row.id: replace(given[phone], is_renewed=False)
        for phone, row in imported.items()
        if row.opt_in_status == OptInStatus.UNKNOWN and phone not in out and phone in given
    }
    if not evidence:
        return OptedIn(opted_out=len(out))
    if (await find_settings(ctx)).double_opt_in:
        # Each is asked by an SMS of its own.
        pending, opted_out = 0, len(out)
        for contact in await scoped(ctx, Contact).filter(id__in=list(evidence)).order_by("phone"):
            try:
                pending += await _ask(ctx, contact, evidence[contact.id], now)
            except Conflict:
                # Suppressed meanwhile, when nobody saw the contact yet.
                opted_out += 1
        return OptedIn(0, pending, opted_out)
    changed = await consent.opt_in_many(ctx, evidence, now=now)
    return OptedIn(len(changed), 0, len(out))


async def _ask(ctx: Context, contact: Contact, given: Evidence, now: datetime) -> bool:
    """Ask a contact to confirm its evidence. Return whether it is pending now. Raises Conflict `opt_in_revoked`."""
    return await consent.opt_in(
        ctx,
        contact,
        source=given.source,
        ip=given.ip,
        now=now,
        confirmed=False,
        user_agent=given.user_agent,
        text=given.text,
        version=given.version,
        claim=given.claim,
    )
