"""Merge the people of a source into contacts and list members, one page per transaction."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from msvs.api import ids
from msvs.api.contacts import import_columns, import_merge
from msvs.api.contacts.details import EARLIEST
from msvs.api.contacts.import_columns import CONSENT, IGNORE, OWN_STATUS, Column
from msvs.api.contacts.import_erasure import hash_of
from msvs.api.contacts.import_merge import Merge
from msvs.api.contacts.import_rows import AGREED, COLUMNS, REFUSED, UNSAID, Plan, RawRow, encode_rows, make_plan
from msvs.api.contacts.source_options import STAY, SourceOptions, evidence_of, options_of, rule_of
from msvs.api.context import Context
from msvs.connectors.base import ClaimStatus, ConsentClaim, FieldType, Person, PersonState
from msvs.database import copy_encoded, execute, fetch, plan_for_any_values
from msvs.json_types import JSONObject
from msvs.models import rows

JOIN_SECONDS = 60.0
MAX_EXTERNAL_ID = 400
MAX_SAMPLES = 20
MAX_PROBLEMS = 50
# Consent reported by a connector, staged as extra columns next to the mapped ones.
CLAIM_AT, CLAIM_SOURCE, CLAIM_TEXT, CLAIM_IP = "claim at", "claim source", "claim text", "claim ip"
UNSUBSCRIBED = "unsubscribed"
CLAIMED: Mapping[str, str] = {
    OWN_STATUS: CONSENT,
    CLAIM_AT: "consent_at",
    CLAIM_SOURCE: "consent_source",
    CLAIM_TEXT: "consent_text",
    CLAIM_IP: "consent_ip",
}
# The list-wide evidence does not opt in people who unsubscribed from the service's emails.
BESIDE: Mapping[str, str] = {UNSUBSCRIBED: "status"}
ANSWERS: Mapping[ClaimStatus, str] = {ClaimStatus.OPTED_IN: "opted in", ClaimStatus.OPTED_OUT: "opted out"}
TYPES: Mapping[str, str] = {FieldType.NUMBER: "number", FieldType.BOOLEAN: "boolean", FieldType.DATE: "date"}

READ_PEOPLE = """
SELECT person.person_key, person.version, person.status, person.contact_id, person.sync_id,
    contacts.id IS NOT NULL AS is_there
FROM source_people AS person
LEFT JOIN LATERAL (
    SELECT id FROM contacts WHERE contacts.id = person.contact_id AND workspace_id = $1 AND livemode = $2 OFFSET 0
) AS contacts ON true
WHERE person.source_id = $3 AND person.person_key = ANY($4::varchar[])
"""
SEE_PEOPLE = """
UPDATE source_people SET sync_id = $3
WHERE source_id = $1 AND person_key = ANY($2::varchar[]) AND sync_id <> $3
"""
FORGET_PEOPLE = "DELETE FROM source_people WHERE source_id = $1 AND person_key = ANY($2::varchar[])"
WRITE_PEOPLE = """
INSERT INTO source_people (source_id, person_key, external_id, phone_hash, contact_id, version, status, sync_id)
SELECT $1, person_key, external_id, phone_hash, contact_id, version, status, $2
FROM unnest($3::varchar[], $4::varchar[], $5::varchar[], $6::uuid[], $7::varchar[], $8::varchar[])
    AS person (person_key, external_id, phone_hash, contact_id, version, status)
ON CONFLICT (source_id, person_key) DO UPDATE SET external_id = excluded.external_id, sync_id = excluded.sync_id,
    phone_hash = excluded.phone_hash, contact_id = excluded.contact_id, version = excluded.version,
    status = excluded.status
"""
# Phones of other people that this sync has already seen.
FIND_SEEN_PHONES = """
SELECT DISTINCT phone_hash FROM source_people
WHERE source_id = $1 AND phone_hash = ANY($2::varchar[]) AND sync_id = $3 AND NOT person_key = ANY($4::varchar[])
"""
FIND_ERASED_PHONES = "SELECT phone_hash FROM source_erasures WHERE source_id = $1 AND phone_hash = ANY($2::varchar[])"
READ_STAGED = "SELECT number, canonical, consent FROM import_rows WHERE reading_id = $1 AND status = 'staged'"
LEAVE_OUT_STAGED = "DELETE FROM import_rows WHERE reading_id = $1 AND number = ANY($2::int[])"
READ_OPTED_IN = """
SELECT canonical, opt_in_at FROM contacts
WHERE workspace_id = $1 AND livemode = $2 AND canonical = ANY($3::varchar[]) AND opt_in_status = 'opted_in'
"""
LEAVE_UNSAID = "UPDATE import_rows SET consent = $3 WHERE reading_id = $1 AND number = ANY($2::int[])"
READ_MERGED = """
SELECT rows.number, rows.status, rows.reason, rows.phone, rows.canonical, rows.first_name, rows.last_name, rows.email,
    rows.consent, contacts.id AS contact_id, contacts.opt_in_status
FROM import_rows AS rows
LEFT JOIN LATERAL (
    SELECT * FROM contacts WHERE workspace_id = $1 AND livemode = $2 AND canonical = rows.canonical OFFSET 0
) AS contacts ON true
WHERE rows.reading_id = $3 ORDER BY rows.number
"""
DROP_STAGED = "DELETE FROM import_rows WHERE reading_id = $1"
# Several people can share one contact: remove it from the list only when the last of them is gone.
LEAVE_LIST = """
DELETE FROM list_members WHERE list_id = $1 AND contact_id = ANY($3::uuid[]) AND NOT EXISTS (
    SELECT FROM source_people AS person WHERE person.source_id = $2 AND person.contact_id = list_members.contact_id
)
"""
# The trigger on contacts queues new opt-outs only; this queues those of contacts opted out before the sync found them.
NOTE_OPTED_OUT = """
INSERT INTO opt_out_writes (id, source_id, person_key, opted_out_at, state, next_attempt_at, created_at)
SELECT gen_random_uuid(), person.source_id, person.person_key, coalesce(contacts.opt_in_at, $5), 'pending', $5, $5
FROM source_people AS person
JOIN contacts ON contacts.id = person.contact_id AND contacts.workspace_id = $1 AND contacts.livemode = $2
WHERE person.source_id = $3 AND person.person_key = ANY($4::varchar[]) AND contacts.opt_in_status = 'opted_out'
ON CONFLICT DO NOTHING
"""
SWEEP = """
WITH gone AS (
    DELETE FROM source_people WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM source_people WHERE source_id = $1 AND sync_id <> $2 LIMIT $3
    )) RETURNING contact_id
)
SELECT contact_id FROM gone
"""
COUNT_GONE = """
SELECT count(*) FILTER (WHERE contact_id IS NOT NULL) AS people,
    count(*) FILTER (WHERE contact_id IS NOT NULL AND sync_id <> $2) AS gone
FROM source_people WHERE source_id = $1
"""


class _Known(Protocol):
    person_key: str
    version: str
    status: str
    contact_id: UUID | None
    sync_id: UUID
    is_there: bool


class _Staged(Protocol):
    number: int
    canonical: str
    consent: int


class _OptedIn(Protocol):
    canonical: str
    opt_in_at: datetime | None


class _Merged(Protocol):
    number: int
    status: str
    reason: str | None
    phone: str | None
    canonical: str | None
    first_name: str | None
    last_name: str | None
    email: str | None
    consent: int
    contact_id: UUID | None
    opt_in_status: str | None


class _Gone(Protocol):
    contact_id: UUID | None


class GoneCount(Protocol):
    """The number of people in a source with a contact, and how many of them the current sync has not seen."""

    people: int
    gone: int


@dataclass(slots=True)
class Taken:
    """The outcome of a batch of people: counts, the first changed people, and the first invalid ones."""

    counts: Counter[str] = field(default_factory=Counter)
    samples: list[JSONObject] = field(default_factory=list)
    problems: list[JSONObject] = field(default_factory=list)


@dataclass(slots=True)
class _One:
    """A person in the service, keyed by the hash of their id, with what the previous sync stored."""

    key: str
    person: Person
    version: str
    known: _Known | None


def version_of(source: rows.ListSourceRow) -> str:
    """Return a fingerprint of the mapping and options. When it changes, the next sync merges everyone again."""
    options = options_of(source)
    how = (source.mapping, options.default_region, options.update, options.removal, options.evidence)
    return hashlib.sha256(msgspec.json.encode(how, order="sorted")).hexdigest()[:16]


async def take_people(
    ctx: Context,
    source: rows.ListSourceRow,
    sync_id: UUID,
    people: Sequence[Person],
    now: datetime,
    *,
    is_dry_run: bool,
) -> Taken:
    """Create and update contacts, consent and list members from a batch of people.

    The caller holds the row lock on the source. A dry run changes none of these and only counts the expected outcomes.
    """
    taken = Taken()
    await plan_for_any_values()
    named = await _name(ctx, source, people)
    left = [one for one in named if one.person.state is not PersonState.MEMBER]
    here = [one for one in named if one.person.state is PersonState.MEMBER]
    taken.counts["people"] += len(here)
    same = [one for one in here if not is_dry_run and _is_same(one)]
    for one in same:
        assert one.known is not None, "unchanged people are known"
        taken.counts["invalid" if one.known.status == "invalid" else "unchanged"] += 1
    await execute(SEE_PEOPLE, source.id, [one.key for one in same], sync_id)
    old = [one.known.contact_id for one in left if one.known is not None and one.known.contact_id is not None]
    keys = {one.key for one in same}
    changed = [one for one in here if one.key not in keys]
    if changed:
        old += await _take_changed(ctx, source, sync_id, changed, now, taken, is_dry_run=is_dry_run)
    taken.counts["left"] += len([one for one in left if one.known is not None])
    if not is_dry_run:
        await execute(FORGET_PEOPLE, source.id, [one.key for one in left])
        taken.counts["removed_from_list"] += await _leave(source, old)
    return taken


async def sweep(source: rows.ListSourceRow, sync_id: UUID, limit: int) -> tuple[int, int]:
    """Delete people that a complete sync did not see. Return how many were deleted and how many left the list."""
    gone: Sequence[_Gone] = await fetch(_Gone, SWEEP, source.id, sync_id, limit)
    return len(gone), await _leave(source, [row.contact_id for row in gone if row.contact_id is not None])


async def _leave(source: rows.ListSourceRow, contact_ids: Sequence[UUID]) -> int:
    if not contact_ids or options_of(source).removal == STAY:
        return 0
    return await execute(LEAVE_LIST, source.list_id, source.id, list(contact_ids))


async def _name(ctx: Context, source: rows.ListSourceRow, people: Sequence[Person]) -> list[_One]:
    """Key people by the hash of their id, keep the last of any duplicates, and attach what is stored about them."""
    by_key = {
        ctx.services.keyring.hash_person(source.id, person.external_id): person
        for person in people
        if 0 < len(person.external_id) <= MAX_EXTERNAL_ID
    }
    found = await fetch(_Known, READ_PEOPLE, ctx.workspace_id, ctx.livemode, source.id, list(by_key))
    known = {row.person_key: row for row in found}
    how = version_of(source)
    return [_One(key, person, _hash_person(how, person), known.get(key)) for key, person in by_key.items()]


def _hash_person(how: str, person: Person) -> str:
    claim = person.consent
    told = None if claim is None else (claim.status, claim.at, claim.source, claim.text, claim.ip)
    value = (how, dict(person.fields), told, person.is_unsubscribed, person.problem)
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def _is_same(one: _One) -> bool:
    known = one.known
    return known is not None and known.version == one.version and (known.is_there or known.status == "invalid")


async def _take_changed(
    ctx: Context,
    source: rows.ListSourceRow,
    sync_id: UUID,
    changed: Sequence[_One],
    now: datetime,
    taken: Taken,
    *,
    is_dry_run: bool,
) -> list[UUID]:
    """Merge new and changed people. Return the previous contacts of people whose contact changed."""
    merge = _merge_of(source, now)
    await _stage(source, merge.reading_id, changed, now)
    erased = await _prepare(ctx, source, merge.reading_id, changed, now)
    taken.counts["erased"] += len(erased)
    await import_merge.join_duplicates(merge, JOIN_SECONDS)
    if is_dry_run:
        await import_merge.check_batch(ctx, merge, 0, len(changed))
    else:
        done = await import_merge.merge_batch(ctx, merge, 0, len(changed), now)
        for name in ("opted_in", "pending", "added_to_list"):
            taken.counts[name] += done.get(name, 0)
    merged = await fetch(_Merged, READ_MERGED, ctx.workspace_id, ctx.livemode, merge.reading_id)
    await execute(DROP_STAGED, merge.reading_id)
    if is_dry_run:
        taken.counts["opted_in"] += sum(map(_would_opt_in, merged))
    by_number = {row.number: row for row in merged}
    told = [(one, by_number.get(number)) for number, one in enumerate(changed, 1) if number not in erased]
    hashes = {one.key: hash_of(ctx, row.canonical) for one, row in told if row is not None and row.canonical}
    seen = await _find_seen(source, sync_id, hashes, changed)
    for one, row in told:
        _tell(taken, one, row, is_repeated=hashes.get(one.key) in seen)
    await _write(source, sync_id, told, hashes, is_dry_run=is_dry_run)
    await execute(FORGET_PEOPLE, source.id, [one.key for number, one in enumerate(changed, 1) if number in erased])
    if source.writes_opt_outs and not is_dry_run:
        keys = [one.key for one, row in told if row is not None and row.opt_in_status == "opted_out"]
        await execute(NOTE_OPTED_OUT, ctx.workspace_id, ctx.livemode, source.id, keys, now)
    return [
        one.known.contact_id
        for one, row in told
        if one.known is not None
        and one.known.contact_id is not None
        and one.known.contact_id != (None if row is None else row.contact_id)
    ]


def _merge_of(source: rows.ListSourceRow, now: datetime) -> Merge:
    options = options_of(source)
    evidence = evidence_of(options, now)
    return Merge(
        ids.new_id(),
        rule_of(source),
        source.list_id,
        evidence,
        "external_id" in source.mapping.values(),
        # Any page can report consent, so assume that this one does.
        has_consent=True,
        file_name=source.account or source.kind,
        is_sync=True,
    )


def plan_of(source: rows.ListSourceRow, reading_id: UUID, now: datetime, *, has_claims: bool) -> Plan:
    """Return the plan for reading people: the mapped fields, plus the consent that the service reports."""
    options: SourceOptions = options_of(source)
    types = {str(each["key"]): str(each["type"]) for each in source.columns}
    mapped = {key: field for key, field in source.mapping.items() if field != IGNORE}
    titles = {str(each["key"]): str(each["label"]) for each in source.columns}
    mapped = {
        **_beside(has_claims),
        **{key: field for key, field in mapped.items() if not _is_claimed(field, has_claims)},
    }
    columns = [Column(titles.get(key, key), key, _type_of(types.get(key)), [], 1) for key in mapped]
    return make_plan(
        columns,
        mapped,
        reading_id=reading_id,
        now=now,
        region=options.default_region,
        is_agreed=options.evidence is not None,
    )


def _beside(has_claims: bool) -> Mapping[str, str]:
    return {**CLAIMED, **BESIDE} if has_claims else BESIDE


def _is_claimed(field: str, has_claims: bool) -> bool:
    """Return whether the consent that the service reports overrides this mapped field, such as its date or source."""
    return has_claims and field in CLAIMED.values() and field not in import_columns.REPEATED


def _type_of(type: str | None) -> str:
    return TYPES.get(type or "", "time" if type == FieldType.TIME else "text")


async def _stage(source: rows.ListSourceRow, reading_id: UUID, people: Sequence[_One], now: datetime) -> None:
    """Stage people as import rows."""
    has_claims = any(one.person.consent is not None for one in people)
    plan = plan_of(source, reading_id, now, has_claims=has_claims)
    keys = [
        *_beside(has_claims),
        *(key for key, field in source.mapping.items() if field != IGNORE and not _is_claimed(field, has_claims)),
    ]
    raw = (
        RawRow(number, one.person.row or number, _cells(one.person, keys, now), one.person.problem)
        for number, one in enumerate(people, 1)
    )
    await copy_encoded("import_rows", COLUMNS, [encode_rows(plan, raw).data])


def _cells(person: Person, keys: Iterable[str], now: datetime) -> list[str]:
    claim = person.consent
    told: dict[str, str] = {} if claim is None else _claim_cells(claim, now)
    if claim is None and person.is_unsubscribed:
        told = {UNSUBSCRIBED: UNSUBSCRIBED}
    own = {*CLAIMED, *BESIDE}
    return [told.get(key, "") if key in own else person.fields.get(key, "") for key in keys]


def _claim_cells(claim: ConsentClaim, now: datetime) -> dict[str, str]:
    at = claim.at if claim.at is not None and EARLIEST <= claim.at <= now else None
    return {
        OWN_STATUS: ANSWERS[claim.status],
        CLAIM_AT: "" if at is None else at.isoformat(),
        CLAIM_SOURCE: claim.source,
        CLAIM_TEXT: claim.text or "",
        CLAIM_IP: claim.ip or "",
    }


async def _prepare(
    ctx: Context, source: rows.ListSourceRow, reading_id: UUID, people: Sequence[_One], now: datetime
) -> set[int]:
    """Remove erased people, and ignore opt-outs in the service that are older than an opt-in here.

    Return the numbers of the removed rows.
    """
    staged = await fetch(_Staged, READ_STAGED, reading_id)
    hashes = {row.number: hash_of(ctx, row.canonical) for row in staged}
    found = await fetch(FIND_ERASED_PHONES, source.id, list(set(hashes.values())))
    gone = {row.phone_hash for row in found}
    erased = {number for number, hash in hashes.items() if hash in gone}
    if erased:
        await execute(LEAVE_OUT_STAGED, reading_id, sorted(erased))
    out = {row.number: row.canonical for row in staged if row.consent == REFUSED and row.number not in erased}
    if out:
        opted_in = await fetch(_OptedIn, READ_OPTED_IN, ctx.workspace_id, ctx.livemode, list(out.values()))
        since = {row.canonical: row.opt_in_at for row in opted_in}
        old = [
            number for number, phone in out.items() if _is_older(people[number - 1].person.consent, since.get(phone))
        ]
        await execute(LEAVE_UNSAID, reading_id, old, UNSAID)
    return erased


def _is_older(claim: ConsentClaim | None, since: datetime | None) -> bool:
    return claim is not None and claim.at is not None and since is not None and claim.at < since


def _would_opt_in(row: _Merged) -> bool:
    is_known = row.opt_in_status not in (None, "unknown")
    return row.consent == AGREED and not is_known and row.status not in ("suppressed", "invalid", "duplicate")


async def _find_seen(
    source: rows.ListSourceRow, sync_id: UUID, hashes: Mapping[str, str], changed: Sequence[_One]
) -> set[str]:
    if not hashes:
        return set()
    keys = [one.key for one in changed]
    found = await fetch(FIND_SEEN_PHONES, source.id, list(set(hashes.values())), sync_id, keys)
    return {row.phone_hash for row in found}


def _tell(taken: Taken, one: _One, row: _Merged | None, *, is_repeated: bool) -> None:
    status = "invalid" if row is None else "created" if row.status == "staged" else row.status
    if is_repeated and status != "invalid":
        status = "duplicate"
    taken.counts[status] += 1
    if status == "invalid":
        if len(taken.problems) < MAX_PROBLEMS:
            reason = one.person.problem or (row.reason if row is not None else None) or "it cannot be read"
            taken.problems.append({"external_id": one.person.external_id[:100], "reason": reason})
    elif row is not None and len(taken.samples) < MAX_SAMPLES:
        names = ("phone", "first_name", "last_name", "email")
        taken.samples.append({**{name: getattr(row, name) for name in names}, "status": status})


async def _write(
    source: rows.ListSourceRow,
    sync_id: UUID,
    told: Sequence[tuple[_One, _Merged | None]],
    hashes: Mapping[str, str],
    *,
    is_dry_run: bool,
) -> None:
    """Store the people seen. A dry run stores no version, so that the next sync treats everyone as changed."""
    await execute(
        WRITE_PEOPLE,
        source.id,
        sync_id,
        [one.key for one, _ in told],
        [one.person.external_id for one, _ in told],
        [hashes.get(one.key) for one, _ in told],
        [None if is_dry_run or row is None or row.status == "invalid" else row.contact_id for _, row in told],
        ["" if is_dry_run else one.version for one, _ in told],
        ["invalid" if row is None or row.status == "invalid" else "taken" for _, row in told],
    )


def propose_mapping(columns: Sequence[Mapping[str, object]], targets: Mapping[str, str]) -> dict[str, str]:
    """Propose a mapping: the connector's target for a field if it has one, otherwise a guess from its name."""
    shaped = [Column(str(each["label"]), str(each["key"]), "text", [], 1) for each in columns]
    found = import_columns.propose_mapping(shaped, [])
    for key, field_ in found.items():
        if field_ == "external_id" or (field_ in import_columns.FIELDS and field_ in targets.values()):
            found[key] = IGNORE
    return {**found, **targets}
