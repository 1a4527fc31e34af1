"""The permissions of each role and key scope, as tables; and signed addresses, each of which permits one thing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import quote
from uuid import UUID

import msgspec

from msvs.api.context import SYSTEM, Context, Services
from msvs.api.errors import ErrorCode, InvalidRequest, NotFound, PermissionDenied
from msvs.models import Role


class Permission(StrEnum):
    """Something that a caller may or may not do in a workspace."""

    MESSAGES_READ = "messages:read"
    MESSAGES_SEND = "messages:send"
    INBOX_WRITE = "inbox:write"
    CAMPAIGNS_READ = "campaigns:read"
    CAMPAIGNS_WRITE = "campaigns:write"
    CONVERSIONS_READ = "conversions:read"
    CONVERSIONS_WRITE = "conversions:write"
    CAMPAIGNS_APPROVE = "campaigns:approve"
    CONTACTS_READ = "contacts:read"
    CONTACTS_WRITE = "contacts:write"
    CONTACTS_ERASE = "contacts:erase"
    EXPORTS_READ = "exports:read"
    EXPORTS_WRITE = "exports:write"
    EVENTS_READ = "events:read"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    WORKSPACE_READ = "workspace:read"
    WORKSPACE_WRITE = "workspace:write"
    CREDITS_READ = "credits:read"
    CREDITS_BUY = "credits:buy"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    OWNERS_WRITE = "owners:write"
    AUDIT_READ = "audit:read"


_EVERYONE = frozenset(Role)
_WRITERS = frozenset((Role.OWNER, Role.ADMIN, Role.MEMBER))
_ADMINS = frozenset((Role.OWNER, Role.ADMIN))
_OWNERS = frozenset((Role.OWNER,))

ROLES: Mapping[Permission, frozenset[Role]] = {
    Permission.MESSAGES_READ: _EVERYONE,
    Permission.MESSAGES_SEND: _WRITERS,
    Permission.INBOX_WRITE: _WRITERS,
    Permission.CAMPAIGNS_READ: _EVERYONE,
    Permission.CAMPAIGNS_WRITE: _WRITERS,
    Permission.CONVERSIONS_READ: _EVERYONE,
    Permission.CONVERSIONS_WRITE: _WRITERS,
    Permission.CAMPAIGNS_APPROVE: _ADMINS,
    Permission.CONTACTS_READ: _EVERYONE,
    Permission.CONTACTS_WRITE: _WRITERS,
    Permission.CONTACTS_ERASE: _ADMINS,
    Permission.EXPORTS_READ: _EVERYONE,
    Permission.EXPORTS_WRITE: _WRITERS,
    Permission.EVENTS_READ: _EVERYONE,
    Permission.WEBHOOKS_READ: _EVERYONE,
    Permission.WEBHOOKS_WRITE: _ADMINS,
    Permission.WORKSPACE_READ: _EVERYONE,
    Permission.WORKSPACE_WRITE: _ADMINS,
    Permission.CREDITS_READ: _EVERYONE,
    Permission.CREDITS_BUY: _ADMINS,
    Permission.KEYS_READ: _ADMINS,
    Permission.KEYS_WRITE: _ADMINS,
    Permission.MEMBERS_READ: _EVERYONE,
    Permission.MEMBERS_WRITE: _ADMINS,
    Permission.OWNERS_WRITE: _OWNERS,
    Permission.AUDIT_READ: _ADMINS,
}

# A leaked key must not be able to outlive its revocation through keys or members of its own making, nor to confirm
# what it launched.
NOT_FOR_KEYS = frozenset(
    (
        Permission.CAMPAIGNS_APPROVE,
        Permission.KEYS_WRITE,
        Permission.MEMBERS_READ,
        Permission.MEMBERS_WRITE,
        Permission.OWNERS_WRITE,
        Permission.AUDIT_READ,
    )
)


class Scope(StrEnum):
    """The scopes of keys. A key without scopes may do everything."""

    MESSAGES_READ = "messages:read"
    MESSAGES_SEND = "messages:send"
    INBOX_WRITE = "inbox:write"
    CAMPAIGNS_READ = "campaigns:read"
    CAMPAIGNS_WRITE = "campaigns:write"
    CONVERSIONS_READ = "conversions:read"
    CONVERSIONS_WRITE = "conversions:write"
    CONTACTS_READ = "contacts:read"
    CONTACTS_WRITE = "contacts:write"
    CONTACTS_ERASE = "contacts:erase"
    EXPORTS_READ = "exports:read"
    EXPORTS_WRITE = "exports:write"
    EVENTS_READ = "events:read"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    SETTINGS_READ = "settings:read"
    SETTINGS_WRITE = "settings:write"
    CREDITS_READ = "credits:read"
    CREDITS_BUY = "credits:buy"
    KEYS_READ = "keys:read"


# The scope without which a key lacks a permission; a key never has those that are missing here.
SCOPES: Mapping[Permission, Scope] = {
    Permission.MESSAGES_READ: Scope.MESSAGES_READ,
    Permission.MESSAGES_SEND: Scope.MESSAGES_SEND,
    Permission.INBOX_WRITE: Scope.INBOX_WRITE,
    Permission.CAMPAIGNS_READ: Scope.CAMPAIGNS_READ,
    Permission.CAMPAIGNS_WRITE: Scope.CAMPAIGNS_WRITE,
    Permission.CONVERSIONS_READ: Scope.CONVERSIONS_READ,
    Permission.CONVERSIONS_WRITE: Scope.CONVERSIONS_WRITE,
    Permission.CONTACTS_READ: Scope.CONTACTS_READ,
    Permission.CONTACTS_WRITE: Scope.CONTACTS_WRITE,
    Permission.CONTACTS_ERASE: Scope.CONTACTS_ERASE,
    Permission.EXPORTS_READ: Scope.EXPORTS_READ,
    Permission.EXPORTS_WRITE: Scope.EXPORTS_WRITE,
    Permission.EVENTS_READ: Scope.EVENTS_READ,
    Permission.WEBHOOKS_READ: Scope.WEBHOOKS_READ,
    Permission.WEBHOOKS_WRITE: Scope.WEBHOOKS_WRITE,
    Permission.WORKSPACE_READ: Scope.SETTINGS_READ,
    Permission.WORKSPACE_WRITE: Scope.SETTINGS_WRITE,
    Permission.CREDITS_READ: Scope.CREDITS_READ,
    Permission.CREDITS_BUY: Scope.CREDITS_BUY,
    Permission.KEYS_READ: Scope.KEYS_READ,
}


def read_scopes(names: Iterable[str], *, param: str = "scopes") -> list[str]:
    """Scopes by their names, each once, sorted. Raises InvalidRequest."""
    found = set()
    for name in names:
        if name not in {scope.value for scope in Scope}:
            raise InvalidRequest(f"No such scope: '{name[:30]}'. There are {', '.join(sorted(Scope))}.", param=param)
        found.add(name)
    return sorted(found)


def shown_scopes(scopes: Iterable[str] | None) -> list[str]:
    """Return the scopes of a key by name; None stands for all there are."""
    return sorted(Scope if scopes is None else scopes)


def may(role: Role | None, permission: Permission) -> bool:
    """Return whether a role has a permission; no role is an API key, which may do what an admin may on resources."""
    if role is None:
        return permission not in NOT_FOR_KEYS
    return role in ROLES[permission]


def allow(ctx: Context, permission: Permission) -> None:
    """Refuse a caller who lacks a permission; the service itself has all.

    Raises PermissionDenied with `permission`, and `scope_missing` with `scope` for a key whose scopes do not hold it.
    """
    if ctx.role is None and ctx.actor == SYSTEM:
        return
    require(ctx.role, permission)
    require_scope(ctx, permission)


def is_allowed(ctx: Context, permission: Permission) -> bool:
    """Return whether a caller has a permission."""
    try:
        allow(ctx, permission)
    except PermissionDenied:
        return False
    return True


def require_confirmed(ctx: Context) -> None:
    """Refuse a user whose address is not confirmed. Raises PermissionDenied code `email_unconfirmed`."""
    if not ctx.is_confirmed:
        raise PermissionDenied(
            "Confirm your e-mail address first: until then you work in the sandbox, and invite nobody.",
            code=ErrorCode.EMAIL_UNCONFIRMED,
        )


def is_read(permission: Permission) -> bool:
    """Return whether a permission changes nothing."""
    return permission.value.endswith(":read")


def require_scope(ctx: Context, permission: Permission) -> None:
    """Refuse a key whose scopes do not hold a permission. Raises PermissionDenied code `scope_missing`."""
    scope = SCOPES.get(permission)
    if scope is not None and ctx.scopes is not None and scope not in ctx.scopes:
        raise PermissionDenied(
            f"This API key lacks the scope {scope}: use a key that has it.",
            code=ErrorCode.SCOPE_MISSING,
            scope=scope.value,
        )


def require(role: Role | None, permission: Permission) -> None:
    """Refuse a role that lacks a permission. Raises PermissionDenied with `permission`."""
    if not may(role, permission):
        who = "An API key" if role is None else f"The role {role}"
        raise PermissionDenied(f"{who} may not do this ({permission}).", permission=permission.value)


# Addresses that stand for one thing that their holder may do, until they expire: no key and no cookie comes along.

FILES = "/files"
LIFETIME = timedelta(hours=1)
# What can be done: a permission, which is all that the address holds.
PUT_IMPORT, GET_EXPORT = "put_import", "get_export"
MAX_TOKEN = 1000


class _Claims(msgspec.Struct, frozen=True, array_like=True):
    kind: str
    id: UUID
    workspace_id: UUID
    livemode: bool
    actor: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class SignedAddress:
    """An address, and when it expires."""

    url: str
    expires_at: datetime


def sign_address(ctx: Context, kind: str, id: UUID) -> SignedAddress:
    """Return an address under which the caller, or anyone who holds it, may do one thing for an hour."""
    expires_at = ctx.services.clock().replace(microsecond=0) + LIFETIME
    claims = _Claims(kind, id, ctx.workspace_id, ctx.livemode, ctx.actor, int(expires_at.timestamp()))
    token = ctx.services.keyring.seal(msgspec.json.encode(claims).decode())
    return SignedAddress(f"{ctx.services.base_url}{FILES}/{quote(token.rstrip('='))}", expires_at)


def open_address(services: Services, kind: str, token: str, permissions: Iterable[Permission]) -> tuple[Context, UUID]:
    """Return the caller that an address stands for, and the id of what it is of. Raises NotFound `address_expired`."""
    claims = _read(services, token)
    if claims is None or claims.kind != kind or services.clock().timestamp() > claims.expires_at:
        raise NotFound(
            "This address has expired, or was never given: ask for a new one.", code=ErrorCode.ADDRESS_EXPIRED
        )
    scopes = frozenset(SCOPES[each] for each in permissions)
    ctx = Context(claims.workspace_id, claims.livemode, claims.actor, scopes=scopes, services=services)
    return ctx, claims.id


def _read(services: Services, token: str) -> _Claims | None:
    if len(token) > MAX_TOKEN or not token.isascii():
        return None
    text = services.keyring.try_open(token + "=" * (-len(token) % 4))
    return None if text is None else msgspec.json.decode(text, type=_Claims)
