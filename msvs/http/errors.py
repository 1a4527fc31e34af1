"""Render errors as the JSON envelope and its headers."""

from __future__ import annotations

import asyncpg
import msgspec
from tortoise.exceptions import DBConnectionError

from msvs.api.catalogue import doc_url
from msvs.api.errors import ApiError, MethodNotAllowed, Unavailable
from msvs.http.headers import Headers

RETRY_AFTER_SECONDS = 1


def error_body(error: ApiError, request_id: str, base_url: str) -> bytes:
    """Return the JSON envelope of an error."""
    fields = {"type": error.type, "code": error.code, "message": error.message}
    if error.param is not None:
        fields["param"] = error.param
    last = {"doc_url": doc_url(error.code, base_url), "request_id": request_id}
    return msgspec.json.encode({"error": {**fields, **error.details, **last}})


def error_headers(error: ApiError, *, challenge: bytes = b"Bearer") -> Headers:
    """Return the headers that go with an error; a 401 asks for the scheme of `challenge`."""
    headers: Headers = []
    if error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after))
    if error.status == 401:
        headers.append((b"www-authenticate", challenge))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", error.allow.encode()))
    if error.status in (408, 413):
        # The rest of the body is not waited for.
        headers.append((b"connection", b"close"))
    return headers


def as_api_error(error: BaseException) -> ApiError:
    """Return what the caller is told of an error: 503 when the database is away, 500 for what we did not foresee."""
    if isinstance(error, ApiError):
        return error
    if _is_database_away(error):
        return Unavailable(
            "The service is not available at the moment; try again shortly.", retry_after=RETRY_AFTER_SECONDS
        )
    return ApiError("Something went wrong on our side; it has been logged under this request's id.")


_AWAY = (
    OSError,
    TimeoutError,
    DBConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    # Rolled back by the database in favour of another transaction: the same request may well succeed now.
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    # A migration changed a table under a statement that the connection had prepared; it prepares it again.
    asyncpg.InvalidCachedStatementError,
    asyncpg.ReadOnlySQLTransactionError,
    # Behind the lock of somebody who is stuck, or stuck itself: rolled back, and the stuck one will be soon.
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
)


def _is_database_away(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, _AWAY):
            return True
        error = error.__cause__ or error.__context__
    return False
