"""The virtual carrier's faults: settled by seed, as frequent as asked for, and what each leaves in its books."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from msvs import database as db
from msvs.api.context import Context
from msvs.carriers.faults import LATE_SECONDS, SLOW_SECONDS, Faults, FaultyCarrier
from msvs.carriers.protocol import Accepted, Capability, Refused, Submission, Unknown
from msvs.carriers.registry import make_carriers
from msvs.carriers.virtual import VirtualCarrier
from msvs.models.identity import new_id
from msvs.settings import Settings, SettingsError
from tests import factories


def test_faults_are_read_from_text() -> None:
    faults = Faults.parse(" refuse=0.01, drop=0.02,late=0.03,slow=0.5,throttle=1,seed=7 ")
    assert asdict(faults) == {"refuse": 0.01, "drop": 0.02, "late": 0.03, "slow": 0.5, "throttle": 1.0, "seed": 7}
    assert Faults.parse("") == Faults()


@pytest.mark.parametrize(
    "text", ["explode=1", "drop", "drop=", "drop=many", "drop=1.5", "drop=-0.1", "refuse=0.6,drop=0.6"]
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is none of|must be|make more than 1"):
        Faults.parse(text)
    with pytest.raises(SettingsError):
        make_carriers(Settings(virtual_faults=text))


@pytest.mark.parametrize("capability", list(Capability))
def test_the_settings_choose_the_carrier(capability: Capability) -> None:
    plain = make_carriers(Settings(virtual_capability=capability.value))["virtual"]
    assert type(plain) is VirtualCarrier
    faulty = make_carriers(Settings(virtual_capability=capability.value, virtual_faults="drop=0.1"))["virtual"]
    assert isinstance(faulty, FaultyCarrier)
    assert (plain.capability, faulty.capability) == (capability, capability)


def test_an_unknown_capability_is_refused() -> None:
    with pytest.raises(SettingsError):
        make_carriers(Settings(virtual_capability="telepathy"))["virtual"]


def test_the_seed_decides_which_message_meets_which_fault() -> None:
    message_ids = [new_id() for _ in range(20_000)]
    faults = Faults(refuse=0.1, drop=0.2, late=0.3, throttle=0.25, slow=0.5, seed=7)
    met = [faults.fault(message_id) for message_id in message_ids]
    assert met == [faults.fault(message_id) for message_id in message_ids]
    assert met != [Faults(refuse=0.1, drop=0.2, late=0.3, seed=8).fault(message_id) for message_id in message_ids]
    for name, share in (("refuse", 0.1), ("drop", 0.2), ("late", 0.3), (None, 0.4)):
        assert abs(met.count(name) / len(met) - share) < 0.02
    assert abs(sum(faults.throttles(message_id, 1) for message_id in message_ids) / len(met) - 0.25) < 0.02
    assert abs(sum(faults.is_slow(message_id) for message_id in message_ids) / len(met) - 0.5) < 0.02
    twice = sum(faults.throttles(message_id, 1) and faults.throttles(message_id, 2) for message_id in message_ids)
    assert 0 < twice < 0.1 * len(met)


def _submission(ctx: Context, *, attempt: int = 1) -> Submission:
    return Submission(new_id(), ctx.workspace_id, False, factories.next_phone(), "COHORTLABS", "Hi", "gsm7", 1, attempt)


async def _books(submission: Submission) -> list[tuple[bool, float]]:
    """Whether each acceptance lies ahead, and how long after it the report comes."""
    rows = await db.fetch(
        "SELECT taken.accepted_at > clock_timestamp() AS ahead,"
        " extract(epoch FROM scripted.due_at - taken.accepted_at)::float8 AS seconds"
        " FROM virtual_submissions AS taken JOIN virtual_signals AS scripted USING (message_id) WHERE message_id = $1",
        submission.message_id,
    )
    return [(row.ahead, row.seconds) for row in rows]


async def test_what_each_fault_leaves(ctx: Context) -> None:
    cases = [
        (Faults(refuse=1), 1, Refused("carrier_rejected"), []),
        (Faults(throttle=1), 1, Refused("carrier_rejected", retryable=True, retry_after=0.5), []),
        (Faults(drop=1), 1, Unknown("disconnected"), [(False, 1.0)]),
        (Faults(drop=1), 2, Accepted, [(False, 1.0)]),
        (Faults(late=1), 1, Unknown("timeout"), [(True, 1.0)]),
        (Faults(late=1), 2, Accepted, [(False, 1.0)]),
        (Faults(slow=1), 1, Accepted, [(False, 1.0 + SLOW_SECONDS)]),
        (Faults(), 1, Accepted, [(False, 1.0)]),
    ]
    for faults, attempt, expected, books in cases:
        submission = _submission(ctx, attempt=attempt)
        [answer] = await FaultyCarrier(faults=faults).submit_many([submission])
        assert answer == expected if not isinstance(expected, type) else type(answer) is expected, (faults, attempt)
        assert await _books(submission) == books


@pytest.mark.parametrize("faults", [Faults(late=1), Faults(drop=1), Faults(slow=1)])
async def test_no_fault_takes_what_the_number_refuses(ctx: Context, faults: Faults) -> None:
    carrier = FaultyCarrier(faults=faults)
    first = replace(_submission(ctx), to="+14155550101")
    refused = Refused("invalid_number")
    assert (await carrier.submit(first)) == (Unknown("disconnected") if faults.drop else refused)
    assert (await carrier.submit(replace(first, attempt=2))) == refused
    assert await db.fetch_value("SELECT count(*) FROM virtual_submissions") == 0


async def test_a_late_acceptance_cannot_be_looked_up_before_it_happens(ctx: Context) -> None:
    carrier = FaultyCarrier(Capability.LOOKUP, faults=Faults(late=1))
    submission = _submission(ctx)
    await carrier.submit_many([submission])
    assert await carrier.look_up([submission.message_id]) == {submission.message_id: False}
    ahead = await db.fetch_value(
        "SELECT extract(epoch FROM accepted_at - clock_timestamp())::float8 FROM virtual_submissions"
    )
    assert 0 < ahead <= LATE_SECONDS


async def test_a_mixed_batch_is_answered_in_order(ctx: Context) -> None:
    faults = Faults(refuse=0.2, drop=0.2, late=0.2, throttle=0.2, seed=3)
    submissions = [_submission(ctx) for _ in range(200)]
    answers = await FaultyCarrier(faults=faults).submit_many(submissions)
    for submission, answer in zip(submissions, answers, strict=True):
        fault = faults.fault(submission.message_id)
        if faults.throttles(submission.message_id, 1):
            assert isinstance(answer, Refused)
            assert answer.retryable
        elif fault == "refuse":
            assert answer == Refused("carrier_rejected")
        elif fault is None:
            assert answer == Accepted(f"v-{submission.message_id.hex}")
        else:
            assert isinstance(answer, Unknown)
    accepted = await db.fetch_value("SELECT count(*) FROM virtual_submissions")
    assert accepted == sum(not isinstance(answer, Refused) for answer in answers)
