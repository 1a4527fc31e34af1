from __future__ import annotations

import base64
import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from msvs.api.webhooks.signatures import (
    RETRY_DELAYS,
    RETRY_WINDOW,
    new_secret,
    retry_at,
    sign,
    signature_header,
    verify,
)

ROOT = Path(__file__).parents[3]
VERIFIER = ROOT / "tests" / "contract" / "verify_signature.mjs"
SECRET = "whsec_cohortlabs"
OLD, NEW = "whsec_old", "whsec_new"
NOW = 1_777_665_614
MOMENT = datetime(2026, 5, 1, 20, 0, 14, tzinfo=UTC)
BODY = '{"id":"evt_01HYZ8K5VQAE2N0PWQ6DC9V8MP","data":{"reply":{"body":"Sim, amanhã 👍"}}}'.encode()
GOOD = sign(SECRET, NOW, BODY)


class Extreme(Random):
    """A source of randomness that always gives the same end of the range."""

    def __init__(self, *, high: bool) -> None:
        super().__init__()
        self.high = high

    def uniform(self, a: float, b: float) -> float:
        return b if self.high else a


def test_sign_matches_values_worked_out_with_openssl() -> None:
    # printf '1714593614.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test
    assert sign("whsec_test", 1714593614, b'{"id":"evt_1"}') == (
        "0b018acdfec7c3e2ec707e1febc890f06ec8b26ea21af760e20f58460137c99e"
    )


def test_the_header_signs_with_each_secret_in_the_order_given() -> None:
    assert signature_header([SECRET], NOW, BODY) == f"t={NOW},v1={GOOD}"
    assert signature_header([OLD, NEW], NOW, BODY) == (f"t={NOW},v1={sign(OLD, NOW, BODY)},v1={sign(NEW, NOW, BODY)}")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"t={NOW},v1={GOOD}", True),
        (f"t={NOW}, v1={GOOD}", True),
        (f"v1={GOOD},t={NOW}", True),
        (f"t={NOW},v1={'0' * 64},v1={GOOD}", True),
        (f"t={NOW},v1=,v1=short,v0=x,junk,=,v1={GOOD}", True),
        (f"t={NOW},v1={GOOD[:-1]}", False),
        (f"t={NOW},v1={GOOD}0", False),
        (f"t={NOW},v1={GOOD.upper()}", False),
        (f"t={NOW},v1={'0' * 64}", False),
        (f"t={NOW},v1=é\ud800", False),
        (f"t={NOW},v0={GOOD}", False),
        (f"t={NOW}", False),
        (f"t={NOW + 1},v1={GOOD}", False),
        (f"t=0{NOW},v1={sign(SECRET, NOW, b'x')}", False),
        (f"t={NOW},t={NOW},v1={GOOD}", False),
        (f"t=,v1={GOOD}", False),
        (f"t=-{NOW},v1={GOOD}", False),
        (f"t=١٧٧٧٦٦٥٦١٤,v1={GOOD}", False),
        (f"t={'9' * 5000},v1={GOOD}", False),
        (f"v1={GOOD}", False),
        ("", False),
        (",,,", False),
    ],
)
def test_verify_judges_the_header(header: str, expected: bool) -> None:
    assert verify(header, BODY, SECRET, now=NOW) is expected


@pytest.mark.parametrize(("drift", "expected"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)])
def test_verify_allows_five_minutes_of_drift_either_way(drift: int, expected: bool) -> None:
    assert verify(f"t={NOW},v1={GOOD}", BODY, SECRET, now=NOW + drift) is expected


def test_verify_takes_another_tolerance() -> None:
    assert verify(f"t={NOW},v1={GOOD}", BODY, SECRET, now=NOW + 11, tolerance_seconds=10) is False


def test_verify_refuses_another_body_or_secret() -> None:
    header = signature_header([SECRET], NOW, BODY)
    assert verify(header, BODY + b" ", SECRET, now=NOW) is False
    assert verify(header, BODY, SECRET + "x", now=NOW) is False
    assert verify(header, BODY, SECRET.removeprefix("whsec_"), now=NOW) is False


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_either_secret_of_a_rotation_verifies(secret: str) -> None:
    assert verify(signature_header([OLD, NEW], NOW, BODY), BODY, secret, now=NOW) is True


def test_a_new_secret_is_32_random_bytes() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    for secret in made:
        prefix, _, rest = secret.partition("_")
        assert prefix == "whsec"
        assert len(base64.b64decode(rest, validate=True)) == 32


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize(
    ("secrets", "held", "expected"),
    [
        ([SECRET], SECRET, "true"),
        ([SECRET], OLD, "false"),
        ([OLD, NEW], OLD, "true"),
        ([OLD, NEW], NEW, "false"),
        ([NEW, OLD], NEW, "true"),
    ],
    ids=["own", "other", "rotation: stands first", "rotation: stands second", "rotation: turned round"],
)
def test_the_documents_own_verifier(secrets: list[str], held: str, expected: str) -> None:
    case = {"body": BODY.decode(), "header": signature_header(secrets, NOW, BODY), "secret": held}
    ran = subprocess.run(
        ["node", VERIFIER], input=json.dumps(case), capture_output=True, text=True, check=True, timeout=30
    )
    assert ran.stdout == expected + "\n"


def test_the_schedule_is_eleven_attempts_in_under_a_day() -> None:
    assert [int(delay.total_seconds()) for delay in RETRY_DELAYS] == [
        0, 5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 28800,
    ]  # fmt: skip
    assert sum(RETRY_DELAYS, timedelta()) == timedelta(seconds=85_355)


@pytest.mark.parametrize("attempt", range(1, 11))
def test_each_delay_is_jittered_by_a_tenth_and_never_over_two_minutes_late(attempt: int) -> None:
    delay = RETRY_DELAYS[attempt]
    assert retry_at(attempt, MOMENT, random=Extreme(high=False)) == MOMENT + delay * 0.9
    late = min(delay * 0.1, timedelta(minutes=2))
    assert retry_at(attempt, MOMENT, random=Extreme(high=True)) == MOMENT + delay + late


def test_jitter_spreads_the_delays() -> None:
    random = Random(1)
    assert len({retry_at(4, MOMENT, random=random) for _ in range(50)}) == 50


@pytest.mark.parametrize("attempt", [11, 12, 1000])
def test_none_is_left_after_eleven_attempts(attempt: int) -> None:
    assert retry_at(attempt, MOMENT, retry_after=5) is None


def test_before_the_first_attempt_there_is_no_wait() -> None:
    assert retry_at(0, MOMENT) == MOMENT


@pytest.mark.parametrize("known_start", [True, False])
def test_the_latest_possible_schedule_stays_inside_a_day(known_start: bool) -> None:
    moment, made = MOMENT, 1
    while True:
        moment += timedelta(seconds=10)  # the longest an attempt takes
        first_at = MOMENT if known_start else None
        following = retry_at(made, moment, first_at=first_at, random=Extreme(high=True))
        if following is None:
            break
        moment, made = following, made + 1
    assert made == 11
    assert moment - MOMENT <= RETRY_WINDOW + timedelta(seconds=10)
    assert moment - MOMENT - timedelta(seconds=10) == timedelta(seconds=86_250.5)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        (None, 4.5),
        (0.0, 4.5),
        (4.4, 4.5),
        (60.0, 60),
        (60.2, 61),
        (3600.0, 3600),
        (1e300, 86_400),
        (float("inf"), 86_400),
    ],
)
def test_retry_after_is_honored_when_it_is_later(retry_after: float | None, seconds: float) -> None:
    following = retry_at(1, MOMENT, retry_after=retry_after, first_at=MOMENT, random=Extreme(high=False))
    assert following == MOMENT + timedelta(seconds=seconds)


def test_nothing_is_put_off_beyond_a_day_after_the_first_attempt() -> None:
    first_at = MOMENT - timedelta(hours=23)
    last = first_at + RETRY_WINDOW
    assert retry_at(2, MOMENT, retry_after=50_000, first_at=first_at) == last
    assert retry_at(9, MOMENT, first_at=first_at) == last
    assert retry_at(3, last, first_at=first_at) is None
    assert retry_at(3, last + timedelta(seconds=1), first_at=first_at) is None


def test_without_the_first_attempts_time_the_schedule_tells_it() -> None:
    assert retry_at(10, MOMENT, retry_after=86_400) == MOMENT + RETRY_WINDOW - (sum(RETRY_DELAYS[:10], timedelta()))
