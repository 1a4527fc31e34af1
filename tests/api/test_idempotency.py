from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from msvs.api.context import Context
from msvs.api.errors import (
    ApiError,
    AuthenticationFailed,
    ComplianceRefused,
    Conflict,
    InvalidRequest,
    NotFound,
    PaymentRequired,
    PermissionDenied,
    RateLimited,
    Unavailable,
)
from msvs.api.idempotency import (
    Answer,
    IdempotencyKeyInUse,
    IdempotencyKeyRefused,
    answer_once,
    check_key,
    fingerprint,
)
from msvs.models import Contact, IdempotencyRecord
from tests import factories

PRINT = fingerprint("POST", "/v1/contacts", {"phone": "+12125550123"})


def render(error: ApiError) -> Answer:
    return Answer(error.status, error.code.encode())


class Operation:
    """Makes a contact each time it runs, then fails if told to."""

    def __init__(self, ctx: Context, error: Exception | None = None) -> None:
        self.ctx = ctx
        self.error = error
        self.runs = 0

    async def __call__(self) -> Answer:
        self.runs += 1
        await factories.make_contact(self.ctx)
        if self.error is not None:
            raise self.error
        return Answer(201, b'{"run": %d}' % self.runs)


async def test_the_same_request_gets_the_first_answer(ctx: Context) -> None:
    operation = Operation(ctx)
    assert await answer_once(ctx, "k", PRINT, operation, render) == Answer(201, b'{"run": 1}')
    for _ in range(3):
        assert await answer_once(ctx, "k", PRINT, operation, render) == Answer(201, b'{"run": 1}', replayed=True)
    assert (operation.runs, await Contact.all().count()) == (1, 1)


async def test_another_request_with_the_key_is_refused(ctx: Context) -> None:
    operation = Operation(ctx)
    await answer_once(ctx, "k", PRINT, operation, render)
    with pytest.raises(IdempotencyKeyRefused) as caught:
        await answer_once(ctx, "k", fingerprint("POST", "/v1/contacts", {}), operation, render)
    assert (caught.value.status, caught.value.type, caught.value.code) == (
        400,
        "idempotency_error",
        "idempotency_key_reused",
    )
    assert operation.runs == 1


async def test_keys_of_other_callers_do_not_meet(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    for caller in (ctx, live_ctx, other_ctx):
        assert not (await answer_once(caller, "k", PRINT, Operation(caller), render)).replayed
    assert await IdempotencyRecord.all().count() == 3


async def test_a_second_request_while_the_first_runs_is_told_so(ctx: Context) -> None:
    running, done = asyncio.Event(), asyncio.Event()

    async def slow() -> Answer:
        running.set()
        await done.wait()
        return Answer(200, b"{}")

    first = asyncio.create_task(answer_once(ctx, "k", PRINT, slow, render))
    await running.wait()
    second = Operation(ctx)
    with pytest.raises(IdempotencyKeyInUse) as caught:
        await answer_once(ctx, "k", PRINT, second, render)
    assert (caught.value.status, caught.value.type, caught.value.retry_after) == (409, "idempotency_error", 1)
    assert not (await answer_once(ctx, "another", PRINT, second, render)).replayed
    done.set()
    assert await first == Answer(200, b"{}")
    assert (await answer_once(ctx, "k", PRINT, second, render)).replayed
    assert second.runs == 1


KEPT = [PaymentRequired, PermissionDenied, NotFound, Conflict, ComplianceRefused]


@pytest.mark.parametrize("error", KEPT)
async def test_a_refusal_is_kept_without_its_effect(ctx: Context, error: type[ApiError]) -> None:
    operation = Operation(ctx, error("no"))
    refused = Answer(error.status, error.default_code.encode())
    assert await answer_once(ctx, "k", PRINT, operation, render) == refused
    again = await answer_once(ctx, "k", PRINT, Operation(ctx), render)
    assert (again.status, again.body, again.replayed) == (refused.status, refused.body, True)
    assert await Contact.all().count() == 0


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest("no"),
        AuthenticationFailed("no"),
        RateLimited("no"),
        Unavailable("no"),
        ApiError("no"),
        KeyError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_other_failures_leave_nothing_and_may_be_tried_again(ctx: Context, error: Exception) -> None:
    with pytest.raises(type(error)):
        await answer_once(ctx, "k", PRINT, Operation(ctx, error), render)
    assert await Contact.all().count() == await IdempotencyRecord.all().count() == 0
    assert not (await answer_once(ctx, "k", PRINT, Operation(ctx), render)).replayed
    assert await Contact.all().count() == 1


async def test_a_key_is_free_again_after_a_day(ctx: Context) -> None:
    operation = Operation(ctx)
    await answer_once(ctx, "k", PRINT, operation, render)
    await IdempotencyRecord.all().update(created_at=datetime.now(UTC) - timedelta(hours=24))
    other = fingerprint("POST", "/v1/lists", {})
    assert await answer_once(ctx, "k", other, operation, render) == Answer(201, b'{"run": 2}')
    assert (await answer_once(ctx, "k", other, operation, render)).replayed
    assert await IdempotencyRecord.all().count() == 1


@pytest.mark.parametrize("key", ["a", "a b~!", "x" * 255])
def test_a_key_is_printable(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("key", ["", "x" * 256, "a\n", "a\t", "\x7f", "é", "\x00"])
def test_a_key_of_other_characters_is_refused(key: str) -> None:
    with pytest.raises(IdempotencyKeyRefused) as caught:
        check_key(key)
    assert caught.value.code == "idempotency_key_invalid"


def test_a_fingerprint_depends_on_values_alone() -> None:
    same = fingerprint("POST", "/v1/a", {"a": 1, "b": {"c": [1, 2], "d": None}})
    assert fingerprint("POST", "/v1/a", {"b": {"d": None, "c": [1, 2]}, "a": 1}) == same
    different = {
        fingerprint("DELETE", "/v1/a", {"a": 1, "b": {"c": [1, 2], "d": None}}),
        fingerprint("POST", "/v1/b", {"a": 1, "b": {"c": [1, 2], "d": None}}),
        fingerprint("POST", "/v1/a", {"a": 1, "b": {"c": [2, 1], "d": None}}),
        fingerprint("POST", "/v1/a", {"a": "1", "b": {"c": [1, 2], "d": None}}),
        fingerprint("POST", "/v1/a", {"a": 1, "b": {"c": [1, 2]}}),
    }
    assert len(different) == 5
    assert same not in different
