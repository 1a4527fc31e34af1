"""The shared vectors, and calls by the name of an operation."""

from __future__ import annotations

import json
import keyword
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from sdks.generator import model

VECTORS = Path(__file__).resolve().parents[2] / "vectors"


def read(name: str) -> dict[str, Any]:
    return json.loads((VECTORS / f"{name}.json").read_text())  # type: ignore[no-any-return]


def cases(name: str, part: str = "cases") -> list[Any]:
    import pytest

    return [pytest.param(case, id=str(case.get("name", index))) for index, case in enumerate(read(name)[part])]


@cache
def homes() -> dict[str, tuple[str, str]]:
    return {method.operation_id: (resource.name, method.name) for resource, method in model.load().methods}


def call(client: Any, operation_id: str, args: Mapping[str, Any], **more: Any) -> Any:
    """What the method of an operation returns; args by their names on the wire."""
    resource, method = homes()[operation_id]
    plain = {name.replace("[", "_").replace("]", ""): value for name, value in args.items()}
    named = {f"{name}_" if keyword.iskeyword(name) else name: value for name, value in plain.items()}
    return getattr(getattr(client, resource), method)(**named, **more)
