"""The virtual carrier: accepts, refuses, throttles, reports and replies as the sandbox's numbers say.

It keeps its books in PostgreSQL on connections of its own: what it accepted stays accepted whatever becomes of the
worker that submitted it, as with a real carrier.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar
from uuid import UUID

from msvs.carriers.protocol import Accepted, Capability, Carrier, Outcome, Refused, Submission, Unknown
from msvs.carriers.scripts import Script, script_for
from msvs.database import fetch
from msvs.models.identity import new_id

ACCEPT = """
WITH accepted AS (
    INSERT INTO virtual_submissions
        (id, message_id, dedupe_key, workspace_id, livemode, to_phone, segments, accepted_at)
    SELECT *, statement_timestamp() + $8::float8 * interval '1 second'
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bool[], $6::varchar[], $7::smallint[])
    ON CONFLICT (dedupe_key) DO NOTHING
    RETURNING message_id
), signals AS (
    INSERT INTO virtual_signals (id, message_id, workspace_id, livemode, kind, error_code, phone, sender, text, due_at)
    SELECT signal.id, signal.message_id, signal.workspace_id, signal.livemode, signal.kind, signal.error_code,
        signal.phone, signal.sender, signal.text,
        statement_timestamp() + ($8::float8 + signal.after) * interval '1 second'
    FROM unnest($9::uuid[], $10::uuid[], $11::uuid[], $12::bool[], $13::varchar[], $14::varchar[], $15::varchar[],
        $16::varchar[], $17::text[], $18::float8[])
        AS signal (id, message_id, workspace_id, livemode, kind, error_code, phone, sender, text, after)
    JOIN accepted ON accepted.message_id = signal.message_id
)
SELECT message_id FROM accepted
"""

Scripts = Callable[[str], Script]


class VirtualCarrier(Carrier):
    """The sandbox's carrier. `capability` is the kind of carrier it plays; `scripts` tells what each number does."""

    kind: ClassVar[str] = "virtual"

    def __init__(self, capability: Capability = Capability.DEDUPE, *, scripts: Scripts = script_for) -> None:
        self.name = self.kind
        self.capability = capability
        self.scripts = scripts

    async def submit(self, submission: Submission) -> Outcome:
        """Hand over one message."""
        return (await self.submit_many([submission]))[0]

    async def submit_many(self, submissions: Sequence[Submission]) -> list[Outcome]:
        """Hand over many messages in one statement of the carrier's own."""
        answers: list[Outcome] = []
        taken: list[tuple[Submission, Script]] = []
        for submission in submissions:
            script = self._script(submission)
            answer: Outcome = Accepted(f"v-{submission.message_id.hex}")
            if script.refuse_code is not None:
                answer = Refused(script.refuse_code)
            elif script.throttles_first and submission.attempt == 1:
                answer = Refused("carrier_rejected", retryable=True, retry_after=1.0)
            else:
                taken.append((submission, script))
                if script.times_out_after_accepting and submission.attempt == 1:
                    answer = Unknown("timeout")
            answers.append(answer)
        if taken:
            await self._accept(taken)
        return answers

    async def look_up(self, message_ids: Sequence[UUID]) -> dict[UUID, bool]:
        """Which of these messages the carrier accepted."""
        rows = await fetch(
            "SELECT DISTINCT message_id FROM virtual_submissions"
            " WHERE message_id = ANY($1) AND accepted_at <= clock_timestamp()",
            list(message_ids),
        )
        found = {row.message_id for row in rows}
        return {message_id: message_id in found for message_id in message_ids}

    def _script(self, submission: Submission) -> Script:
        return self.scripts(submission.to)

    async def _accept(self, taken: Sequence[tuple[Submission, Script]], *, after: float = 0.0) -> None:
        """Write what was accepted, or will be `after` seconds, into the books; the carrier's clock is PostgreSQL's."""
        submissions = [submission for submission, _ in taken]
        knows_ids = self.capability is Capability.DEDUPE
        signals = [(submission, signal) for submission, script in taken for signal in script.signals]
        await fetch(
            ACCEPT,
            [new_id() for _ in submissions],
            [submission.message_id for submission in submissions],
            [submission.message_id if knows_ids else None for submission in submissions],
            [submission.workspace_id for submission in submissions],
            [submission.livemode for submission in submissions],
            [submission.to for submission in submissions],
            [submission.segments for submission in submissions],
            after,
            [new_id() for _ in signals],
            [submission.message_id for submission, _ in signals],
            [submission.workspace_id for submission, _ in signals],
            [submission.livemode for submission, _ in signals],
            [signal.kind for _, signal in signals],
            [signal.error_code for _, signal in signals],
            [submission.to for submission, _ in signals],
            [submission.sender for submission, _ in signals],
            [signal.text for _, signal in signals],
            [signal.after for _, signal in signals],
        )
