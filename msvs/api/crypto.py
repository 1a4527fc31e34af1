"""Seal secrets that must stay readable, and make the keyed hashes that stand for phones and consent details."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from msvs.api.context import Context
from msvs.api.errors import Unavailable

CONSENT_PURPOSE = b"msvs chain of consent 1"

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class SecretUnreadable(Exception):
    """A sealed text was made with another key, or altered since."""


class SecretBox:
    """Seals texts with `secret`; opens those sealed with it or with one of the `previous` secrets.

    Fernet (AES-128-CBC with HMAC-SHA256) under a key that HKDF-SHA256 derives from the secret for one purpose.
    """

    def __init__(self, secret: str, *previous: str, purpose: bytes = b"msvs secret box 1") -> None:
        self._keys = MultiFernet([_key(text, purpose) for text in (secret, *previous)])

    def seal(self, text: str) -> str:
        """`text`, encrypted and authenticated: printable ASCII, different every time."""
        return self._keys.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """The text inside. Raises SecretUnreadable."""
        try:
            return self._keys.decrypt(sealed.encode()).decode()
        except (InvalidToken, UnicodeError):
            raise SecretUnreadable("A sealed text cannot be read with the secrets given.") from None

    def can_open(self, sealed: str) -> bool:
        """Whether a sealed text can be read with the secrets given."""
        try:
            self.open(sealed)
        except SecretUnreadable:
            return False
        return True

    def __repr__(self) -> str:
        return "SecretBox()"


_box: SecretBox | None = None


def use_sealing_secret(secret: str | None) -> None:
    """Set the secret under which this process seals what shows a secret; None takes it away."""
    global _box
    _box = None if secret is None else SecretBox(secret)


def seal_secret(text: str) -> str:
    """The text sealed, as everything is kept that shows a secret."""
    return _process_box().seal(text)


def open_secret(sealed: str) -> str:
    """The text inside a sealed one. Raises SecretUnreadable."""
    return _process_box().open(sealed)


def _process_box() -> SecretBox:
    if _box is None:
        raise Unavailable("The service is starting: it cannot read secrets yet.")
    return _box


def derive_key(secret: str, purpose: bytes) -> bytes:
    """32 bytes that HKDF-SHA256 derives from the secret for one purpose. Raises ValueError where it is empty."""
    if not secret:
        raise ValueError(f"The secret of the {purpose.decode()} must not be empty.")
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret.encode())


def _key(secret: str, purpose: bytes) -> Fernet:
    return Fernet(urlsafe_b64encode(derive_key(secret, purpose)))


_consent_key: bytes | None = None


def use_consent_secret(secret: str | None) -> None:
    """Set the secret that the key of the hashes is derived from."""
    global _consent_key
    _consent_key = None if secret is None else derive_consent_key(secret)


def derive_consent_key(secret: str) -> bytes:
    """The key of the hashes: HKDF-SHA256 of the secret, under a label of its own."""
    return derive_key(secret, CONSENT_PURPOSE)


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
    key = key or _consent_key
    if key is None:
        raise Unavailable("The service is starting: it cannot read consent yet.")
    return hmac.new(key, canonical_text(*parts).encode(), hashlib.sha256).hexdigest()


def canonical_text(*parts: str | None) -> str:
    """The parts, each with its length in bytes, so that no two lists have the same text; `-` stands for None."""
    return ",".join("-" if part is None else f"{len(part.encode())}:{part}" for part in parts)


def mode_name(livemode: bool) -> str:
    """Name a mode as the chain of consent does."""
    return "live" if livemode else "test"
