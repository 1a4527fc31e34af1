"""The sandbox's scripted numbers: what the virtual carrier does with each (decisions § 7)."""

from __future__ import annotations

from dataclasses import dataclass

PREFIX = "+1415555"


@dataclass(frozen=True, slots=True)
class ScriptedEvent:
    """Something the virtual carrier brings `after` seconds: a report (`delivered`, `failed`) or a reply (`inbound`)."""

    kind: str
    after: float
    error_code: str | None = None
    text: str = ""


_DELIVERED = ScriptedEvent("delivered", 1)


@dataclass(frozen=True, slots=True)
class Script:
    """How a number behaves: refused at hand-over, throttled first, answered too late, and what follows acceptance."""

    events: tuple[ScriptedEvent, ...] = (_DELIVERED,)
    refuse_code: str | None = None
    throttles_first: bool = False
    times_out_after_accepting: bool = False


DELIVERED = Script()

SCRIPTS: dict[str, Script] = {
    f"{PREFIX}0101": Script(refuse_code="invalid_number"),
    f"{PREFIX}0102": Script(refuse_code="carrier_filtered"),
    f"{PREFIX}0103": Script((ScriptedEvent("failed", 1, error_code="unreachable"),)),
    f"{PREFIX}0104": Script((ScriptedEvent("delivered", 60),)),
    f"{PREFIX}0105": Script((_DELIVERED, ScriptedEvent("inbound", 2, text="STOP"))),
    f"{PREFIX}0106": Script((_DELIVERED, ScriptedEvent("inbound", 2, text="YES"))),
    f"{PREFIX}0107": Script((_DELIVERED, ScriptedEvent("inbound", 2, text="Thanks, see you there!"))),
    f"{PREFIX}0108": Script(()),
    f"{PREFIX}0109": Script(
        (_DELIVERED, ScriptedEvent("delivered", 2), ScriptedEvent("failed", 3, error_code="unreachable"))
    ),
    f"{PREFIX}0111": Script(throttles_first=True),
    f"{PREFIX}0112": Script(times_out_after_accepting=True),
}


def script_for(phone: str) -> Script:
    """Return the script of a number; one that has none is delivered after a second."""
    return SCRIPTS.get(phone, DELIVERED)
