"""Watch open connections: close those whose key is revoked or whose session has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import Context as Variables
from uuid import UUID

import structlog

from msvs import present
from msvs.api.accounts.auth import authenticate
from msvs.api.accounts.login_sessions import living_places
from msvs.api.context import Services
from msvs.api.errors import ApiError, AuthenticationFailed, ErrorCode, PermissionDenied
from msvs.http.callers import Caller

log = structlog.get_logger(__name__)

CHECK_SECONDS = 2.0

Ending = asyncio.Future[ApiError]


class Guard:
    """Looks after the connections of one process, all sessions in one statement.

    It learns on the way which workspaces have a clock in their sandbox.
    """

    def __init__(self) -> None:
        self._watched: dict[Ending, Caller] = {}
        self._clocked: set[UUID] = set()
        self._checker: asyncio.Task[None] | None = None

    def has_clock(self, caller: Caller) -> bool:
        """Return whether the caller's sandbox lived in its own time when it was looked at last."""
        return caller.ctx is not None and not caller.livemode and caller.ctx.workspace_id in self._clocked

    @contextmanager
    def watch(self, caller: Caller) -> Iterator[Ending]:
        """Provide a future that is done, with the reason, once the caller is not what they were.

        Call it at the time of the caller's sandbox.
        """
        ending: Ending = asyncio.get_running_loop().create_future()
        self._watched[ending] = caller
        if present.moment() is not None and caller.ctx is not None:
            self._clocked.add(caller.ctx.workspace_id)
        if self._checker is None:
            self._checker = asyncio.get_running_loop().create_task(self._serve(), context=Variables())
        try:
            yield ending
        finally:
            del self._watched[ending]
            ending.cancel()

    async def check(self) -> None:
        """Look at every caller once."""
        watched = list(self._watched.items())
        sessions = {
            caller.identity.session_id: caller.visitor.services for _, caller in watched if caller.identity is not None
        }
        places = await living_places(next(iter(sessions.values())), list(sessions)) if sessions else {}
        clocked = {workspace_id for (_, workspace_id, _), has_clock in places.items() if has_clock}
        refused: dict[tuple[str, str | None], ApiError | None] = {}
        for ending, caller in watched:
            if caller.identity is not None and caller.ctx is not None:
                place = (caller.identity.session_id, caller.ctx.workspace_id, caller.ctx.role)
                if place not in places and not ending.done():
                    message = "Your session has ended, or your place in the workspace has changed."
                    ending.set_result(AuthenticationFailed(message, code=ErrorCode.SESSION_INVALID))
            elif caller.authorization is not None:
                asked = (caller.authorization, caller.visitor.ip)
                if asked not in refused:
                    with present.standing():
                        refused[asked] = await _refusal(caller.visitor.services, *asked)
                        if present.moment() is not None and caller.ctx is not None:
                            clocked.add(caller.ctx.workspace_id)
                refusal = refused[asked]
                if refusal is not None and not ending.done():
                    ending.set_result(refusal)
        self._clocked = clocked

    async def close(self) -> None:
        """Stop looking."""
        if self._checker is not None:
            self._checker.cancel()
            with suppress(asyncio.CancelledError):
                await self._checker

    async def _serve(self) -> None:
        try:
            while self._watched:
                await asyncio.sleep(CHECK_SECONDS)
                try:
                    await self.check()
                except Exception as error:
                    log.warning("callers not checked", error=type(error).__name__)
        finally:
            self._checker = None


async def _refusal(services: Services, authorization: str, ip: str | None) -> ApiError | None:
    try:
        await authenticate(services, authorization, ip=ip)
    except (AuthenticationFailed, PermissionDenied) as refusal:
        return refusal
    return None
