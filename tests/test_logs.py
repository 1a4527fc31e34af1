"""Nothing that must stay secret reaches a log line."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator

import pytest
import structlog

from msvs import database as db
from msvs import logs
from msvs.api.accounts.keys import make_key
from msvs.api.context import Context
from msvs.models import Contact
from msvs.settings import Settings
from tests import factories
from tests.owner import run_as_owner

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
        ("to +1 (415) 555-0123.", "to +1415•••0123."),
        ("tel:+44-7400-123456;isub=1", "tel:+4474•••3456;isub=1"),
        ("GET /x?api_key=abc&token=def&page=2", "GET /x?api_key=•••&token=•••&page=2"),
        ("{'new_password': 'hunter2', 'name': 'Ada'}", "{'new_password': '•••', 'name': 'Ada'}"),
        ("MSVS_SECRET_KEY=s3cr3t", "MSVS_SECRET_KEY=•••"),
        ("client_secret: s3cr3t\nnext", "client_secret: •••\nnext"),
        ("Set-Cookie: msvs_session=abc; Path=/\nnext", "Set-Cookie: •••\nnext"),
        ("tokens=5 left", "tokens=5 left"),
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


@pytest.mark.parametrize("environment", ["production", "development"])
@pytest.mark.parametrize(
    "name", ["Password", "new_password", "auth_token", "cookie", "Set-Cookie", "X-Twilio-Signature", "MSVS_SECRET_KEY"]
)
def test_a_field_is_masked_by_its_name(output: Callable[[Settings], io.StringIO], environment: str, name: str) -> None:
    stream = output(Settings(environment=environment))
    structlog.get_logger("ours").info("seen", **{name: "hunter2"}, nested={name: ["hunter2"]}, page=2)
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count(logs.MASK) == 2


@pytest.mark.parametrize("environment", ["production", "development"])
async def test_row_data_in_database_errors_is_not_logged(
    ctx: Context, output: Callable[[Settings], io.StringIO], environment: str
) -> None:
    stream = output(Settings(environment=environment))
    body = "Your code is\n4711, Ada"
    await run_as_owner("ALTER TABLE contacts ADD CONSTRAINT no_ada CHECK (first_name NOT LIKE '%Ada%')")
    contact = await factories.make_contact(ctx)
    works: list[Callable[[], Awaitable[object]]] = [
        lambda: db.execute("UPDATE contacts SET first_name = $1", body),
        lambda: db.execute("SELECT $1::int", body),
        lambda: db.execute(f"SELECT '{body}'::uuid"),
        lambda: Contact.filter(id=contact.id).update(first_name=body),
        lambda: Contact.create(workspace_id=ctx.workspace_id, livemode=False, phone=body * 9, first_name=body),
    ]
    try:
        for number, work in enumerate(works):
            try:
                await asyncio.gather(work())
            except Exception as error:
                structlog.get_logger("ours").exception("failed", number=number)
                try:
                    raise ExceptionGroup("several", [error])
                except ExceptionGroup as group:
                    logging.getLogger("theirs").error("failed", exc_info=group)
    finally:
        await run_as_owner("ALTER TABLE contacts DROP CONSTRAINT no_ada")
    written = stream.getvalue()
    assert [written.count(part) for part in ("4711", "Ada", contact.phone)] == [0, 0, 0]
    assert written.count("failed") == 2 * len(works)
    # What, where and why are told.
    assert written.count("Traceback (most recent call last)") >= 2 * len(works)
    assert "violates check constraint" in written
    assert "test_logs.py" in written


UNCAUGHT = """
import asyncpg
from msvs.cli import main

main(["--version"])
error = asyncpg.CheckViolationError("new row violates a check")
error.detail = "Failing row contains (+14155550123, Your code is 4711)"
raise error
"""


def test_errors_that_end_a_process_are_logged_alike() -> None:
    ended = subprocess.run([sys.executable, "-c", UNCAUGHT], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[0] == "Traceback (most recent call last):"
    assert ended.stderr.splitlines()[-1] == "asyncpg.exceptions.CheckViolationError: new row violates a check"
    assert "4711" not in ended.stderr


def test_an_error_is_logged_with_its_causes_and_its_group() -> None:
    try:
        try:
            fail()
        except ValueError as error:
            raise ExceptionGroup("several", [KeyError("one"), OSError(2, "two")]) from error
    except ExceptionGroup as group:
        told = logs.format_error((type(group), group, group.__traceback__))
    lines = [line for line in told.splitlines() if line and not line.startswith(" ")]
    assert lines == [
        "Traceback (most recent call last):",
        f"ValueError: cannot send to +14155550123 with {KEY}",
        "Which led to:",
        "Traceback (most recent call last):",
        "ExceptionGroup: several (2 sub-exceptions)",
        "In it:",
        "KeyError: 'one'",
        "In it:",
        "FileNotFoundError: [Errno 2] two",
    ]
    assert logs.format_error((None, None, None)) == ""  # type: ignore[arg-type]


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
