"""Create and update contacts from imported rows, one transaction for each batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, cast
from uuid import UUID

from msvs.api import ids
from msvs.api.consent import consent
from msvs.api.consent.consent import Evidence
from msvs.api.contacts import lists
from msvs.api.contacts.contacts import lock_external_ids
from msvs.api.contacts.details import IMPORTED, MAX_ATTRIBUTES
from msvs.api.contacts.import_rows import AGREED, REFUSED
from msvs.api.contacts.imports import hold_list, opt_in_imported
from msvs.api.contacts.rules import FILL, OVERWRITE, RULES, SKIP
from msvs.api.contacts.tags import LOCK_TAGS_OF, change_tags
from msvs.api.context import Context, lock_number
from msvs.database import execute, fetch, fetch_row, fetch_value, join_in_one_pass, plan_for_any_values

# Why the contacts of a file are opted out by it.
OPTED_OUT_BY_FILE = "import"

# The rows of a batch that people are made of; $1 and $2 are the workspace and its mode, $3 the reading.
BATCH = """
rows.reading_id = $3 AND rows.number > $4 AND rows.number <= $5 AND rows.status NOT IN ('invalid', 'duplicate')
"""
OF_ROW = """
contacts.workspace_id = $1 AND contacts.livemode = $2 AND contacts.canonical = rows.canonical
"""
# Rows and contacts are matched one by one, by a unique index; OFFSET 0 keeps PostgreSQL from any other way, such as to
# read all contacts of a workspace that it takes for a small one. What is changed is named by its key alone for the same
# reason: the rows and contacts it comes from are within the scope.
WITH_CONTACT = f"""
import_rows AS rows CROSS JOIN LATERAL (SELECT * FROM contacts WHERE {OF_ROW} OFFSET 0) AS contacts
"""
HAS_CONTACT = f"EXISTS (SELECT FROM contacts WHERE {OF_ROW} OFFSET 0)"
OF_PHONE = """
suppressions.workspace_id = $1 AND suppressions.livemode = $2 AND suppressions.canonical = rows.canonical
"""
STOPPED = f"EXISTS (SELECT FROM suppressions WHERE {OF_PHONE} OFFSET 0)"

# What the rows of one phone say together is the first one's; a later word goes before, but for consent, of which any
# refusal holds.
_last = "(array_agg({name} ORDER BY number DESC) FILTER (WHERE {name} IS NOT NULL))[1] AS {name}"
JOIN_DUPLICATES = f"""
WITH repeated AS (
    SELECT canonical, min(number) AS number FROM import_rows
    WHERE reading_id = $1 AND status = 'staged' GROUP BY canonical HAVING count(*) > 1
), said AS (
    SELECT repeated.number AS first, rows.* FROM repeated
    JOIN import_rows AS rows ON rows.reading_id = $1 AND rows.status = 'staged' AND rows.canonical = repeated.canonical
), joined AS (
    SELECT first,
        {", ".join(_last.format(name=name) for name in IMPORTED)},
        coalesce(min(consent) FILTER (WHERE consent <> 0), 0) AS consent,
        (array_agg(evidence ORDER BY number DESC) FILTER (WHERE consent = {AGREED}))[1] AS evidence
    FROM said GROUP BY first
), told AS (
    SELECT first, jsonb_object_agg(each.key, each.value ORDER BY said.number) AS attributes
    FROM said CROSS JOIN LATERAL jsonb_each(said.attributes) AS each GROUP BY first
), first_rows AS (
    UPDATE import_rows SET consent = joined.consent, evidence = joined.evidence,
        attributes = coalesce(told.attributes, '{{}}'), {", ".join(f"{name} = joined.{name}" for name in IMPORTED)}
    FROM joined LEFT JOIN told USING (first)
    WHERE import_rows.reading_id = $1 AND import_rows.number = joined.first
), later_rows AS (
    UPDATE import_rows SET status = 'duplicate' FROM said
    WHERE import_rows.reading_id = $1 AND import_rows.number = said.number AND said.number <> said.first
    RETURNING 1
)
SELECT count(*) FROM later_rows
"""

TAKEN = "Another contact has this external_id."
REFUSE_REPEATED_IDS = f"""
UPDATE import_rows SET status = 'invalid', reason = '{TAKEN}' FROM (
    SELECT number, row_number() OVER (PARTITION BY external_id ORDER BY number) AS place FROM import_rows
    WHERE reading_id = $1 AND status = 'staged' AND external_id IS NOT NULL
) AS named
WHERE import_rows.reading_id = $1 AND import_rows.number = named.number AND named.place > 1
"""
REFUSE_TAKEN_IDS = f"""
UPDATE import_rows AS rows SET status = 'invalid', reason = '{TAKEN}'
WHERE {BATCH} AND rows.external_id IS NOT NULL AND EXISTS (
    SELECT FROM contacts WHERE contacts.workspace_id = $1 AND contacts.livemode = $2
        AND contacts.external_id = rows.external_id AND contacts.canonical <> rows.canonical OFFSET 0
)
"""

# In the order of their ids, as everywhere that contacts are locked.
LOCK_KNOWN = f"""
SELECT count(*) FROM (
    SELECT contacts.id FROM {WITH_CONTACT} WHERE {BATCH} ORDER BY contacts.id OFFSET 0
) AS known CROSS JOIN LATERAL (
    SELECT FROM contacts WHERE contacts.id = known.id AND workspace_id = $1 AND livemode = $2
    FOR NO KEY UPDATE OFFSET 0
) AS locked
"""
READ_PHONES = """
SELECT phone FROM import_rows
WHERE reading_id = $1 AND number > $2 AND number <= $3 AND status NOT IN ('invalid', 'duplicate') ORDER BY phone
"""
READ_REFUSED = f"""
SELECT phone FROM import_rows
WHERE reading_id = $1 AND number > $2 AND number <= $3 AND status NOT IN ('invalid', 'duplicate')
    AND consent = {REFUSED} ORDER BY phone
"""
HAS_ERASED = "SELECT EXISTS (SELECT FROM erased_suppressions WHERE workspace_id = $1 AND livemode = $2)"
FIND_ERASED = """
SELECT named.phone FROM unnest($3::varchar[], $4::varchar[]) AS named (phone, phone_hash)
JOIN erased_suppressions AS erased ON erased.workspace_id = $1 AND erased.livemode = $2
    AND erased.phone_hash = named.phone_hash
"""

# A contact is as old as its id says, to the minute: lists are found by it. Rows may have waited since they were read.
RENEW_IDS = f"""
UPDATE import_rows AS rows SET contact_id = (left(id_floor($6)::text, 13) || substr(contact_id::text, 14))::uuid
WHERE {BATCH} AND contact_id < id_floor($6::timestamptz - interval '30 seconds')
    AND NOT {HAS_CONTACT}
"""
# A suppressed phone makes a contact that is opted out, for the reason and since the time of its suppression.
INSERT_NEW = f"""
INSERT INTO contacts (id, workspace_id, livemode, phone, region, number_kind, attributes, opt_in_status, opt_in_source,
    opt_in_at, created_at, updated_at, {", ".join(IMPORTED)})
SELECT rows.contact_id, $1, $2, rows.phone, rows.region, rows.number_kind, rows.attributes,
    CASE WHEN stop.id IS NULL THEN 'unknown' ELSE 'opted_out' END, stop.source, stop.created_at,
    $6::timestamptz, $6::timestamptz, {", ".join(f"rows.{name}" for name in IMPORTED)}
FROM import_rows AS rows
LEFT JOIN LATERAL (SELECT * FROM suppressions WHERE {OF_PHONE} OFFSET 0) AS stop ON true
WHERE {BATCH} AND NOT {HAS_CONTACT}
ORDER BY rows.canonical ON CONFLICT DO NOTHING
"""

_said = {name: f"rows.{name}" for name in IMPORTED}
_kept = {name: f"contacts.{name}" for name in IMPORTED}
# What a contact becomes, by the rule for what is known already.
_values = {
    OVERWRITE: {
        **{name: f"coalesce({_said[name]}, {_kept[name]})" for name in IMPORTED},
        "attributes": "contacts.attributes || rows.attributes",
    },
    FILL: {
        **{name: f"coalesce({_kept[name]}, {_said[name]})" for name in IMPORTED},
        "attributes": "rows.attributes || contacts.attributes",
    },
    # What a message made by itself nobody has written yet.
    SKIP: {
        **{
            name: f"CASE WHEN contacts.is_automatic THEN coalesce({_said[name]}, {_kept[name]}) ELSE {_kept[name]} END"
            for name in IMPORTED
        },
        "attributes": "CASE WHEN contacts.is_automatic THEN contacts.attributes || rows.attributes"
        " ELSE contacts.attributes END",
    },
}


def _known(rule: str) -> str:
    columns = (*IMPORTED, "attributes")
    return f"""
known AS MATERIALIZED (
    SELECT rows.number, contacts.id, {", ".join(f"new.{name}" for name in columns)},
        CASE WHEN (SELECT count(*) FROM jsonb_object_keys(new.attributes)) > {MAX_ATTRIBUTES} THEN 'invalid'
            WHEN contacts.opt_in_status = 'opted_out' OR rows.consent = {REFUSED} OR {STOPPED} THEN 'suppressed'
            WHEN is_changed THEN 'updated' ELSE 'unchanged' END AS status, is_changed
    FROM {WITH_CONTACT}
    CROSS JOIN LATERAL (SELECT {", ".join(f"{_values[rule][name]} AS {name}" for name in columns)}) AS new
    CROSS JOIN LATERAL (
        SELECT contacts.is_automatic OR ROW({", ".join(f"new.{name}" for name in columns)})
            IS DISTINCT FROM ROW({", ".join(f"contacts.{name}" for name in columns)}) AS is_changed
    ) AS compared
    WHERE {BATCH} AND contacts.id <> rows.contact_id
)"""


OVER = f"A contact has at most {MAX_ATTRIBUTES} attributes."


def _mark(found: str, statuses: Mapping[str, str | None]) -> str:
    """Return the steps of a statement that note a status, with its reason, of the rows that were found to have it.

    Rows are named by a list of numbers, not joined: PostgreSQL may take their table, which is often empty, for one row.
    """
    return ", ".join(
        f"""
marked_{status} AS (
    UPDATE import_rows SET status = '{status}', reason = {"NULL" if reason is None else f"'{reason}'"}
    WHERE reading_id = $3 AND number = ANY (ARRAY(SELECT number FROM {found} WHERE status = '{status}'))
        AND status <> '{status}'
)"""
        for status, reason in statuses.items()
    )


MARK = _mark("known", {"invalid": OVER, "suppressed": None, "updated": None, "unchanged": None})
TALLY = """
SELECT count(*) FILTER (WHERE status = 'updated') AS updated, count(*) FILTER (WHERE status = 'unchanged') AS unchanged,
    count(*) FILTER (WHERE status = 'suppressed') AS suppressed, count(*) FILTER (WHERE status = 'invalid') AS invalid
FROM known
"""
CHECK_KNOWN = {rule: f"WITH {_known(rule)}, {MARK} {TALLY}" for rule in RULES}
UPDATE_KNOWN = {
    rule: f"""
WITH {_known(rule)}, {MARK}, changed AS (
    UPDATE contacts SET updated_at = $6, is_automatic = false, attributes = known.attributes,
        {", ".join(f"{name} = known.{name}" for name in IMPORTED)}
    FROM known WHERE contacts.id = known.id AND known.is_changed AND known.status <> 'invalid'
)
{TALLY}
"""
    for rule in RULES
}
# A row that is made into a contact is staged, no matter what a dry run found.
MARK_NEW = f"""
WITH made AS MATERIALIZED (
    SELECT rows.number, CASE WHEN contacts.opt_in_status = 'opted_out' THEN 'suppressed' ELSE 'staged' END AS status
    FROM {WITH_CONTACT} WHERE {BATCH} AND contacts.id = rows.contact_id
), {_mark("made", {"suppressed": None, "staged": None})}
SELECT count(*) FILTER (WHERE status = 'suppressed') FROM made
"""
CHECK_NEW = f"""
WITH fresh AS MATERIALIZED (
    SELECT rows.number, CASE WHEN rows.consent = {REFUSED} OR rows.phone = ANY ($6::varchar[]) OR {STOPPED}
            THEN 'suppressed' ELSE 'staged' END AS status
    FROM import_rows AS rows WHERE {BATCH} AND NOT {HAS_CONTACT}
), {_mark("fresh", {"suppressed": None})}
SELECT count(*) FILTER (WHERE status = 'staged') AS created,
    count(*) FILTER (WHERE status = 'suppressed') AS suppressed
FROM fresh
"""
READ_AGREED = f"""
SELECT contacts.id, contacts.canonical, contacts.opt_in_status, rows.evidence
FROM {WITH_CONTACT}
WHERE {BATCH} AND rows.consent = {AGREED} ORDER BY contacts.id
"""
READ_MEMBERS = f"SELECT contacts.id FROM {WITH_CONTACT} WHERE {BATCH} ORDER BY contacts.id"


class _Agreed(Protocol):
    id: UUID
    canonical: str
    opt_in_status: str
    evidence: dict[str, str] | None


class _Tally(Protocol):
    updated: int
    unchanged: int
    suppressed: int
    invalid: int


class _Fresh(Protocol):
    created: int
    suppressed: int


@dataclass(frozen=True, slots=True)
class Merge:
    """How the rows of a file become contacts."""

    reading_id: UUID
    rule: str
    list_id: UUID | None
    evidence: Evidence | None
    # Whether any row has such values: without them, their queries are skipped.
    has_external_ids: bool
    has_consent: bool
    file_name: str
    is_sync: bool = False
    tags: Sequence[str] = ()

    @property
    def source(self) -> str:
        """The source of consent if neither the row nor the import names one."""
        return f"{'sync with' if self.is_sync else 'import of'} {self.file_name}"[:100]


async def join_duplicates(merge: Merge, seconds: float) -> tuple[int, int]:
    """Make one row of those of one phone. Return how many were repeated, and how many repeat another's external id."""
    await join_in_one_pass()
    row = await fetch(JOIN_DUPLICATES, merge.reading_id, timeout=seconds)
    refused = 0
    if merge.has_external_ids:
        refused = await execute(REFUSE_REPEATED_IDS, merge.reading_id, timeout=seconds)
    return int(row[0][0]), refused


async def check_batch(ctx: Context, merge: Merge, after: int, until: int) -> dict[str, int]:
    """Find what would become of a batch of rows, and change nothing but what is noted of them. Return the counts."""
    scope = (ctx.workspace_id, ctx.livemode, merge.reading_id, after, until)
    await plan_for_any_values()
    taken = await execute(REFUSE_TAKEN_IDS, *scope) if merge.has_external_ids else 0
    known = await _tally(CHECK_KNOWN[merge.rule], scope)
    fresh = await fetch_row(_Fresh, CHECK_NEW, *scope, await _find_erased(ctx, scope))
    assert fresh is not None, "counts are one row"
    known["invalid"] += taken
    known["suppressed"] += fresh.suppressed
    return {**known, "created": fresh.created}


async def merge_batch(ctx: Context, merge: Merge, after: int, until: int, now: datetime) -> dict[str, int]:
    """Make and change the contacts of a batch of rows, with their consent and their place on a list. Return the counts.

    Locks are taken in the order of all imports: imports, external ids, contacts, suppressions, lists.
    """
    scope = (ctx.workspace_id, ctx.livemode, merge.reading_id, after, until)
    await plan_for_any_values()
    await fetch_value("SELECT pg_advisory_xact_lock($1)", lock_number(ctx, before=b"imports"))
    taken = 0
    if merge.has_external_ids:
        await lock_external_ids(ctx)
        taken = await execute(REFUSE_TAKEN_IDS, *scope)
    await fetch_value(LOCK_KNOWN, *scope)
    if merge.has_consent and (refused := [row.phone for row in await fetch(READ_REFUSED, *scope[2:])]):
        source = merge.source if merge.is_sync else OPTED_OUT_BY_FILE
        await consent.suppress(ctx, refused, source=source, now=now)
    await consent.hold_suppressions(ctx)
    if await fetch_value(HAS_ERASED, ctx.workspace_id, ctx.livemode):
        await consent.restore_suppressions(ctx, [row.phone for row in await fetch(READ_PHONES, *scope[2:])])
    await execute(RENEW_IDS, *scope, now)
    created = await execute(INSERT_NEW, *scope, now)
    # Whom somebody else made meanwhile is known by now.
    await fetch_value(LOCK_KNOWN, *scope)
    if merge.list_id is not None:
        await hold_list(ctx, merge.list_id, is_sync=merge.is_sync)
    counts = await _tally(UPDATE_KNOWN[merge.rule], (*scope, now))
    suppressed = int(await fetch_value(MARK_NEW, *scope))
    counts["invalid"] += taken
    counts["suppressed"] += suppressed
    counts["created"] = created - suppressed
    members = []
    if merge.list_id is not None or merge.tags:
        members = [row.id for row in await fetch(READ_MEMBERS, *scope)]
    if merge.tags:
        await change_tags(ctx, members, add=merge.tags, now=now)
    if merge.list_id is not None:
        new_ids = [ids.new_id() for _ in members]
        counts["added_to_list"] = await execute(lists.ADD_MEMBERS, merge.list_id, new_ids, members, now)
    if merge.has_consent:
        counts |= await _opt_in(ctx, merge, scope, now)
    return counts


async def _tally(statement: str, values: tuple[object, ...]) -> dict[str, int]:
    row = await fetch_row(_Tally, statement, *values)
    assert row is not None, "counts are one row"
    return {
        "updated": row.updated,
        "unchanged": row.unchanged,
        "suppressed": row.suppressed,
        "invalid": row.invalid,
    }


async def _find_erased(ctx: Context, scope: tuple[object, ...]) -> list[str]:
    """Return the phones of a batch that were erased while they were suppressed."""
    if not await fetch_value(HAS_ERASED, ctx.workspace_id, ctx.livemode):
        return []
    phones = [row.phone for row in await fetch(READ_PHONES, *scope[2:])]
    named = [(phone, hash) for phone in phones for hash in consent.hashes_of(ctx, phone)]
    rows = await fetch(
        FIND_ERASED, ctx.workspace_id, ctx.livemode, [phone for phone, _ in named], [hash for _, hash in named]
    )
    return [row.phone for row in rows]


async def _opt_in(ctx: Context, merge: Merge, scope: tuple[object, ...], now: datetime) -> dict[str, int]:
    rows = await fetch(_Agreed, READ_AGREED, *scope)
    if not rows:
        return {}
    given = {row.canonical: evidence_of(merge, row.evidence) for row in rows}
    came = await opt_in_imported(ctx, {row.canonical: row for row in rows}, given, now)
    return {"opted_in": came.opted_in, "pending": came.pending}


def evidence_of(merge: Merge, own: Mapping[str, str] | None) -> Evidence:
    """Return the evidence of one person: what its row says, else what holds for the whole file."""
    shared, own = merge.evidence, own or {}
    at = own.get("at")
    return Evidence(
        source=own.get("source") or (merge.source if shared is None else shared.source),
        ip=own.get("ip") or (None if shared is None else shared.ip),
        user_agent=None if shared is None else shared.user_agent,
        text=(None if shared is None else shared.text) or own.get("text"),
        version=None if shared is None else shared.version,
        given_at=datetime.fromisoformat(at) if at is not None else (None if shared is None else shared.given_at),
    )


# Undoing

# Of what the rows from $4 to $5 made, those that nobody has written to, heard of, or changed since. In the order of
# their ids, as everywhere that contacts are locked.
LOCK_MADE = """
SELECT contacts.id, NOT (
        contacts.updated_at > $6
        OR EXISTS (SELECT FROM messages WHERE messages.contact_id = contacts.id)
        OR EXISTS (SELECT FROM inbound_messages WHERE inbound_messages.contact_id = contacts.id)
        OR EXISTS (SELECT FROM contact_notes WHERE contact_notes.contact_id = contacts.id)
        OR EXISTS (
            SELECT FROM campaign_recipients JOIN campaigns ON campaigns.id = campaign_recipients.campaign_id
            WHERE campaigns.workspace_id = $1 AND campaign_recipients.phone = contacts.phone
                AND campaigns.status IN ('preparing', 'sending', 'paused')
        )
    ) AS is_untouched
FROM (
    SELECT contact_id FROM import_rows AS rows
    WHERE rows.reading_id = $3 AND rows.number > $4 AND rows.number <= $5 AND contact_id IS NOT NULL
    ORDER BY contact_id OFFSET 0
) AS made CROSS JOIN LATERAL (
    SELECT * FROM contacts WHERE contacts.id = made.contact_id AND workspace_id = $1 AND livemode = $2
    FOR UPDATE OFFSET 0
) AS contacts
"""
LOCK_LISTS_OF_MADE = """
SELECT count(*) FROM (
    SELECT 1 FROM contact_lists WHERE workspace_id = $1 AND livemode = $2
        AND id IN (SELECT list_id FROM list_members WHERE contact_id = ANY($3::uuid[]))
    ORDER BY id FOR NO KEY UPDATE
) AS locked
"""
LEAVE_LISTS = "DELETE FROM list_members WHERE contact_id = ANY($1::uuid[])"
# Anyone who is opted out stays suppressed, also where nothing but the contact said so.
DELETE_MADE = """
WITH gone AS (
    DELETE FROM contacts WHERE workspace_id = $1 AND livemode = $2 AND id = ANY($3::uuid[]) RETURNING *
), stopped AS (
    INSERT INTO suppressions (id, workspace_id, livemode, phone, source, created_at)
    SELECT gen_random_uuid(), workspace_id, livemode, phone, coalesce(opt_in_source, 'import'),
        coalesce(opt_in_at, updated_at)
    FROM gone WHERE opt_in_status = 'opted_out' ON CONFLICT DO NOTHING
)
SELECT count(*) FROM gone
"""


class _Made(Protocol):
    id: UUID
    is_untouched: bool


async def undo_batch(ctx: Context, reading_id: UUID, after: int, until: int, ended_at: datetime) -> dict[str, int]:
    """Delete the contacts that a batch of rows made and nobody has touched since. Return the counts.

    What they said of consent stays: its history, and that a phone is suppressed.
    """
    await plan_for_any_values()
    made = await fetch(_Made, LOCK_MADE, ctx.workspace_id, ctx.livemode, reading_id, after, until, ended_at)
    untouched = [row.id for row in made if row.is_untouched]
    undone = 0
    if untouched:
        await fetch_value(LOCK_LISTS_OF_MADE, ctx.workspace_id, ctx.livemode, untouched)
        await execute(LEAVE_LISTS, untouched)
        await fetch_value(LOCK_TAGS_OF, ctx.workspace_id, ctx.livemode, untouched)
        undone = int(cast("int", await fetch_value(DELETE_MADE, ctx.workspace_id, ctx.livemode, untouched)))
    return {"undone": undone, "kept": len(made) - undone}
