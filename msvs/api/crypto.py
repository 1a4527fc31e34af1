"""Seal secrets that must stay readable, and make the keyed hashes that stand for phones and consent details."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

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
        """Return the text inside. Raises SecretUnreadable."""
        try:
            return self._keys.decrypt(sealed.encode()).decode()
        except (InvalidToken, UnicodeError):
            raise SecretUnreadable("A sealed text cannot be read with the secrets given.") from None

    def can_open(self, sealed: str) -> bool:
        """Return whether a sealed text can be read with the secrets given."""
        try:
            self.open(sealed)
        except SecretUnreadable:
            return False
        return True

    def __repr__(self) -> str:
        return "SecretBox()"


def derive_key(secret: str, purpose: bytes) -> bytes:
    """32 bytes that HKDF-SHA256 derives from the secret for one purpose. Raises ValueError where it is empty."""
    if not secret:
        raise ValueError(f"The secret of the {purpose.decode()} must not be empty.")
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret.encode())


def _key(secret: str, purpose: bytes) -> Fernet:
    return Fernet(urlsafe_b64encode(derive_key(secret, purpose)))


def derive_consent_key(secret: str) -> bytes:
    """Return the key of the hashes: HKDF-SHA256 of the secret, under a label of its own."""
    return derive_key(secret, CONSENT_PURPOSE)


@dataclass(frozen=True, slots=True)
class HeldKey:
    """The secret key that opened the database and the data key found there, by their fingerprints."""

    fingerprint: str
    data_fingerprint: str


class Keyring:
    """Seals secrets and makes keyed hashes with the data key, after a process has unlocked it."""

    def __init__(self, data_secret: str | None = None) -> None:
        self._box: SecretBox | None = None
        self._consent_key: bytes | None = None
        self.held: HeldKey | None = None
        self.has_warned = False
        self.hold(data_secret)

    def hold(self, data_secret: str | None, held: HeldKey | None = None) -> None:
        """Use a data key from now on; None takes it away."""
        self.held, self.has_warned = held, False
        self.seal_with(data_secret)
        self.hash_with(data_secret)

    def seal_with(self, secret: str | None) -> None:
        """Seal under a secret, leaving the hashes as they are."""
        self._box = None if secret is None else SecretBox(secret)

    def hash_with(self, secret: str | None) -> None:
        """Hash under a secret, leaving what is sealed as it is."""
        self._consent_key = None if secret is None else derive_consent_key(secret)

    def seal(self, text: str) -> str:
        """Seal a text, as everything is kept that shows a secret."""
        return self._open_box().seal(text)

    def open(self, sealed: str) -> str:
        """Return the text inside a sealed one. Raises SecretUnreadable."""
        return self._open_box().open(sealed)

    def try_open(self, sealed: str) -> str | None:
        """Return the text inside a sealed one; None where there is none that can be read."""
        try:
            return self.open(sealed)
        except SecretUnreadable:
            return None

    def hash_phone(self, workspace_id: UUID, livemode: bool, phone: str) -> str:
        """Hash a phone in one mode of a workspace; elsewhere the same phone has another hash."""
        return hash_phone_with(self._key(), workspace_id, livemode, phone)

    def hash_person(self, source_id: UUID, external_id: str) -> str:
        """Hash the id that a person has at the source of a list."""
        return _keyed(self._key(), "person", str(source_id), external_id)

    def hash_details(self, event_id: UUID, ip: str | None, user_agent: str | None, text: str | None) -> str:
        """Hash what an entry's erasure removes besides the phone."""
        return _keyed(self._key(), "details", str(event_id), ip, user_agent, text)

    def seal_head(self, workspace_id: UUID, livemode: bool, sequence: int, hash: str) -> str:
        """Hash the head of a chain of consent, so that no other can stand in its place."""
        return _keyed(self._key(), "head", str(workspace_id), mode_name(livemode), str(sequence), hash)

    def hash_chain(self, workspace_id: UUID, livemode: bool) -> str:
        """Hash what names a chain of consent."""
        return _keyed(self._key(), "chain", str(workspace_id), mode_name(livemode))

    def seal_register(self, chain_count: int, digest: str) -> str:
        """Hash the list of the chains of consent, so that no other can stand in its place."""
        return _keyed(self._key(), "register", str(chain_count), digest)

    def phone_placeholder(self, subject_id: UUID, phone: str) -> str:
        """Return what stands for an erased phone: at most 16 characters, another for each phone and subject."""
        number = int(_keyed(self._key(), "placeholder", str(subject_id), phone), 16)
        return "erased:" + "".join(_ALPHABET[number >> shift & 31] for shift in range(0, 45, 5))

    def _open_box(self) -> SecretBox:
        if self._box is None:
            raise Unavailable("The service is starting: it cannot read secrets yet.")
        return self._box

    def _key(self) -> bytes:
        if self._consent_key is None:
            raise Unavailable("The service is starting: it cannot read consent yet.")
        return self._consent_key

    def __repr__(self) -> str:
        return "Keyring()"


class _HasKeyring(Protocol):
    @property
    def keyring(self) -> Keyring: ...


class Owner(Protocol):
    """Whose phones are hashed: the workspace and mode of a context, with the services of its process."""

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def services(self) -> _HasKeyring: ...


def phone_hash(ctx: Owner, phone: str) -> str:
    """Hash a phone in the caller's workspace and mode."""
    return ctx.services.keyring.hash_phone(ctx.workspace_id, ctx.livemode, phone)


def hash_phone_with(key: bytes, workspace_id: UUID, livemode: bool, phone: str) -> str:
    """Hash a phone in one mode of a workspace under a key of consent."""
    return _keyed(key, "phone", str(workspace_id), mode_name(livemode), phone)


def _keyed(key: bytes, *parts: str | None) -> str:
    return hmac.new(key, canonical_text(*parts).encode(), hashlib.sha256).hexdigest()


def canonical_text(*parts: str | None) -> str:
    """Return the parts, each with its length in bytes, so that no two lists have the same text; `-` stands for None."""
    return ",".join("-" if part is None else f"{len(part.encode())}:{part}" for part in parts)


def mode_name(livemode: bool) -> str:
    """Name a mode as the chain of consent does."""
    return "live" if livemode else "test"
