"""The sandbox's scripted numbers: what the virtual carrier does with each (decisions § 7)."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

PREFIX = "+1415555"
# What a workspace's script has a share of each of, in the order in which they are drawn.
SHARES = ("loss", "duplicates", "disorder", "partial_parts", "throttling", "opt_outs")
# The most seconds by which a report is late that comes out of order.
LATEST = 3600


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


def is_scripted(phone: str) -> bool:
    """Return whether a number has a script of its own."""
    return phone in SCRIPTS


def draw_script(seed: int, shares: Mapping[str, float], *, to: str, body: str, segments: int) -> Script:
    """Draw what becomes of a message by the shares of a workspace's script.

    The seed, the number and the text decide, so that a run repeats exactly. Every share is drawn for every message, so
    that another value of one changes nothing of the others.
    """
    # Text seeds it by its bytes, in every process alike.
    dice = random.Random(f"{seed}:{to}:{body}")  # noqa: S311
    drawn = {name: dice.random() < shares.get(name, 0.0) for name in SHARES}
    late = 1 + round(dice.random() * LATEST) if drawn["disorder"] else 1
    if drawn["loss"]:
        return Script((), throttles_first=drawn["throttling"])
    is_partial = drawn["partial_parts"] and segments > 1
    report = ScriptedEvent("failed", late, error_code="unreachable") if is_partial else ScriptedEvent("delivered", late)
    events = [report]
    if drawn["duplicates"]:
        events.append(ScriptedEvent(report.kind, late + 1, error_code=report.error_code))
    if drawn["opt_outs"] and not is_partial:
        events.append(ScriptedEvent("inbound", late + 1, text="STOP"))
    return Script(tuple(events), throttles_first=drawn["throttling"])
