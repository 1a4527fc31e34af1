"""The checklist that every carrier passes, in every protocol."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest
import structlog

from msvs.api.resources import FAILURES
from msvs.carriers.protocol import Accepted, Capability, Inbound, Refused, Report, Unknown
from msvs.carriers.registry import KINDS
from msvs.models.identity import new_id
from tests.carriers.under_test import (
    HANDSET,
    SENDER,
    CarrierUnderTest,
    Mood,
    SmppUnderTest,
    TelnyxUnderTest,
    TwilioUnderTest,
    VirtualUnderTest,
    VonageUnderTest,
)

CARRIERS: tuple[type[CarrierUnderTest], ...] = (
    VirtualUnderTest,
    SmppUnderTest,
    TelnyxUnderTest,
    TwilioUnderTest,
    VonageUnderTest,
)
TEXT = "Yes: the corner table, please"


@pytest.fixture(params=CARRIERS, ids=lambda carrier: carrier.kind)
async def under_test(request: pytest.FixtureRequest, clean: None) -> AsyncIterator[CarrierUnderTest]:
    """Each carrier, open, with its other side."""
    carrier: CarrierUnderTest = request.param()
    await carrier.set_up()
    try:
        yield carrier
    finally:
        await carrier.tear_down()


def be(under_test: CarrierUnderTest, mood: Mood) -> Mood:
    """The mood, where the carrier can be in it."""
    if mood not in under_test.moods:
        pytest.skip(f"{under_test.kind} never {mood}")
    return mood


def test_every_kind_is_on_the_checklist() -> None:
    assert {carrier.kind for carrier in CARRIERS} >= KINDS.keys()


async def test_a_carrier_names_its_kind_and_capability(under_test: CarrierUnderTest) -> None:
    carrier = under_test.carrier
    assert carrier.kind == under_test.kind
    assert carrier.name
    assert isinstance(carrier.capability, Capability)
    assert carrier.capability is under_test.capability
    assert carrier.rate is None or carrier.rate > 0


async def test_an_accepted_message_has_the_carriers_reference(under_test: CarrierUnderTest) -> None:
    submission = await under_test.prepare(be(under_test, Mood.ACCEPTS))
    outcome = await under_test.carrier.submit(submission)
    assert isinstance(outcome, Accepted)
    assert outcome.ref
    assert len(outcome.ref) <= 100
    assert await under_test.taken(submission) == 1


async def test_a_refusal_has_a_code_of_the_catalogue(under_test: CarrierUnderTest) -> None:
    submission = await under_test.prepare(be(under_test, Mood.REFUSES))
    assert await under_test.carrier.submit(submission) == Refused(under_test.refusal)
    assert under_test.refusal in FAILURES
    assert await under_test.taken(submission) == 0


async def test_a_busy_carrier_is_tried_again_later(under_test: CarrierUnderTest) -> None:
    submission = await under_test.prepare(be(under_test, Mood.THROTTLES))
    outcome = await under_test.carrier.submit(submission)
    assert isinstance(outcome, Refused)
    assert (outcome.retryable, outcome.is_fault) == (True, False)
    assert 0 < outcome.retry_after <= 3600
    assert outcome.code in FAILURES
    assert await under_test.taken(submission) == 0


async def test_a_carrier_that_is_away_is_at_fault_and_not_the_message(under_test: CarrierUnderTest) -> None:
    submission = await under_test.prepare(be(under_test, Mood.IS_AWAY))
    outcome = await under_test.carrier.submit(submission)
    assert isinstance(outcome, Refused)
    assert (outcome.retryable, outcome.is_fault) == (True, True)


async def test_a_lost_answer_is_unknown_and_nothing_is_sent_twice(under_test: CarrierUnderTest) -> None:
    submission = await under_test.prepare(be(under_test, Mood.LOSES_THE_ANSWER))
    outcome = await under_test.carrier.submit(submission)
    assert isinstance(outcome, Unknown)
    assert outcome.reason
    assert await under_test.taken(submission) == 1


async def test_an_unknown_outcome_is_resolved_by_capability(under_test: CarrierUnderTest) -> None:
    submission = await under_test.prepare(be(under_test, Mood.LOSES_THE_ANSWER))
    await under_test.carrier.submit(submission)
    match under_test.carrier.capability:
        case Capability.DEDUPE:
            await under_test.carrier.submit(submission)
            assert await under_test.taken(submission) == 1
        case Capability.LOOKUP:
            other = new_id()
            found = await under_test.carrier.look_up([submission.message_id, other])
            assert found == {submission.message_id: True, other: False}
        case Capability.NONE if not under_test.echoes:
            pytest.skip(f"{under_test.kind} gives its own id with the answer alone")
        case Capability.NONE:
            [report] = await under_test.report(submission, is_delivered=True)
            assert isinstance(report, Report)
            assert report.message_id == submission.message_id


@pytest.mark.parametrize("is_delivered", [True, False], ids=["delivered", "failed"])
async def test_a_report_names_its_message_and_is_the_same_when_it_comes_again(
    under_test: CarrierUnderTest, is_delivered: bool
) -> None:
    submission = await under_test.prepare(be(under_test, Mood.ACCEPTS))
    outcome = await under_test.carrier.submit(submission)
    assert isinstance(outcome, Accepted)
    [first] = await under_test.report(submission, is_delivered=is_delivered)
    [again] = await under_test.report(submission, is_delivered=is_delivered)
    assert isinstance(first, Report)
    assert first.is_delivered is is_delivered
    assert (first.error_code is None) is is_delivered
    assert first.error_code in {None, *FAILURES}
    assert first.message_id is not None or first.carrier_ref in {outcome.ref, *outcome.part_refs}
    assert 0 < len(first.dedupe_key) <= 200
    if is_delivered:
        assert again == first


async def test_an_inbound_message_comes_whole_and_is_the_same_when_it_comes_again(
    under_test: CarrierUnderTest,
) -> None:
    [first] = await under_test.inbound(TEXT)
    [again] = await under_test.inbound(TEXT)
    assert isinstance(first, Inbound)
    assert (first.from_phone, first.to_sender, first.text) == (HANDSET, SENDER, TEXT)
    assert 0 < len(first.dedupe_key) <= 200
    assert again == first


async def test_no_more_are_under_way_than_the_carrier_takes(under_test: CarrierUnderTest) -> None:
    if not under_test.counts:
        pytest.skip(f"{under_test.kind} takes a batch at once")
    under_test.slow_down()
    submissions = [await under_test.prepare(Mood.ACCEPTS) for _ in range(under_test.carrier.concurrency + 20)]
    outcomes = await under_test.carrier.submit_many(submissions)
    assert [type(outcome) for outcome in outcomes] == [Accepted] * len(submissions)
    assert [await under_test.taken(submission) for submission in submissions] == [1] * len(submissions)
    assert 1 < under_test.most_at_once <= under_test.carrier.concurrency


async def test_outcomes_come_in_the_order_of_the_messages(under_test: CarrierUnderTest) -> None:
    submissions = [await under_test.prepare(Mood.ACCEPTS) for _ in range(5)]
    outcomes = await under_test.carrier.submit_many(submissions)
    refs = [outcome.ref for outcome in outcomes if isinstance(outcome, Accepted)]
    assert len(set(refs)) == 5
    for submission, ref in zip(submissions, refs, strict=True):
        [report] = await under_test.report(submission, is_delivered=True)
        assert isinstance(report, Report)
        assert report.message_id == submission.message_id or report.carrier_ref == ref


async def test_secrets_are_seen_nowhere(under_test: CarrierUnderTest) -> None:
    shown = f"{under_test.carrier!r} {under_test.carrier}"
    assert [secret for secret in under_test.secrets if secret in shown] == []


@pytest.mark.parametrize("mood", list(Mood))
async def test_no_number_text_or_secret_is_logged(
    under_test: CarrierUnderTest, mood: Mood, caplog: pytest.LogCaptureFixture
) -> None:
    submission = await under_test.prepare(be(under_test, mood))
    with structlog.testing.capture_logs() as lines, caplog.at_level(logging.DEBUG):
        await under_test.carrier.submit(submission)
        await under_test.inbound(TEXT)
        if await under_test.taken(submission):
            await under_test.report(submission, is_delivered=True)
    logged = f"{lines} {caplog.text}"
    hidden = [submission.body, TEXT, *under_test.secrets]
    hidden += [number.removeprefix("+") for number in (submission.to, submission.sender, HANDSET)]
    assert [value for value in hidden if value in logged] == []


async def test_closing_twice_does_no_harm(under_test: CarrierUnderTest) -> None:
    await under_test.carrier.close()
    await under_test.carrier.close()
