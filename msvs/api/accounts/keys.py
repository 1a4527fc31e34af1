"""API keys: create, list, roll and revoke; the secret is shown once and stored only as a hash."""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from msvs.api import ids
from msvs.api.accounts.networks import read_networks
from msvs.api.audit import AuditAction, record_audit
from msvs.api.context import SYSTEM, Context
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest
from msvs.api.pages import Page, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow, read_scopes, require_confirmed
from msvs.api.resources import moment, optional_moment
from msvs.api.scope import find, scoped
from msvs.models import ApiKey

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LIVE_PREFIX = "msvs_live_"
TEST_PREFIX = "msvs_test_"
RANDOM_LENGTH = 30
CHECKSUM_LENGTH = 6
SHOWN_RANDOM_LENGTH = 4
MAX_NAME_LENGTH = 100
DEFAULT_ROLL = timedelta(hours=24)
LONGEST_ROLL = timedelta(days=7)

_shape = re.compile(rf"msvs_(live|test)_([0-9A-Za-z]{{{RANDOM_LENGTH}}})([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})")


def make_key(livemode: bool) -> str:
    """Make a fresh key: its prefix, 30 random base62 characters and 6 of their CRC-32."""
    body = "".join(secrets.choice(BASE62) for _ in range(RANDOM_LENGTH))
    return f"{LIVE_PREFIX if livemode else TEST_PREFIX}{body}{_checksum(body)}"


def parse_key(text: str) -> bool | None:
    """Parse the mode a key is for, or None if the text is no key or its checksum is wrong."""
    found = _shape.fullmatch(text)
    if found is None or _checksum(found[2]) != found[3]:
        return None
    return found[1] == "live"


def digest_key(text: str) -> str:
    """Return the hash under which a key is kept."""
    return hashlib.sha256(text.encode()).hexdigest()


async def create_key(
    workspace_id: UUID,
    *,
    livemode: bool,
    name: str = "",
    scopes: Iterable[str] | None = None,
    allowed_ips: Iterable[str] | None = None,
    expires_at: datetime | None = None,
    created_by: str = SYSTEM,
) -> tuple[ApiKey, str]:
    """Make a key of one workspace and mode; the row and the secret text, which is not shown again.

    `scopes` are what it may do, None for all that a key can; `allowed_ips` the networks that it works from, None for
    all. Raises InvalidRequest.
    """
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidRequest(
            f"name may have at most {MAX_NAME_LENGTH} characters.", param="name", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    text = make_key(livemode)
    row = await ApiKey.create(
        workspace_id=workspace_id,
        livemode=livemode,
        name=name,
        digest=digest_key(text),
        prefix=text[: len(LIVE_PREFIX) + SHOWN_RANDOM_LENGTH],
        last4=text[-4:],
        scopes=None if scopes is None else read_scopes(scopes),
        allowed_ips=None if allowed_ips is None else read_networks(allowed_ips),
        expires_at=expires_at,
        created_by=created_by,
    )
    return row, text


async def issue_key(
    ctx: Context,
    *,
    name: str = "",
    scopes: Iterable[str] | None = None,
    allowed_ips: Iterable[str] | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Make a key of the caller's workspace and mode, and log it; the row and the secret text. Raises InvalidRequest."""
    allow(ctx, Permission.KEYS_WRITE)
    if ctx.livemode:
        require_confirmed(ctx)
    if expires_at is not None and expires_at <= ctx.services.clock():
        raise InvalidRequest(
            "expires_at must be in the future.", param="expires_at", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    row, text = await create_key(
        ctx.workspace_id,
        livemode=ctx.livemode,
        name=name,
        scopes=scopes,
        allowed_ips=allowed_ips,
        expires_at=expires_at,
        created_by=ctx.actor,
    )
    await record_audit(
        ctx,
        AuditAction.KEY_CREATED,
        ids.encode_id(ids.API_KEY, row.id),
        {
            "name": [None, name],
            "livemode": [None, row.livemode],
            **({} if row.scopes is None else {"scopes": [None, row.scopes]}),
            **({} if row.allowed_ips is None else {"allowed_ips": [None, row.allowed_ips]}),
            **({} if row.expires_at is None else {"expires_at": [None, moment(row.expires_at)]}),
        },
    )
    return row, text


async def get_key(ctx: Context, id: UUID) -> ApiKey:
    """Return one key. Raises NotFound."""
    allow(ctx, Permission.KEYS_READ)
    return await find(ctx, ApiKey, id, prefix=ids.API_KEY, noun="API key")


async def list_keys(ctx: Context) -> list[ApiKey]:
    """List the keys of the caller's workspace and mode, newest first, revoked ones too."""
    allow(ctx, Permission.KEYS_READ)
    return await scoped(ctx, ApiKey).order_by("-id")


async def find_keys(ctx: Context, page: PageRequest) -> Page[ApiKey]:
    """Find a page of the keys of the caller's workspace and mode, newest first, revoked ones too."""
    allow(ctx, Permission.KEYS_READ)
    return await fetch_page(scoped(ctx, ApiKey), page)


async def roll_key(ctx: Context, id: UUID, *, expires_in: timedelta = DEFAULT_ROLL) -> tuple[ApiKey, str]:
    """Make a key to take the place of another, which goes on working for `expires_in` (at most 7 days).

    Raises NotFound, InvalidRequest and, for a key that no longer works, Conflict.
    """
    allow(ctx, Permission.KEYS_WRITE)
    if ctx.livemode:
        require_confirmed(ctx)
    if not timedelta(0) <= expires_in <= LONGEST_ROLL:
        raise InvalidRequest(
            f"expires_in must be from 0 to {LONGEST_ROLL.days} days.",
            param="expires_in",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )
    now = ctx.services.clock()
    old = await find(ctx, ApiKey, id, prefix=ids.API_KEY, noun="API key", lock=True)
    if old.revoked_at is not None:
        raise Conflict("The API key is revoked already.", code=ErrorCode.API_KEY_REVOKED)
    if old.expires_at is not None and old.expires_at <= now:
        raise Conflict("The API key has expired already.", code=ErrorCode.API_KEY_EXPIRED)
    end, before = now + expires_in, old.expires_at
    old.expires_at = end if before is None else min(end, before)
    await old.save(update_fields=["expires_at"])
    row, text = await create_key(
        ctx.workspace_id,
        livemode=old.livemode,
        name=old.name,
        scopes=old.scopes,
        allowed_ips=old.allowed_ips,
        created_by=ctx.actor,
    )
    await record_audit(
        ctx,
        AuditAction.KEY_ROLLED,
        ids.encode_id(ids.API_KEY, old.id),
        {
            "expires_at": [optional_moment(before), moment(old.expires_at)],
            "replaced_by": [None, ids.encode_id(ids.API_KEY, row.id)],
        },
    )
    return row, text


async def revoke_key(ctx: Context, id: UUID) -> ApiKey:
    """End a key at once; every process refuses it within a second. Revoking it again changes nothing."""
    allow(ctx, Permission.KEYS_WRITE)
    row = await find(ctx, ApiKey, id, prefix=ids.API_KEY, noun="API key", lock=True)
    if row.revoked_at is None:
        row.revoked_at = ctx.services.clock()
        await row.save(update_fields=["revoked_at"])
        await record_audit(
            ctx,
            AuditAction.KEY_REVOKED,
            ids.encode_id(ids.API_KEY, row.id),
            {"revoked_at": [None, moment(row.revoked_at)]},
        )
    return row


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    characters = []
    for _ in range(CHECKSUM_LENGTH):
        number, rest = divmod(number, len(BASE62))
        characters.append(BASE62[rest])
    return "".join(reversed(characters))
