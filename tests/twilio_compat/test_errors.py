"""Twilio's numbers: those of the guide are those of the code, and each stands for a code of ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from msvs.api.catalogue import ERRORS
from msvs.api.errors import ApiError, InvalidRequest, MethodNotAllowed, NotFound
from msvs.http.errors import error_headers
from msvs.twilio_compat.errors import BY_CODE, BY_PARAMETER, number_of, status_of
from msvs.twilio_compat.messages import REFUSED

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "site" / "twilio.md").read_text()
ROWS = re.findall(r"^\| (\d{5}) \| (\d{3}) \| (.*) \|$", PAGE, re.MULTILINE)
PAIRS = [(int(number), int(status), code) for number, status, text in ROWS for code in re.findall(r"#(\w+)\)", text)]


def error_of(code: str, status: int, param: str | None = None) -> ApiError:
    """An error with this code and status."""
    cls = type("Refusal", (ApiError,), {"status": status})
    return cls("Refused.", code=code, param=param)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("number", "status", "code"), PAIRS, ids=[pair[2] for pair in PAIRS])
def test_the_guide_gives_the_numbers_that_are_answered(number: int, status: int, code: str) -> None:
    error = error_of(code, max(ERRORS[code].statuses) if status == 404 else ERRORS[code].statuses[0])
    assert (number_of(error), status_of(error)) == (number, status)


def test_the_guide_names_every_number_that_a_code_has() -> None:
    assert {str(number) for number in (*BY_CODE.values(), *BY_PARAMETER.values())} <= set(re.findall(r"\d{5}", PAGE))
    assert set(BY_CODE) <= {code for _, _, code in PAIRS}


def test_every_code_with_a_number_is_in_the_catalogue() -> None:
    assert set(BY_CODE) | {code for code, _ in BY_PARAMETER} <= set(ERRORS)
    assert {param for code, param in BY_PARAMETER if code == "parameter_unknown"} <= set(REFUSED)


@pytest.mark.parametrize(
    ("error", "number", "status"),
    [
        (InvalidRequest(""), 20001, 400),
        (error_of("a_rule_of_tomorrow", 422), 21612, 400),
        (error_of("idempotency_key_in_use", 409), 20409, 409),
        (error_of("permission_denied", 403), 20403, 403),
        (error_of("request_timeout", 408), 20408, 408),
        (NotFound(""), 20404, 404),
        (ApiError(""), 20500, 500),
    ],
)
def test_what_has_no_number_of_its_own_gets_one_by_its_status(error: ApiError, number: int, status: int) -> None:
    assert (number_of(error), status_of(error)) == (number, status)


def test_headers_of_refusals() -> None:
    assert error_headers(error_of("request_too_large", 413)) == [(b"connection", b"close")]
    assert error_headers(MethodNotAllowed("", allow="GET")) == [(b"allow", b"GET")]
    assert error_headers(ApiError("", retry_after=3)) == [(b"retry-after", b"3")]
