"""What is not given, and what one call may have of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypedDict


class NotGiven:
    """Stands for a parameter that was left out, which is not the same as None."""

    def __bool__(self) -> Literal[False]:
        """Return False, so that `value or other` works."""
        return False

    def __repr__(self) -> str:
        """Name it as it is imported."""
        return "NOT_GIVEN"


NOT_GIVEN: Final = NotGiven()


class RequestOptions(TypedDict, total=False):
    """Settings of one call that win over the client's."""

    idempotency_key: str
    """Sent with a POST or DELETE in place of a random key."""
    timeout: float
    """Seconds that one try may take."""
    deadline: float | None
    """Seconds that all tries and the waits between them may take: 120, or as long as a longer timeout."""
    max_retries: int
    headers: Mapping[str, str]
