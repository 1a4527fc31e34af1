"""The virtual carrier: accept, refuse, throttle, report and reply as the sandbox's numbers say.

It keeps its books in PostgreSQL on connections of its own: what it accepted stays accepted no matter what becomes of
the worker that submitted it, as with a real carrier.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Protocol
from uuid import UUID

from msvs.carriers.protocol import Accepted, Capability, Carrier, Outcome, Refused, Submission, Unknown
from msvs.carriers.scripts import Script, draw_script, is_scripted, script_for
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
), booked AS (
    INSERT INTO virtual_signals (id, message_id, workspace_id, livemode, kind, error_code, phone, sender, text, due_at)
    SELECT scripted.id, scripted.message_id, scripted.workspace_id, scripted.livemode, scripted.kind,
        scripted.error_code, scripted.phone, scripted.sender, scripted.text,
        statement_timestamp() + ($8::float8 + scripted.after) * interval '1 second'
    FROM unnest($9::uuid[], $10::uuid[], $11::uuid[], $12::bool[], $13::varchar[], $14::varchar[], $15::varchar[],
        $16::varchar[], $17::text[], $18::float8[])
        AS scripted (id, message_id, workspace_id, livemode, kind, error_code, phone, sender, text, after)
    JOIN accepted ON accepted.message_id = scripted.message_id
)
SELECT message_id FROM accepted
"""

FIND_SHARES = "SELECT workspace_id, seed, probabilities FROM carrier_scripts WHERE workspace_id = ANY($1::uuid[])"


class _Shares(Protocol):
    workspace_id: UUID
    seed: int
    probabilities: Mapping[str, float]


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
        drawn = await self._draw(submissions)
        for submission in submissions:
            script = drawn.get(submission.message_id) or self._script(submission)
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
        """Return which of these messages the carrier accepted."""
        rows = await fetch(
            "SELECT DISTINCT message_id FROM virtual_submissions"
            " WHERE message_id = ANY($1) AND accepted_at <= clock_timestamp()",
            list(message_ids),
        )
        found = {row.message_id for row in rows}
        return {message_id: message_id in found for message_id in message_ids}

    async def _draw(self, submissions: Sequence[Submission]) -> Mapping[UUID, Script]:
        """Return what becomes of messages whose sandbox has a script, but for those to numbers that have their own."""
        sandboxes = {submission.workspace_id for submission in submissions if not submission.livemode}
        rows = await fetch(_Shares, FIND_SHARES, list(sandboxes)) if sandboxes else ()
        found = {row.workspace_id: row for row in rows}
        return {
            each.message_id: draw_script(
                row.seed, row.probabilities, to=each.to, body=each.body, segments=each.segments
            )
            for each in submissions
            if not each.livemode and (row := found.get(each.workspace_id)) and not is_scripted(each.to)
        }

    def _script(self, submission: Submission) -> Script:
        return self.scripts(submission.to)

    async def _accept(self, taken: Sequence[tuple[Submission, Script]], *, after: float = 0.0) -> None:
        """Write what was accepted, or will be `after` seconds, into the books; the carrier's clock is PostgreSQL's."""
        submissions = [submission for submission, _ in taken]
        knows_ids = self.capability is Capability.DEDUPE
        scripted_events = [
            (submission, scripted_event) for submission, script in taken for scripted_event in script.events
        ]
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
            [new_id() for _ in scripted_events],
            [submission.message_id for submission, _ in scripted_events],
            [submission.workspace_id for submission, _ in scripted_events],
            [submission.livemode for submission, _ in scripted_events],
            [scripted_event.kind for _, scripted_event in scripted_events],
            [scripted_event.error_code for _, scripted_event in scripted_events],
            [submission.to for submission, _ in scripted_events],
            [submission.sender for submission, _ in scripted_events],
            [scripted_event.text for _, scripted_event in scripted_events],
            [scripted_event.after for _, scripted_event in scripted_events],
        )
