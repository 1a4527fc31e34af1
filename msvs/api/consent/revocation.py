"""Decide whether an opt-out stands, and what may undo it: the person's own message or newer evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, NotRequired, Protocol, TypedDict
from uuid import UUID

from msvs.api import crypto
from msvs.api.context import Context
from msvs.api.errors import Conflict, ErrorCode
from msvs.api.resources import moment
from msvs.api.text.phones import by_canonical, canonical, spellings
from msvs.database import fetch
from msvs.models import rows

# The source of an opt-out that puts one back which was undone without reason; the time that counts is the first one's.
REPAIR = "consent_audit"

# The sources of what a person said, as replies and keywords write them.
OWN_SOURCES = frozenset(("keyword", "double_opt_in"))
JOINED = "keyword:"
CALLERS = ("key_", "usr_")

# Of each phone, in all its spellings: what keeps it from being sent to, the last words of its history, and when it last
# said STOP.
STANDING = """
SELECT named.canonical, kept.suppression_id, kept.is_out, kept.source, kept.at AS kept_at, kept.any_at,
    coalesce(said.last_in, 0) AS last_in, coalesce(said.last_out, 0) AS last_out, said.at AS said_at, said.any_said_at,
    heard.at AS heard_at
FROM (
    SELECT canonical, array_agg(phone) AS phones, array_agg(phone_hash) AS hashes
    FROM unnest($3::varchar[], $4::varchar[], $5::varchar[]) AS spelled (canonical, phone, phone_hash)
    GROUP BY canonical
) AS named
CROSS JOIN LATERAL (
    SELECT (array_agg(id) FILTER (WHERE id IS NOT NULL))[1] AS suppression_id, count(*) > 0 AS is_out,
        (array_agg(source ORDER BY one.at DESC))[1] AS source,
        max(one.at) FILTER (WHERE source IS DISTINCT FROM $6) AS at, max(one.at) AS any_at
    FROM (
        SELECT id, source, created_at AS at FROM suppressions
        WHERE workspace_id = $1 AND livemode = $2 AND suppressions.canonical = named.canonical
        UNION ALL
        SELECT id, source, created_at FROM erased_suppressions
        WHERE workspace_id = $1 AND livemode = $2 AND erased_suppressions.phone_hash = ANY (named.hashes)
        UNION ALL
        SELECT NULL, opt_in_source, coalesce(opt_in_at, updated_at) FROM contacts
        WHERE workspace_id = $1 AND livemode = $2 AND contacts.canonical = named.canonical
            AND opt_in_status = 'opted_out'
    ) AS one
) AS kept
CROSS JOIN LATERAL (
    SELECT max(sequence) FILTER (WHERE status = 'opted_in') AS last_in,
        max(sequence) FILTER (WHERE status = 'opted_out') AS last_out,
        max(created_at) FILTER (WHERE status = 'opted_out' AND source IS DISTINCT FROM $6) AS at,
        max(created_at) FILTER (WHERE status = 'opted_out') AS any_said_at
    FROM consent_events
    WHERE workspace_id = $1 AND livemode = $2
        AND (consent_events.phone_hash = ANY (named.hashes) OR consent_events.phone = ANY (named.phones))
) AS said
CROSS JOIN LATERAL (
    SELECT max(received_at) AS at FROM inbound_messages
    WHERE workspace_id = $1 AND livemode = $2 AND from_phone = ANY (named.phones)
        AND (keyword = 'stop' OR intent IS NOT NULL) AND contact_id IN (
            SELECT id FROM contacts
            WHERE workspace_id = $1 AND livemode = $2 AND contacts.canonical = named.canonical
            UNION ALL
            SELECT contact_id FROM consent_events WHERE workspace_id = $1 AND livemode = $2
                AND (consent_events.phone_hash = ANY (named.hashes) OR consent_events.phone = ANY (named.phones))
        )
) AS heard
"""


@dataclass(frozen=True, slots=True)
class OptOut:
    """An opt-out that stands: since when, why, and the phone's suppression, None if it has none."""

    at: datetime
    source: str
    suppression_id: UUID | None


class Claim(NamedTuple):
    """The basis of an opt-in: the person's own act, or evidence with its time and whether it is renewed."""

    is_own_act: bool = False
    given_at: datetime | None = None
    is_renewed: bool = False

    @property
    def renewal(self) -> bool | None:
        """The value kept in the history: whether the evidence is renewed, None if it has no time."""
        return None if self.given_at is None else self.is_renewed


OWN_ACT = Claim(is_own_act=True)
EVIDENCE_ALONE = Claim()


def may_undo(claim: Claim, opted_out_at: datetime, now: datetime) -> bool:
    """Return whether an opt-in may undo an opt-out: the one rule that every path goes by."""
    if claim.is_own_act:
        return True
    return claim.is_renewed and claim.given_at is not None and opted_out_at < claim.given_at <= now


def claim_of(row: rows.ConsentEventRow) -> Claim:
    """Return what an entry of the history that opted somebody in went by.

    Evidence counts as a new one only where the entry says so, at any time.
    """
    said = row.source in OWN_SOURCES or (row.source or "").startswith(JOINED)
    if said and not row.actor.startswith(CALLERS):
        return OWN_ACT
    return Claim(given_at=row.given_at, is_renewed=row.is_renewed is True)


class _Standing(Protocol):
    """A row of STANDING: times are null if nothing of their kind is known."""

    canonical: str
    suppression_id: UUID | None
    is_out: bool
    source: str | None
    kept_at: datetime | None
    any_at: datetime | None
    last_in: int
    last_out: int
    said_at: datetime | None
    any_said_at: datetime | None
    heard_at: datetime | None


async def find_opt_outs(ctx: Context, phones: Sequence[str]) -> dict[str, OptOut]:
    """Return which of these phones (E.164, in any spelling) are opted out, and since when."""
    spelled = [(one, spelling) for one in by_canonical(phones) for spelling in spellings(one)]
    rows = await fetch(
        _Standing,
        STANDING,
        ctx.workspace_id,
        ctx.livemode,
        [one for one, _ in spelled],
        [spelling for _, spelling in spelled],
        [crypto.phone_hash(ctx, spelling) for _, spelling in spelled],
        REPAIR,
    )
    standing = {
        row.canonical: OptOut(_out_at(row), row.source or REPAIR, row.suppression_id) for row in rows if _is_out(row)
    }
    return {phone: standing[canonical(phone)] for phone in phones if canonical(phone) in standing}


async def find_opt_out(ctx: Context, phone: str) -> OptOut | None:
    """Find the opt-out of a phone (E.164) that stands, or None."""
    return (await find_opt_outs(ctx, [phone])).get(phone)


class _Details(TypedDict):
    """The details of the refusal."""

    opted_out_at: str
    existing_id: NotRequired[str]


def revoked(opted_out_at: datetime, *, existing_id: str | None = None) -> Conflict:
    """Return the refusal of an opt-in that may not undo an opt-out."""
    at = moment(opted_out_at)
    details: _Details = {"opted_out_at": at}
    if existing_id is not None:
        details["existing_id"] = existing_id
    return Conflict(
        f"This phone number opted out at {at}, and only its owner (START, a keyword, YES) or newer evidence opts it in"
        " again: opt_in with renewed true, and at, the time after the opt-out at which the person agreed again.",
        code=ErrorCode.OPT_IN_REVOKED,
        param="opt_in",
        **details,
    )


def _is_out(row: _Standing) -> bool:
    return row.is_out or row.last_out > row.last_in


def _out_at(row: _Standing) -> datetime:
    """Return when a phone that is out said so last; the time of a repair counts where no other is known."""
    times = [at for at in (row.kept_at, row.said_at, row.heard_at) if at is not None]
    repaired = [at for at in (row.any_at, row.any_said_at) if at is not None]
    return max(times or repaired)
