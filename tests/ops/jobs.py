"""Jobs for the RQ page to show."""

from __future__ import annotations


def dispatch(lane: str) -> str:
    """A job that succeeds."""
    return f"dispatched {lane}"


def deliver(url: str) -> None:
    """A job that fails."""
    raise ConnectionError(f"no answer from {url}")
