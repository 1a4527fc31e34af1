"""Choose the carrier of a message: the virtual one in the sandbox; live, its first route that is not paused."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from msvs.api.context import SANDBOX_CARRIER, Services
from msvs.api.dispatch import breakers, open_months
from msvs.api.dispatch.sender_rules import kind_of
from msvs.api.errors import ComplianceRefused, ErrorCode, InvalidRequest
from msvs.database import fetch
from msvs.models import SenderKind
from msvs.models.rows import MessageRow

# Refusals that say nothing of the recipient or the message: another carrier may take it.
FAILOVER_CODES = frozenset(("carrier_rejected", "sender_rejected"))
# A carrier that was away for a message is tried last for so long.
FAULT_MEMORY = timedelta(seconds=60)


def require_carrier(services: Services, livemode: bool) -> None:
    """Refuse a mode that has no carrier. Raises InvalidRequest code `carrier_not_configured`."""
    if not services.carriers.has_any(livemode):
        raise InvalidRequest(
            "No carrier is configured for live messages; use a sandbox key, or configure one.",
            code=ErrorCode.CARRIER_NOT_CONFIGURED,
        )


@dataclass(frozen=True, slots=True)
class Way:
    """A route, as messages are matched with it."""

    carrier: str
    regions: frozenset[str] = frozenset()
    sender: str | None = None
    sender_kind: SenderKind | None = None
    preference: int = 100
    price: Decimal | None = None

    def takes(self, region: str | None, sender: str) -> bool:
        """Return whether a message to a region from a sender may go this way."""
        return (
            (not self.regions or region in self.regions)
            and (self.sender is None or self.sender == sender)
            and (self.sender_kind is None or self.sender_kind is kind_of(sender))
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """The ways of a workspace's messages in one mode, best first; `default` is for those that no way takes.

    `missing` are ways to carriers that this process does not have: their messages wait. `paused` carriers are given
    nothing until the time given; those on `trial` a single message.
    """

    ways: Sequence[Way] = ()
    default: str | None = None
    missing: Sequence[Way] = ()
    paused: Mapping[str, datetime] = field(default_factory=dict)
    trial: frozenset[str] = frozenset()
    failing: frozenset[str] = frozenset()

    @property
    def sole(self) -> str | None:
        """The carrier of every message, where there is no choice."""
        return self.default if not self.ways and not self.missing else None

    @property
    def carriers(self) -> frozenset[str]:
        """The carriers that may be chosen."""
        names = frozenset(way.carrier for way in self.ways)
        return names if self.default is None else names | {self.default}

    @property
    def reachable(self) -> frozenset[str]:
        """The carriers that some message may be given: the default one only where no way takes every message."""
        ways = frozenset(way.carrier for way in self.ways)
        takes_all = any(not way.regions and way.sender is None and way.sender_kind is None for way in self.ways)
        return ways if takes_all else self.carriers

    def is_missing(self, region: str | None, sender: str) -> bool:
        """Return whether a message may go a way that this process does not have."""
        return any(way.takes(region, sender) for way in self.missing)

    def carriers_for(self, region: str | None, sender: str) -> list[str]:
        """Return the carriers that may take a message, best first."""
        found = dict.fromkeys(way.carrier for way in self.ways if way.takes(region, sender))
        if not found and self.default is not None and not self.is_missing(region, sender):
            return [self.default]
        return list(found)

    def choose(self, candidates: Sequence[str], *, refused: Collection[str], away: Collection[str]) -> str | None:
        """Choose the carrier to try now, or None while all that are left are paused.

        `refused` is who refused this very message; `away` who was lately away for it, and is tried last.
        """
        left = [name for name in candidates if name not in refused and name not in self.paused]
        return next((name for name in left if name not in away), left[0] if left else None)

    def pause_of(self, carriers: Iterable[str], now: datetime) -> timedelta:
        """Return how long it is until the first of some carriers is paused no longer."""
        return min((self.paused[name] - now for name in carriers if name in self.paused), default=timedelta(0))


async def require_route(services: Services, workspace_id: UUID, region: str | None, sender: str, now: datetime) -> None:
    """Refuse a live message that no carrier takes. Raises ComplianceRefused code `no_route`."""
    check_route(await plan_for(services, workspace_id, True, now), region, sender)


def check_route(plan: Plan, region: str | None, sender: str) -> None:
    """Refuse a message that no carrier of a plan takes. Raises ComplianceRefused code `no_route`."""
    if not plan.carriers_for(region, sender):
        raise ComplianceRefused(
            "No carrier takes messages to this region from this sender.", code=ErrorCode.NO_ROUTE, param="to"
        )


ROUTES = """
SELECT workspace_id, carrier, regions, sender, sender_kind, preference, price FROM routes
WHERE workspace_id = $1 OR workspace_id IS NULL
"""


class _Route(Protocol):
    workspace_id: UUID | None
    carrier: str
    regions: list[str]
    sender: str | None
    sender_kind: str | None
    preference: int
    price: Decimal | None


async def plan_for(services: Services, workspace_id: UUID, livemode: bool, now: datetime) -> Plan:
    """Return the ways of a workspace's messages now. A workspace's own routes stand in place of the shared ones."""
    if not livemode:
        return Plan(default=SANDBOX_CARRIER)
    rows = await fetch(_Route, ROUTES, workspace_id)
    own = [row for row in rows if row.workspace_id is not None]
    ways = sorted((_way(row) for row in own or rows), key=_order)
    names, default = services.carriers.names, services.carriers.default_for(True)
    states = await breakers.find_states() if services.carriers.has_real else {}
    return Plan(
        [way for way in ways if way.carrier in names],
        default,
        [way for way in ways if way.carrier not in names],
        paused={name: state.retry_at for name, state in states.items() if state.retry_at and state.is_paused(now)},
        trial=frozenset(name for name, state in states.items() if state.is_on_trial(now)),
        failing=frozenset(name for name, state in states.items() if state.failures),
    )


def _way(row: _Route) -> Way:
    kind = None if row.sender_kind is None else SenderKind(row.sender_kind)
    return Way(row.carrier, frozenset(row.regions), row.sender, kind, row.preference, row.price)


def _order(way: Way) -> tuple[int, bool, Decimal, str]:
    return (way.preference, way.price is None, way.price or Decimal(0), way.carrier)


@dataclass(frozen=True, slots=True)
class Tries:
    """The earlier attempts of a message: carriers that refused it, and carriers that were recently away."""

    refused: frozenset[str] = frozenset()
    away: frozenset[str] = frozenset()


NO_TRIES = Tries()

TRIES = """
SELECT message_id, carrier, outcome, ended_at FROM message_attempts
WHERE message_id = ANY($1) AND outcome IN ('refused', 'fault') AND {in_attempts}
"""


class _Try(Protocol):
    message_id: UUID
    carrier: str
    outcome: str
    ended_at: datetime | None


async def find_tries(rows: Iterable[MessageRow], now: datetime) -> Mapping[UUID, Tries]:
    """Find the refusals of messages that were tried before."""
    tried = [row.id for row in rows if row.attempt_count]
    if not tried:
        return {}
    refused: dict[UUID, set[str]] = {}
    away: dict[UUID, set[str]] = {}
    for row in await fetch(_Try, open_months.within(TRIES, tried), tried):
        if row.outcome == "refused":
            refused.setdefault(row.message_id, set()).add(row.carrier)
        elif row.ended_at is not None and now - row.ended_at < FAULT_MEMORY:
            away.setdefault(row.message_id, set()).add(row.carrier)
    return {
        message_id: Tries(frozenset(refused.get(message_id, ())), frozenset(away.get(message_id, ())))
        for message_id in refused.keys() | away.keys()
    }
