"""JSON values as types: what `msgspec.json.decode` returns and a jsonb column holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
else:
    # msgspec and Strawberry read annotations at run time, and take no recursive alias.
    JSON = Any

JSONObject: TypeAlias = dict[str, JSON]
