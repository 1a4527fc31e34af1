"""Steps that REST and the Twilio-compatible API share: methods, admission, idempotent changes and replays."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import msgspec
from starlette.types import Scope

from msvs.api.context import Context
from msvs.api.errors import ApiError, MethodNotAllowed
from msvs.api.idempotency import Answer, answer_once, check_key, fingerprint
from msvs.api.limits import Bucket, Limiter
from msvs.api.unit_of_work import in_unit_of_work, single_statement
from msvs.http.headers import REPLAYED, Headers, tell_allowance
from msvs.http.middleware import ANSWER_HEADERS, CALLER, REQUEST_ID

T = TypeVar("T")


def with_head(handlers: Mapping[str, T]) -> dict[str, T]:
    """Return what answers each method of a path, HEAD as GET."""
    return {**handlers, **({"HEAD": handlers["GET"]} if "GET" in handlers else {})}


def method_not_allowed(method: str, handlers: Mapping[str, object]) -> MethodNotAllowed:
    """Return the refusal of a method that a path does not have."""
    allow = ", ".join(sorted(handlers))
    return MethodNotAllowed(f"{method[:20]} is not allowed here; allowed: {allow}.", allow=allow)


async def admit(scope: Scope, ctx: Context, limiter: Limiter, bucket: Bucket = Bucket.REQUESTS, cost: int = 1) -> None:
    """Note who asks, and take some of their tokens; headers of the answer say what is left. Raises RateLimited."""
    scope[CALLER] = ctx
    tell_allowance(await limiter.take(ctx.workspace_id, bucket, cost), scope.get(ANSWER_HEADERS, []))


async def change(
    ctx: Context,
    key: bytes | None,
    asked: tuple[str, str, object],
    run: Callable[[], Awaitable[Answer]],
    error_answer: Callable[[ApiError], Answer],
    *,
    is_single_statement: bool,
) -> Answer:
    """Run what changes something: in a unit of work, and once where the request has an idempotency key.

    `asked` is the method, path and body that a key stands for. `is_single_statement` needs no transaction around it.
    """
    if key is not None:
        return await answer_once(ctx, check_key(key.decode("latin-1")), fingerprint(*asked), run, error_answer)
    if not is_single_statement:
        return await in_unit_of_work(run)
    async with single_statement():
        return await run()


def replay_headers(scope: Scope, answer: Answer, member: str) -> Headers:
    """Return the headers that tell of a replayed answer.

    A stored error names, in its `member`, the request that it first answered; so does the answer's X-Request-Id.
    """
    if not answer.replayed:
        return []
    if answer.status >= 400:
        scope[REQUEST_ID] = msgspec.json.decode(answer.body)[member]["request_id"]
    return [REPLAYED]
