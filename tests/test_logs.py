"""Nothing that must stay secret reaches a log line."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog

from msvs import logs
from msvs.api.accounts.keys import make_key
from msvs.settings import Settings

KEY = make_key(True)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (KEY, "msvs_live_•••"),
        (f"key={make_key(False)}.", "key=msvs_test_•••."),
        ("whsec_Zm9v+/=_-x rest", "whsec_••• rest"),
        ("Authorization: Bearer abcdefghij", "Authorization: •••"),
        ("{'authorization': 'Basic bXN2czo='}", "{'authorization': '•••'}"),
        ("(b'authorization', b'Bearer abcdefghij')", "(b'authorization', b'Bearer •••')"),
        ("to +14155550123, then", "to +1415•••0123, then"),
        ("to=%2B14155550123&x", "to=+1415•••0123&x"),
        ("+3512345678", "+3512•••5678"),
        ("+4312345", "+43•••45"),
        ("postgresql://msvs:hunter2@127.0.0.1:5432/msvs", "postgresql://msvs:•••@127.0.0.1:5432/msvs"),
        ("redis://:hunter2@127.0.0.1", "redis://:•••@127.0.0.1"),
        ("redis://:hunt@er2@127.0.0.1/0 and a@b", "redis://:•••@127.0.0.1/0 and a@b"),
        ("2026-05-01T20:00:00+0000", "2026-05-01T20:00:00+0000"),
        ("1+2 = 3", "1+2 = 3"),
        ("msg_01HYZ8K5VQAE2N0PWQ6DC9V8MP", "msg_01HYZ8K5VQAE2N0PWQ6DC9V8MP"),
    ],
)
def test_secrets_are_masked(text: str, masked: str) -> None:
    assert logs.mask(text) == masked


@pytest.fixture
def output() -> Iterator[Callable[[Settings], io.StringIO]]:
    """`output(settings)` sets logging up on a buffer; everything is as before at the end."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logs.QUIET}
    stream = io.StringIO()

    def start(settings: Settings) -> io.StringIO:
        logs.set_up(settings, stream)
        return stream

    yield start
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()


def fail() -> None:
    raise ValueError(f"cannot send to +14155550123 with {KEY}")


@pytest.mark.parametrize("environment", ["production", "development"])
def test_both_pipelines_mask_everything(output: Callable[[Settings], io.StringIO], environment: str) -> None:
    stream = output(Settings(environment=environment))
    with structlog.contextvars.bound_contextvars(request_id="req_1"):
        try:
            fail()
        except ValueError:
            structlog.get_logger("ours").exception(
                "failed for +14155550123", to=["+14155550123"], password="hunter2", nested={"k": (KEY,), "secret": "s3"}
            )
            logging.getLogger("theirs").exception("failed with %s", KEY)
    written = stream.getvalue()
    for secret in ("+14155550123", KEY, "hunter2", "s3"):
        assert secret not in written
    assert written.count("+1415•••0123") >= 4
    assert written.count("req_1") == 2
    assert "Traceback" in written


def test_production_writes_one_json_object_a_line(output: Callable[[Settings], io.StringIO]) -> None:
    stream = output(Settings(environment="production"))
    structlog.get_logger("ours").warning("queue not notified", count=3)
    logging.getLogger("uvicorn.error").error("broken %s", "pipe")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line["level"], line["logger"]) for line in lines] == [
        ("queue not notified", "warning", "ours"),
        ("broken pipe", "error", "uvicorn.error"),
    ]
    assert lines[0]["count"] == 3


def test_the_level_holds_for_all(output: Callable[[Settings], io.StringIO]) -> None:
    stream = output(Settings(environment="production", log_level="WARNING"))
    structlog.get_logger("ours").info("quiet")
    logging.getLogger("theirs").info("quiet")
    assert stream.getvalue() == ""
