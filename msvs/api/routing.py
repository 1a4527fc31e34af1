"""Which carrier takes a message: the virtual one in the sandbox, the configured one live."""

from __future__ import annotations

from msvs.api.errors import InvalidRequest

SANDBOX_CARRIER = "virtual"

_live_carrier: str | None = None


def use_live_carrier(name: str | None) -> None:
    """Set the carrier of live messages for this process (settings.live_carrier)."""
    global _live_carrier
    _live_carrier = name


def carrier_for(livemode: bool) -> str | None:
    """The name of the carrier, or None where live sending is not configured."""
    return _live_carrier if livemode else SANDBOX_CARRIER


def require_carrier(livemode: bool) -> str:
    """The name of the carrier. Raises InvalidRequest code `carrier_not_configured`."""
    name = carrier_for(livemode)
    if name is None:
        raise InvalidRequest(
            "No carrier is configured for live messages; use a sandbox key, or configure one.",
            code="carrier_not_configured",
        )
    return name
