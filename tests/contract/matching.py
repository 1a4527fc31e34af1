"""Answers against examples with placeholders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_ID = re.compile(r"<([a-z]{3})>").fullmatch
_NAME = re.compile(r"\{([a-z_]+)\}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z").fullmatch


def filled(example: Any, known: Mapping[str, str]) -> Any:
    """The example with {name} and <future> replaced by what is known; unknown names stay."""
    if isinstance(example, dict):
        return {key: filled(value, known) for key, value in example.items()}
    if isinstance(example, list):
        return [filled(value, known) for value in example]
    if isinstance(example, str):
        text = example.replace("<future>", known.get("future", "<future>"))
        return _NAME.sub(lambda found: known.get(found[1], found[0]), text)
    return example


def mismatches(example: Any, found: Any, where: str = "body") -> list[str]:
    """Where `found` is not what the example shows; what the example leaves out does not count."""
    if isinstance(example, dict):
        if not isinstance(found, dict):
            return [f"{where}: not an object"]
        missing = [f"{where}.{key}: missing" for key in example.keys() - found.keys()]
        shared = example.keys() & found.keys()
        return missing + [line for key in shared for line in mismatches(example[key], found[key], f"{where}.{key}")]
    if isinstance(example, list):
        if not isinstance(found, list) or len(found) != len(example):
            return [f"{where}: {found!r} has not {len(example)} entries"]
        pairs = enumerate(zip(example, found, strict=True))
        return [line for index, pair in pairs for line in mismatches(*pair, f"{where}[{index}]")]
    return [] if _fits(example, found) else [f"{where}: {found!r} is not {example!r}"]


def _fits(example: Any, found: Any) -> bool:
    if not isinstance(example, str):
        return type(example) is type(found) and bool(example == found)
    if prefix := _ID(example):
        if example == "<int>":
            return re.fullmatch(r"-?\d+", str(found)) is not None
        return isinstance(found, str) and re.fullmatch(f"{prefix[1]}_[0-9A-HJKMNP-TV-Z]{{26}}", found) is not None
    match example:
        case "<time>":
            return isinstance(found, str) and _TIME(found) is not None
        case "<text>":
            return isinstance(found, str)
        case "<int or null>":
            return found is None or isinstance(found, int)
    if isinstance(found, str) and _TIME(found) and re.search(r"T.*[+-]\d\d:\d\d$", example):
        # The same moment in another offset.
        return datetime.fromisoformat(example).astimezone(UTC) == datetime.fromisoformat(found)
    return bool(example == found)
