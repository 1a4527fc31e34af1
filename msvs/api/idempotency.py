"""Idempotency keys: store the first answer with its effect, and return it to the same request."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from msvs.api.context import Context, Services, lock_number
from msvs.api.errors import ApiError, ErrorCode
from msvs.api.unit_of_work import in_unit_of_work, unit_of_work
from msvs.database import execute, fetch_row, fetch_value
from msvs.models.identity import new_id

KEPT = timedelta(hours=24)
# Refusals that say something about the world; those of the request itself, of the caller or of us are not kept.
# What another key of the workspace may get another answer to.
OF_THE_CALLER = (ErrorCode.SCOPE_MISSING, ErrorCode.LIMIT_NOT_LIFTED)
KEPT_REFUSALS = frozenset((402, 403, 404, 409, 422))

# An answer that shows a secret, as a new webhook's does, is kept sealed; so is one with the address of an order hook.
SHOW_SECRETS = (b'"secret":', b"/hooks/orders/")
SEALED = "sealed:"

_printable = re.compile(r"[\x20-\x7e]{1,255}").fullmatch

FIND_ANSWER = """
SELECT fingerprint, status_code, body FROM idempotency_records
WHERE workspace_id = $1 AND livemode = $2 AND key = $3 AND created_at > $4
"""
# An answer past its keeping makes room.
STORE_ANSWER = """
INSERT INTO idempotency_records (id, workspace_id, livemode, key, fingerprint, status_code, body, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (workspace_id, livemode, key) DO UPDATE
SET fingerprint = $5, status_code = $6, body = $7, created_at = $8
"""


class IdempotencyKeyRefused(ApiError):
    """400: the key is malformed, or stands for another request."""

    status = 400
    type = "idempotency_error"
    default_code = ErrorCode.IDEMPOTENCY_KEY_INVALID


class IdempotencyKeyInUse(ApiError):
    """409: the first request with this key is still running."""

    status = 409
    type = "idempotency_error"
    default_code = ErrorCode.IDEMPOTENCY_KEY_IN_USE


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON body, and whether they were given before."""

    status: int
    body: bytes
    replayed: bool = False


def check_key(text: str) -> str:
    """Return the key, if it is 1 to 255 printable ASCII characters. Raises IdempotencyKeyRefused."""
    if not _printable(text):
        raise IdempotencyKeyRefused("Idempotency-Key must be 1 to 255 printable ASCII characters.")
    return text


def fingerprint(method: str, path: str, body: object) -> str:
    """Hash the method, path and body of a request; spacing and the order of keys in the body do not count."""
    canonical = msgspec.json.encode([method, path, body], order="deterministic")
    return hashlib.sha256(canonical).hexdigest()


async def answer_once(
    ctx: Context,
    key: str,
    fingerprint: str,
    operation: Callable[[], Awaitable[Answer]],
    render: Callable[[ApiError], Answer],
) -> Answer:
    """Run `operation` in a unit of work, keeping its answer with its effect; or give the answer kept before.

    `render` makes the answer of an error. Raises IdempotencyKeyInUse, IdempotencyKeyRefused and the
    operation's errors that are not kept.
    """
    return await in_unit_of_work(lambda: _answer_once(ctx, key, fingerprint, operation, render))


async def _answer_once(
    ctx: Context,
    key: str,
    fingerprint: str,
    operation: Callable[[], Awaitable[Answer]],
    render: Callable[[ApiError], Answer],
) -> Answer:
    if not await fetch_value("SELECT pg_try_advisory_xact_lock($1)", lock_number(ctx, after=key.encode())):
        raise IdempotencyKeyInUse("The first request with this Idempotency-Key is still running.", retry_after=1)
    # A statement of its own, after the lock: it sees what the lock's last holder committed.
    now = ctx.services.real_clock()
    kept = await fetch_row(FIND_ANSWER, ctx.workspace_id, ctx.livemode, key, now - KEPT)
    if kept is not None:
        if kept.fingerprint != fingerprint:
            raise IdempotencyKeyRefused(
                "This Idempotency-Key was used for another request: use a new key for each request.",
                code=ErrorCode.IDEMPOTENCY_KEY_REUSED,
            )
        return Answer(kept.status_code, _opened(ctx.services, kept.body).encode(), replayed=True)
    try:
        async with unit_of_work():
            answer = await operation()
    except ApiError as error:
        if error.status not in KEPT_REFUSALS or error.code in OF_THE_CALLER:
            raise
        answer = render(error)
    await execute(
        STORE_ANSWER,
        new_id(),
        ctx.workspace_id,
        ctx.livemode,
        key,
        fingerprint,
        answer.status,
        _kept(ctx.services, answer.body),
        now,
    )
    return answer


def _kept(services: Services, body: bytes) -> str:
    """Return an answer as it is kept."""
    text = body.decode()
    return _sealed(services, text) if any(each in body for each in SHOW_SECRETS) else text


def _sealed(services: Services, body: str) -> str:
    return SEALED + services.keyring.seal(body)


def _opened(services: Services, body: str) -> str:
    return services.keyring.open(body.removeprefix(SEALED)) if body.startswith(SEALED) else body
