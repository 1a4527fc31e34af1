"""Faults of the virtual carrier, determined by message id and seed, so that a run can be repeated."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from uuid import UUID

from msvs.carriers.protocol import Capability, Outcome, Refused, Submission, Unknown
from msvs.carriers.scripts import Script, ScriptedEvent, script_for
from msvs.carriers.virtual import Scripts, VirtualCarrier

# A late acceptance comes this many seconds after the answer that never came.
LATE_SECONDS = 3.0
SLOW_SECONDS = 20.0
RETRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The rates of faults, as shares of all messages.

    `refuse`: refused for good. `drop`: accepted, and the connection drops before the answer. `late`: accepted only
    seconds after the answer timed out, unless the number is one that is refused. `slow`: the report comes much later.
    `throttle`: refused for the moment; this one is decided again at each attempt, also at one after a lost answer.
    """

    refuse: float = 0.0
    drop: float = 0.0
    late: float = 0.0
    slow: float = 0.0
    throttle: float = 0.0
    seed: int = 0

    @classmethod
    def parse(cls, text: str) -> Faults:
        """Read `refuse=0.01,drop=0.01,seed=7`. Raises ValueError with what is wrong."""
        known = {field.name for field in fields(cls)}
        values: dict[str, float] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, equals, number = part.partition("=")
            if name not in known or not equals:
                raise ValueError(f"{part!r} is none of {', '.join(sorted(known))} with a number")
            try:
                value = float(number)
            except ValueError:
                raise ValueError(f"{name} must be a number, not {number!r}") from None
            if name != "seed" and not 0 <= value <= 1:
                raise ValueError(f"{name} must be from 0 to 1, not {number}")
            values[name] = value
        seed = int(values.pop("seed", 0))
        if sum(values.get(name, 0.0) for name in _EXCLUSIVE) > 1:
            raise ValueError(f"{', '.join(_EXCLUSIVE)} make more than 1 together")
        return cls(**values, seed=seed)

    def fault(self, message_id: UUID) -> str | None:
        """Return the one fault of a message, the same at every attempt, or None for most."""
        drawn = self._draw(message_id, b"fault")
        for name in _EXCLUSIVE:
            share: float = getattr(self, name)
            if drawn < share:
                return name
            drawn -= share
        return None

    def throttles(self, message_id: UUID, attempt: int) -> bool:
        """Return whether the carrier is too busy for this attempt."""
        return self._draw(message_id, b"throttle%d" % attempt) < self.throttle

    def is_slow(self, message_id: UUID) -> bool:
        """Return whether the message's report comes late."""
        return self._draw(message_id, b"slow") < self.slow

    def _draw(self, message_id: UUID, salt: bytes) -> float:
        """Return an even number from 0 to 1, settled by seed, message and salt."""
        digest = hashlib.blake2b(b"%d:%s:" % (self.seed, salt) + message_id.bytes, digest_size=7).digest()
        return int.from_bytes(digest) / float(1 << 56)


_EXCLUSIVE = ("refuse", "drop", "late")


class FaultyCarrier(VirtualCarrier):
    """The virtual carrier on a bad day."""

    def __init__(
        self, capability: Capability = Capability.DEDUPE, *, faults: Faults, scripts: Scripts = script_for
    ) -> None:
        super().__init__(capability, scripts=scripts)
        self.faults = faults

    async def submit_many(self, submissions: Sequence[Submission]) -> list[Outcome]:
        """Hand over many messages, some of which meet their fault."""
        answers: dict[UUID, Outcome] = {}
        taken: list[Submission] = []
        late: list[tuple[Submission, Script]] = []
        for submission in submissions:
            fault = self.faults.fault(submission.message_id)
            if self.faults.throttles(submission.message_id, submission.attempt):
                answers[submission.message_id] = Refused("carrier_rejected", retryable=True, retry_after=RETRY_SECONDS)
            elif fault == "refuse":
                answers[submission.message_id] = Refused("carrier_rejected")
            elif (
                fault == "late" and submission.attempt == 1 and (script := self._script(submission)).refuse_code is None
            ):
                answers[submission.message_id] = Unknown("timeout")
                late.append((submission, script))
            else:
                taken.append(submission)
        if late:
            await self._accept(late, after=LATE_SECONDS)
        for submission, answer in zip(taken, await super().submit_many(taken), strict=True):
            lost = submission.attempt == 1 and self.faults.fault(submission.message_id) == "drop"
            answers[submission.message_id] = Unknown("disconnected") if lost else answer
        return [answers[submission.message_id] for submission in submissions]

    def _script(self, submission: Submission) -> Script:
        script = super()._script(submission)
        if not self.faults.is_slow(submission.message_id):
            return script
        return replace(script, events=tuple(_slowed(scripted_event) for scripted_event in script.events))


def _slowed(scripted_event: ScriptedEvent) -> ScriptedEvent:
    return replace(scripted_event, after=scripted_event.after + SLOW_SECONDS)
