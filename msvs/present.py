"""The present time of the work at hand: the real one, or that of a sandbox with a clock of its own."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import UTC, datetime

_moment: ContextVar[datetime | None] = ContextVar("moment", default=None)


def moment() -> datetime | None:
    """Return the time at which the sandbox's clock stands; None where the real time counts."""
    return _moment.get()


def now() -> datetime:
    """Return the present time of the work at hand."""
    return _moment.get() or real()


def real() -> datetime:
    """Return the real time, which signatures and leases of processes go by."""
    return datetime.now(UTC)


def enter(at: datetime | None) -> None:
    """Let the rest of this task's work happen at a time, None the real one; `standing` around it takes it back."""
    _moment.set(at)


class standing:
    """Let the block happen at a time; None is the real one."""

    __slots__ = ("_at", "_token")

    def __init__(self, at: datetime | None = None) -> None:
        self._at = at

    def __enter__(self) -> None:
        self._token = _moment.set(self._at)

    def __exit__(self, *_error: object) -> None:
        _moment.reset(self._token)
