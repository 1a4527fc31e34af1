"""Typed decorators for resolvers: Strawberry's own lose the type of what they decorate."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import strawberry

F = TypeVar("F", bound=Callable[..., object])


def field(description: str) -> Callable[[F], F]:
    """Return a field that a method resolves."""
    return cast("Callable[[F], F]", strawberry.field(description=description))


def mutation(result: object, description: str) -> Callable[[F], F]:
    """Return a mutation, which answers a member of the union `result`."""
    return cast("Callable[[F], F]", strawberry.mutation(description=description, graphql_type=result))
