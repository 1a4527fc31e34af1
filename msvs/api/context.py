"""Who is asking: the first argument of every operation."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from uuid import UUID

from msvs.models import Role

# The actor of the service's own work, and of its operators.
SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Context:
    """The caller of an operation: workspace, mode (`livemode`), actor, request id, and a user's role and address.

    `actor` is an id on the wire (`key_…`, `usr_…`) or `system` for the service's own work. A key has no role, but may
    have `scopes`; None is all of them.
    """

    workspace_id: UUID
    livemode: bool
    actor: str = SYSTEM
    request_id: str | None = None
    role: Role | None = None
    ip: str | None = None
    scopes: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Visitor:
    """A caller who is not known yet, such as one who is logging in."""

    ip: str | None = None
    request_id: str | None = None
    sign_up: str = "open"


def lock_number(ctx: Context, *, before: bytes = b"", after: bytes = b"") -> int:
    """The number of an advisory lock of the caller's workspace and mode; what else names it stands before or after."""
    return _number(b"%s%s%d%s" % (before, ctx.workspace_id.bytes, ctx.livemode, after))


def name_lock(kind: bytes, name: bytes) -> int:
    """The number of an advisory lock of a name that all workspaces share."""
    return _number(b"%s:%s" % (kind, name))


def _number(name: bytes) -> int:
    return int.from_bytes(hashlib.sha256(name).digest()[:8], signed=True)
