"""The context of resolvers: the caller, the loaders of the request and the rate limiter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

import strawberry

from msvs import present
from msvs.api.accounts.clocks import enter_time
from msvs.api.accounts.login_sessions import Identity
from msvs.api.context import Context, Visitor
from msvs.api.errors import InvalidRequest, PermissionDenied, RateLimited
from msvs.api.limits import Bucket, Limiter
from msvs.graphql.live import Feed
from msvs.graphql.loaders import Loaders
from msvs.http.callers import Caller

if TYPE_CHECKING:
    Info: TypeAlias = strawberry.Info["RequestContext", None]
else:
    Info = strawberry.Info


class RequestContext:
    """One request: its caller and what has been loaded for it so far.

    `new_session` is the token of a session that the request opened, empty if it ended the one it came with.
    `refused_rows` are the refusals of rows that cannot be read, by the phone of the row in their place. `has_clock`
    says of a subscription's caller whether the sandbox has a clock by now.
    """

    __slots__ = ("_has_clock", "_live", "_loaders", "caller", "limiter", "new_session", "refused_rows")

    def __init__(
        self,
        caller: Caller | Context,
        limiter: Limiter,
        live: Feed | None = None,
        refused_rows: Mapping[str, InvalidRequest] | None = None,
        has_clock: Callable[[Caller], bool] | None = None,
    ) -> None:
        if isinstance(caller, Context):
            caller = Caller(
                Visitor(caller.ip, caller.request_id, services=caller.services), caller, livemode=caller.livemode
            )
        self.caller = caller
        self.limiter = limiter
        self.new_session: str | None = None
        self.refused_rows = refused_rows or {}
        self._loaders: Loaders | None = None
        self._live = live
        self._has_clock = has_clock

    @property
    def ctx(self) -> Context:
        """The caller in their workspace. Raises AuthenticationFailed or PermissionDenied if there is none."""
        if self.caller.ctx is None:
            assert self.caller.refusal is not None
            raise self.caller.refusal
        return self.caller.ctx

    @property
    def live(self) -> Feed:
        """The feed of subscriptions."""
        assert self._live is not None
        return self._live

    @property
    def loaders(self) -> Loaders:
        """The loaders of this request."""
        if self._loaders is None:
            self._loaders = Loaders(self.ctx)
        return self._loaders

    def forget(self) -> None:
        """Drop what has been loaded: a mutation may have changed it."""
        self._loaders = None

    async def renew(self) -> None:
        """Begin another item of a subscription: with nothing loaded, and at the time of the sandbox by now."""
        self.forget()
        if self._has_clock is None:
            return
        if self._has_clock(self.caller):
            await enter_time(self.ctx.workspace_id)
        else:
            present.enter(None)

    async def take(self, bucket: Bucket) -> None:
        """Take a token of a bucket other than the one every request draws on. Raises RateLimited."""
        allowance = await self.limiter.take(self.ctx.workspace_id, bucket)
        if allowance.retry_after is not None:
            raise RateLimited(
                f"Too many requests: at most {allowance.limit} a second.", retry_after=allowance.retry_after
            )


def user_of(request: RequestContext) -> Identity:
    """Return the user who is logged in. Raises AuthenticationFailed."""
    identity = request.caller.identity
    if identity is None and request.caller.ctx is not None:
        raise PermissionDenied("An API key cannot act for a user: log in for this.")
    if identity is None:
        assert request.caller.refusal is not None
        raise request.caller.refusal
    return identity
