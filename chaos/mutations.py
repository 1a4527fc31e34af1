"""Bugs on purpose, each of which the checker has to find: the control that shows that it can fail.

They are applied by `chaos.child` in the processes of a control run, and nowhere else.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Mutation:
    """A bug: what it is, how it gets in, the carrier that shows it, and the checks of which one must fail."""

    what: str
    apply: Callable[[], None]
    capability: str
    caught_by: frozenset[str]


def _module(name: str) -> Any:
    return importlib.import_module(name)


def _replace(module: Any, name: str, old: str, new: str) -> None:
    """Replace text in a statement; a statement that no longer has it is an error, not a control that passes."""
    statement = getattr(module, name)
    if old not in statement:
        raise RuntimeError(f"{module.__name__}.{name} has no {old!r} any more: bring the mutation up to date")
    setattr(module, name, statement.replace(old, new))


def _no_fence() -> None:
    """Without the fence, and with workers that now and then sleep through their lease before they write."""
    claims, dispatch = _module("msvs.api.dispatch.claims"), _module("msvs.workers.dispatch")
    submit = dispatch.submit

    async def drowsy(carrier: Any, submissions: Any, stop: Any) -> Any:
        answers = await submit(carrier, submissions, stop)
        if submissions[0].message_id.int % 5 == 0:
            await asyncio.sleep(1.5 * claims.LEASE.total_seconds())
        return answers

    dispatch.submit = drowsy
    for name in ("RECORD_SENT", "REQUEUED"):
        fence = "messages.claim_token = $3\n    AND messages.status || '' = 'sending'"
        _replace(_module("msvs.api.dispatch.outcomes"), name, fence, "$3::uuid IS NOT NULL")


def _no_skip_locked() -> None:
    from msvs.api.dispatch import picking

    _replace(picking, "PICKED", "FOR UPDATE SKIP LOCKED", "")


def _refund_doubled() -> None:
    from msvs.api.credits import credits

    _replace(
        credits,
        "RELEASE_CREDITS",
        "balance = balance + (SELECT sum(amount) FROM entries)",
        "balance = balance + 2 * (SELECT sum(amount) FROM entries)",
    )


def _event_dropped() -> None:
    outcomes, admission = _module("msvs.api.dispatch.outcomes"), _module("msvs.api.dispatch.admission")
    written = outcomes.record_events

    async def forgetful(events: Any, now: Any) -> None:
        await written([event for event in events if event.resource_id.int % 100], now)

    outcomes.record_events = admission.record_events = forgetful


def _blind_resend() -> None:
    from msvs.carriers.protocol import Capability

    dispatch = _module("msvs.workers.dispatch")

    async def resend(services: Any, carrier: Any, claim: Any, claimed: float) -> None:
        await dispatch.hand_over(services, carrier, claim, claimed=claimed)

    class Blind:
        DEDUPE = Capability.DEDUPE
        LOOKUP = Capability.LOOKUP
        NONE = object()

    dispatch.resolve = resend
    dispatch.protocol.Capability = Blind


def _endless_resend() -> None:
    """What a message asks to be handed over once more is handed over each time its outcome is unknown."""
    expired, resending = _module("msvs.api.dispatch.expired_leases"), _module("msvs.api.dispatch.resending")
    for module, name in ((resending, "DOUBTFUL"), (expired, "EXPIRED_SPENT")):
        _replace(module, name, "NOT IN ('unused', 'throttled', 'fault')", "= 'never'")


def _stop_ignored() -> None:
    admission, canceling = _module("msvs.api.dispatch.admission"), _module("msvs.api.dispatch.cancellation")

    async def nobody(*_arguments: Any, **_options: Any) -> int:
        return 0

    admission.refusal_of = lambda _row, _admit_unknown: None
    canceling.cancel_waiting = nobody


def _step_twice() -> None:
    """Two workers take the same steps, and the key of a step refuses nothing."""
    steps = _module("msvs.api.campaigns.sequence_steps")
    _replace(steps, "TAKE_DUE", "FOR UPDATE SKIP LOCKED", "")
    _replace(steps, "WRITE_MOVES", "$6::varchar[])", "$6::varchar[]) ON CONFLICT DO NOTHING")
    find_facts = steps.find_facts

    async def slow(*values: Any, **named: Any) -> Any:
        await asyncio.sleep(0.2)
        return await find_facts(*values, **named)

    steps.find_facts = slow


def _step_skipped() -> None:
    """A step writes no message to some of those whose turn it is."""
    steps = _module("msvs.api.campaigns.sequence_steps")
    write = steps.write_step

    async def forgetful(services: Any, campaign_id: Any, contact_ids: Any, now: Any) -> Any:
        return await write(services, campaign_id, [id for id in contact_ids if id.int % 5], now)

    steps.write_step = forgetful


def _winner_ignored() -> None:
    """The rest of an audience gets the first variant as well as the winner."""
    audiences = _module("msvs.api.campaigns.audiences")
    groups = audiences.group_by_content

    def split(contents: Any, recipients: Any, winner: int | None) -> Any:
        if winner is None:
            return groups(contents, recipients, winner)
        half = len(recipients) // 2
        parts = ((contents[0], -1, recipients[:half]), (contents[1], -2, recipients[half:]))
        return [(replace(content, variant=variant), part) for content, variant, part in parts if part]

    audiences.group_by_content = split


def _rest_not_booked() -> None:
    """The books of a variant leave out those who got it as the winner."""
    stats = _module("msvs.api.dispatch.campaign_stats")
    stats.VariantBooks.all_of = stats.VariantBooks.tested


def _order_repeated() -> None:
    """An order is recorded as often as it is told of."""
    conversions = _module("msvs.api.messages.conversions")
    record = conversions.record_order

    async def again(ctx: Any, order: Any) -> Any:
        recorded = await record(ctx, order)
        return recorded if recorded.is_new else await record(ctx, replace(order, order_id=f"{order.order_id} again"))

    conversions.record_order = again


MUTATIONS: Mapping[str, Mutation] = {
    "fence": Mutation(
        "outcomes are written late and without the claim's token",
        _no_fence,
        "lookup",
        frozenset({"duplicated", "events", "transitions", "attempts"}),
    ),
    "skip-locked": Mutation(
        "claims take rows without a lock", _no_skip_locked, "none", frozenset({"duplicated", "attempts"})
    ),
    "refund": Mutation("a refund is paid out twice", _refund_doubled, "dedupe", frozenset({"credits"})),
    "event": Mutation("an event in a hundred is not written", _event_dropped, "dedupe", frozenset({"events"})),
    "blind-resend": Mutation(
        "a lost answer is met with a resend, even if the carrier cannot be asked",
        _blind_resend,
        "none",
        frozenset({"duplicated"}),
    ),
    "endless-resend": Mutation(
        "a second hand-over is followed by a third", _endless_resend, "none", frozenset({"duplicated"})
    ),
    "step-twice": Mutation(
        "a step of a sequence is taken by two workers at once", _step_twice, "dedupe", frozenset({"sequences"})
    ),
    "step-skipped": Mutation("a step of a sequence leaves some out", _step_skipped, "dedupe", frozenset({"sequences"})),
    "winner": Mutation(
        "the rest of an audience gets two variants", _winner_ignored, "dedupe", frozenset({"campaigns"})
    ),
    "books": Mutation(
        "the books of a variant leave out who got it as the winner", _rest_not_booked, "dedupe", frozenset({"books"})
    ),
    "order": Mutation("an order is recorded each time it is told of", _order_repeated, "dedupe", frozenset({"orders"})),
    "stop": Mutation("opt-outs are forgotten", _stop_ignored, "dedupe", frozenset({"stop"})),
}
