"""One-time codes: the vectors of RFC 6238, the leeway of clocks, codes given twice, and recovery codes."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from msvs.api.accounts import totp

SECRET = base64.b32encode(b"12345678901234567890").decode()
NOW = datetime(2026, 11, 29, 12, 0, 10, tzinfo=UTC)
STEP = totp.current_step(NOW)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_the_rfc(seconds: int, code: str) -> None:
    now = datetime.fromtimestamp(seconds, UTC)
    assert totp.make_code(SECRET, totp.current_step(now)) == code
    assert totp.match_step(SECRET, code, now=now) == totp.current_step(now)


@pytest.mark.parametrize(("late", "matches"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_counts_one_step_early_and_one_late(late: int, matches: bool) -> None:
    code = totp.make_code(SECRET, STEP - late)
    assert totp.match_step(SECRET, code, now=NOW) == (STEP - late if matches else None)


def test_a_code_and_those_before_it_are_refused_once_it_was_used() -> None:
    earlier, used, later = (totp.make_code(SECRET, STEP + each) for each in (-1, 0, 1))
    assert totp.match_step(SECRET, used, now=NOW, after=STEP) is None
    assert totp.match_step(SECRET, earlier, now=NOW, after=STEP) is None
    assert totp.match_step(SECRET, later, now=NOW, after=STEP) == STEP + 1
    assert totp.match_step(SECRET, used, now=NOW + timedelta(seconds=30), after=STEP) is None


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "１２３４５６", "\ud800", "\0" * 6, "9" * 10_000])
def test_what_is_no_code_is_refused(code: str) -> None:
    assert totp.match_step(SECRET, code, now=NOW) is None


def test_a_code_may_be_given_with_a_space() -> None:
    code = totp.make_code(SECRET, STEP)
    assert totp.match_step(SECRET, f" {code[:3]} {code[3:]} ", now=NOW) == STEP


def test_a_secret_has_160_bits_and_is_never_the_same() -> None:
    made = {totp.make_secret() for _ in range(20)}
    assert len(made) == 20
    assert {len(base64.b32decode(secret)) for secret in made} == {20}


def test_the_address_names_the_issuer_and_the_account() -> None:
    uri = totp.otpauth_uri(SECRET, account="mia@cohortlabs.co", issuer="MassiveSMS & Co")
    assert uri == (
        "otpauth://totp/MassiveSMS%20%26%20Co:mia@cohortlabs.co"
        f"?secret={SECRET}&issuer=MassiveSMS%20%26%20Co&digits=6&period=30"
    )


def test_recovery_codes_are_ten_and_their_hash_ignores_case_spaces_and_hyphens() -> None:
    codes = totp.make_recovery_codes()
    assert len(set(codes)) == 10
    assert all(len(code) == 17 and set(code) <= {*totp.RECOVERY_ALPHABET, "-"} for code in codes)
    code = codes[0]
    assert totp.digest_recovery_code(f" {code.upper().replace('-', ' ')}") == totp.digest_recovery_code(code)
    assert len({totp.digest_recovery_code(each) for each in codes}) == 10
