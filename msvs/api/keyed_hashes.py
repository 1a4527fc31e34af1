"""Keyed hashes: what stands for a phone, and for the details of its consent, where neither may be kept."""

from __future__ import annotations

import hashlib
import hmac
from uuid import UUID

from msvs.api.context import Context
from msvs.api.crypto import derive_key
from msvs.api.errors import Unavailable

PURPOSE = b"msvs chain of consent 1"

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

_key: bytes | None = None


def use_consent_secret(secret: str | None) -> None:
    """Set the secret that the key of the hashes is derived from."""
    global _key
    _key = None if secret is None else derive_consent_key(secret)


def derive_consent_key(secret: str) -> bytes:
    """The key of the hashes: HKDF-SHA256 of the secret, under a label of its own."""
    return derive_key(secret, PURPOSE)


def hash_phone(workspace_id: UUID, livemode: bool, phone: str, *, key: bytes | None = None) -> str:
    """The keyed hash that stands for a phone in one mode of a workspace; elsewhere the same phone has another.

    The key is the process's, unless one is given.
    """
    return _keyed("phone", str(workspace_id), mode_name(livemode), phone, key=key)


def phone_hash(ctx: Context, phone: str) -> str:
    """`hash_phone` in the caller's workspace and mode."""
    return hash_phone(ctx.workspace_id, ctx.livemode, phone)


def hash_details(event_id: UUID, ip: str | None, user_agent: str | None, text: str | None) -> str:
    """The keyed hash that stands for what an entry's erasure removes besides the phone."""
    return _keyed("details", str(event_id), ip, user_agent, text)


def phone_placeholder(subject_id: UUID, phone: str) -> str:
    """What stands for an erased phone, at most 16 characters: no number, and another for each phone and subject."""
    number = int(_keyed("placeholder", str(subject_id), phone), 16)
    return "erased:" + "".join(_ALPHABET[number >> shift & 31] for shift in range(0, 45, 5))


def _keyed(*parts: str | None, key: bytes | None = None) -> str:
    key = key or _key
    if key is None:
        raise Unavailable("The service is starting: it cannot read consent yet.")
    return hmac.new(key, canonical_text(*parts).encode(), hashlib.sha256).hexdigest()


def canonical_text(*parts: str | None) -> str:
    """The parts, each with its length in bytes, so that no two lists have the same text; `-` stands for None."""
    return ",".join("-" if part is None else f"{len(part.encode())}:{part}" for part in parts)


def mode_name(livemode: bool) -> str:
    """Name a mode as the chain of consent does."""
    return "live" if livemode else "test"
