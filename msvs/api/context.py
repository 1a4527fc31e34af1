"""The context of an operation: the caller and the services of the process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar, cast
from uuid import UUID

from msvs import present
from msvs.address_policy import AddressPolicy
from msvs.api.crypto import Keyring
from msvs.models import Role
from msvs.packs import Billing
from msvs.settings import HOST_AT_ONCE, HOST_RATE, IMPORT_BYTES, LINK_DAYS, PRODUCTION_URL, Settings
from msvs.shared_clock import SharedClock

T = TypeVar("T")

SANDBOX_CARRIER = "virtual"
ANY = "*"


# The actor of the service's own work, and that of what an operator changes.
SYSTEM = "system"
OPERATOR = "operator"


@dataclass(slots=True)
class CarrierNames:
    """The carriers there are, by name, and the one of live messages that no route takes."""

    names: frozenset[str] = frozenset((SANDBOX_CARRIER,))
    live: str | None = None

    def default_for(self, livemode: bool) -> str | None:
        """Return the carrier of a mode where no route says otherwise: live, the one set, or the only one there is."""
        if not livemode:
            return SANDBOX_CARRIER
        real = self.names - {SANDBOX_CARRIER}
        return self.live or (next(iter(real)) if len(real) == 1 else None)

    def has_any(self, livemode: bool) -> bool:
        """Tell whether a mode has any carrier at all."""
        return not livemode or self.live is not None or self.has_real

    @property
    def has_real(self) -> bool:
        """Tell whether there is any carrier beside the virtual one."""
        return bool(self.names - {SANDBOX_CARRIER})

    def is_real(self, livemode: bool) -> bool:
        """Tell whether messages of a mode may leave by carriers that have rules for senders.

        Routes lead to them even where the virtual one takes what no route does.
        """
        return livemode and self.has_real


@dataclass(slots=True)
class Rates:
    """The rates of carriers and senders in messages a second; `*` is the rate of names without their own."""

    carriers: Mapping[str, float] = field(default_factory=dict)
    senders: Mapping[str, float] = field(default_factory=dict)
    # Webhooks to one host from a process: posts a second, and at once.
    host_per_second: float = HOST_RATE
    host_at_once: int = HOST_AT_ONCE

    def of_carrier(self, name: str) -> float | None:
        """Return what a carrier takes; None is no limit."""
        return self.carriers.get(name, self.carriers.get(ANY))

    def of_sender(self, name: str) -> float | None:
        """Return what a sender sends; None is no limit."""
        return self.senders.get(name, self.senders.get(ANY))

    def limited_senders(self) -> tuple[dict[str, float], float | None]:
        """Return the limits of senders that have their own, and that of every other; None is no limit."""
        own = {name: rate for name, rate in self.senders.items() if name != ANY}
        return own, self.senders.get(ANY)


def utc_now() -> datetime:
    """Return the present time by Python's clock; in a sandbox with a clock, by that."""
    return present.now()


@dataclass(frozen=True, slots=True)
class Services:
    """The services of a process: carriers' names, rates, keyring, address policy, base URL, billing and clock.

    `operator` is who runs the command, where the process is one that changes something.
    """

    carriers: CarrierNames = field(default_factory=CarrierNames)
    rates: Rates = field(default_factory=Rates)
    keyring: Keyring = field(default_factory=Keyring)
    address_policy: AddressPolicy = field(default_factory=AddressPolicy)
    base_url: str = PRODUCTION_URL
    billing: Billing = field(default_factory=Billing)
    # What a file to be imported may hold.
    import_bytes: int = IMPORT_BYTES
    operator: str | None = None
    # The host of short links, where it is another than the service's, and for how many days they lead somewhere.
    link_domain: str | None = None
    link_days: int = LINK_DAYS
    clock: Callable[[], datetime] = utc_now
    _kept: dict[type, object] = field(default_factory=dict, repr=False, compare=False)

    @property
    def link_base(self) -> str:
        """What short links begin with, without a slash at the end."""
        return self.base_url.rstrip("/") if self.link_domain is None else f"https://{self.link_domain}"

    def real_clock(self) -> datetime:
        """Return the real time, also where the caller's sandbox has a clock: accounts and money live by no other."""
        with present.standing():
            return self.clock()

    def keep(self, kind: type[T]) -> T:
        """Return the one object of a class that this process keeps, such as a cache; made when first asked for."""
        kept = self._kept.get(kind)
        if kept is None:
            kept = self._kept[kind] = kind()
        return cast("T", kept)

    def without_memory(self, rates: Rates | None = None) -> Services:
        """Return the same services, with other rates if given, which remember nothing that this process looked at."""
        return replace(self, rates=rates or self.rates, _kept={})

    def forget(self, kind: type) -> None:
        """Drop the one object of a class that this process keeps: the next is made when it is asked for."""
        self._kept.pop(kind, None)

    @classmethod
    def from_settings(cls, settings: Settings, carriers: Mapping[str, float | None]) -> Services:
        """Make the services of a process. `carriers` are all there are, each with the rate of its own, if any.

        Raises SettingsError.
        """
        own = {name: rate for name, rate in carriers.items() if rate is not None}
        return cls(
            CarrierNames(frozenset(carriers), settings.live_carrier),
            Rates(
                {**own, **settings.carrier_rates},
                settings.sender_rates,
                settings.webhook_host_rate,
                settings.webhook_host_at_once,
            ),
            Keyring(),
            AddressPolicy.from_settings(settings),
            settings.base_url,
            Billing.from_settings(settings),
            settings.import_bytes,
            link_domain=settings.link_domain,
            link_days=settings.link_days,
            clock=SharedClock(),
        )


@dataclass(frozen=True, slots=True)
class Context:
    """The caller of an operation: workspace, mode (`livemode`), actor, request id, and a user's role and address.

    `services` are those of the process.

    `actor` is an id on the wire (`key_…`, `usr_…`) or `system` for the service's own work. A key has no role, but may
    have `scopes`; None is all of them. `is_confirmed` is false for a user whose address is not confirmed.
    """

    workspace_id: UUID
    livemode: bool
    actor: str = SYSTEM
    request_id: str | None = None
    role: Role | None = None
    ip: str | None = None
    scopes: frozenset[str] | None = None
    is_confirmed: bool = True
    services: Services = field(kw_only=True, repr=False, compare=False)

    @property
    def signature(self) -> str:
        """Return what a log calls the actor: where a command acts, it is who ran it."""
        operator = self.services.operator
        return self.actor if operator is None or self.actor not in (SYSTEM, OPERATOR) else sign(operator)


def sign(operator: str) -> str:
    """Return what logs call an operator who runs a command."""
    return f"{OPERATOR}:{operator}"


@dataclass(frozen=True, slots=True)
class Visitor:
    """A caller who is not known yet, such as one who is logging in."""

    ip: str | None = None
    request_id: str | None = None
    sign_up: str = "open"
    user_agent: str | None = None
    services: Services = field(kw_only=True, repr=False, compare=False)


def lock_number(ctx: Context, *, before: bytes = b"", after: bytes = b"") -> int:
    """Return the number of an advisory lock of the caller's workspace and mode.

    What else names it stands before or after.
    """
    return _number(b"%s%s%d%s" % (before, ctx.workspace_id.bytes, ctx.livemode, after))


def name_lock(kind: bytes, name: bytes) -> int:
    """Return the number of an advisory lock of a name that all workspaces share."""
    return _number(b"%s:%s" % (kind, name))


def _number(name: bytes) -> int:
    return int.from_bytes(hashlib.sha256(name).digest()[:8], signed=True)
