"""Queries scoped to the caller's workspace and mode: the only way in which operations read tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from msgspec import json
from tortoise.expressions import Q
from tortoise.models import Model
from tortoise.queryset import QuerySet

from msvs.api.context import Context
from msvs.api.ids import encode_id, missing

M = TypeVar("M", bound=Model)


def scoped(ctx: Context, model: type[M]) -> QuerySet[M]:
    """Return the rows of `model` that belong to the caller's workspace and mode."""
    return model.filter(workspace_id=ctx.workspace_id, livemode=ctx.livemode)


async def find(
    ctx: Context, model: type[M], id: UUID, *, prefix: str, noun: str, param: str = "id", lock: bool = False
) -> M:
    """Return one of the caller's rows, locked for change if asked. Raises NotFound with `param`."""
    query = scoped(ctx, model).filter(id=id)
    row = await (query.select_for_update() if lock else query).first()
    if row is None:
        raise missing(noun, encode_id(prefix, id), param=param)
    return row


_number = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:[.][0-9]{1,15})?").fullmatch


def readings(value: object) -> list[object]:
    """Return a value, and the number or the boolean that it writes where it is text."""
    values = [value]
    if isinstance(value, str) and value in ("true", "false"):
        values.append(value == "true")
    elif isinstance(value, str) and _number(value):
        values.append(json.decode(value))
    return values


def holds(contains: Callable[[dict[str, object]], Q], key: str, value: object) -> Q:
    """Return the condition that an object has a value under a key; `contains` is the one that it contains another.

    Text stands for the number and the boolean that it writes, too.
    """
    return Q(*(contains({key: each}) for each in readings(value)), join_type=Q.OR)
