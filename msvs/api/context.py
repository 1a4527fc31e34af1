"""Who is asking: the first argument of every operation."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Context:
    """The caller of an operation: workspace, mode (`livemode`), actor and request id.

    `actor` is an id on the wire (`key_…`, `usr_…`) or `system` for the service's own work.
    """

    workspace_id: UUID
    livemode: bool
    actor: str = "system"
    request_id: str | None = None
