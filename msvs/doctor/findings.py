"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    # Could not be checked, or does not apply.
    SKIPPED = "skipped"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of a check, and what to do about it."""

    check: str
    level: Level
    message: str
    action: str | None = None


def ok(check: str, message: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(check, Level.OK, message)


def skipped(check: str, message: str) -> Finding:
    """Return a finding of a check that could not be made, or does not apply."""
    return Finding(check, Level.SKIPPED, message)


def warning(check: str, message: str, action: str) -> Finding:
    """Return a finding that should be looked at."""
    return Finding(check, Level.WARNING, message, action)


def error(check: str, message: str, action: str) -> Finding:
    """Return a finding that keeps the service from working, or puts it at risk."""
    return Finding(check, Level.ERROR, message, action)
