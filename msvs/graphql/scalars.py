"""The scalars beyond GraphQL's own: times, JSON objects and whole numbers past 32 bits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import NewType, cast

import strawberry
from strawberry.types.scalar import ScalarDefinition

from msvs import times
from msvs.api.resources import moment
from msvs.json_types import JSON

MAX_INTEGER = 2**53
MAX_DEPTH = 32

JSONObject = NewType("JSONObject", dict[str, JSON])
BigInt = NewType("BigInt", int)


def json_object(value: Mapping[str, JSON]) -> JSONObject:
    """Return a row's JSON object as the scalar's value."""
    return cast("JSONObject", value)


def read_time(value: object) -> datetime:
    """Read an ISO-8601 time with an offset, in UTC. Raises ValueError."""
    if isinstance(value, str):
        try:
            return times.read_time(value)
        except ValueError:
            pass
    raise ValueError("Write an ISO-8601 time with an offset, such as 2026-05-01T20:00:00-04:00.")


def read_object(value: object) -> JSONObject:
    """Read a JSON object at most 32 levels deep, of text and numbers that the database can keep. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError("Write a JSON object.")
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        children: list[object] = []
        for each in level:
            if isinstance(each, dict):
                children += each
                children += each.values()
            elif isinstance(each, list):
                children += each
            elif isinstance(each, str):
                if "\0" in each:
                    raise ValueError("Text may not hold a NUL character.")
            elif isinstance(each, float) and not math.isfinite(each):
                raise ValueError("A number is too large.")
            elif isinstance(each, int) and abs(each) > MAX_INTEGER:
                raise ValueError("An integer is outside ±2^53.")
        if not children:
            return cast("JSONObject", value)
        level = children
    raise ValueError(f"The object is nested deeper than {MAX_DEPTH} levels.")


def read_integer(value: object) -> int:
    """Read an integer within ±2^53. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_INTEGER:
        raise ValueError("Write an integer within ±2^53.")
    return value


SCALARS: Mapping[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description=(
            "An ISO-8601 time. Answers are in UTC, to the second, with `Z`; times that you send need an offset."
        ),
        specified_by_url="https://scalars.graphql.org/andimarek/date-time",
        serialize=moment,
        parse_value=read_time,
    ),
    JSONObject: strawberry.scalar(
        name="JSONObject",
        description="A JSON object: string keys and any JSON values, at most 32 levels deep.",
        serialize=lambda value: value,
        parse_value=read_object,
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="An integer within ±2^53, the range that JSON numbers represent exactly.",
        serialize=lambda value: value,
        parse_value=read_integer,
    ),
}
