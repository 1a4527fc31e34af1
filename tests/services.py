"""The services that tests pass to operations: as a process has them, but for what a test sets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from msvs.address_policy import AddressPolicy
from msvs.api.context import SANDBOX_CARRIER, CarrierNames, Services

CONSENT_SECRET = "a secret for the tests' chain of consent"

SERVICES = Services(carriers=CarrierNames(frozenset((SANDBOX_CARRIER,))))
SERVICES.keyring.hash_with(CONSENT_SECRET)


@contextmanager
def restored(services: Services) -> Iterator[None]:
    """Leave services as the block found them."""
    parts = (services.carriers, services.rates, services.keyring, services.address_policy, services.billing)
    before = [{name: getattr(part, name) for name in names_of(part)} for part in parts]
    try:
        yield
    finally:
        for part, values in zip(parts, before, strict=True):
            for name, value in values.items():
                setattr(part, name, value)


def use_address_policy(policy: AddressPolicy) -> None:
    """Let webhooks lead where a policy allows."""
    vars(SERVICES.address_policy).update(vars(policy))


def names_of(part: object) -> list[str]:
    """Name the attributes of a service."""
    return list(getattr(part, "__slots__", None) or vars(part))
