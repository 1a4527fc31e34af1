"""What every resolver is given: the caller, the request's loaders and the rate limiter."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import strawberry

from msvs.api.context import Context
from msvs.api.errors import RateLimited
from msvs.api.limits import Bucket, Limiter
from msvs.graphql.loaders import Loaders

if TYPE_CHECKING:
    Info: TypeAlias = strawberry.Info["RequestContext", None]
else:
    Info = strawberry.Info


class RequestContext:
    """One request: its caller and what has been loaded for it so far."""

    __slots__ = ("ctx", "limiter", "loaders")

    def __init__(self, ctx: Context, limiter: Limiter) -> None:
        self.ctx = ctx
        self.limiter = limiter
        self.loaders = Loaders(ctx)

    def forget(self) -> None:
        """Drop what has been loaded: a mutation may have changed it."""
        self.loaders = Loaders(self.ctx)

    async def take(self, bucket: Bucket) -> None:
        """Take a token of a bucket other than the one every request draws on. Raises RateLimited."""
        allowance = await self.limiter.take(self.ctx.workspace_id, bucket)
        if allowance.retry_after is not None:
            raise RateLimited(
                f"Too many requests: at most {allowance.limit} a second.", retry_after=allowance.retry_after
            )
