"""Encryption of what must be kept readable at rest, such as webhook secrets."""

from __future__ import annotations

from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class SecretUnreadable(Exception):
    """A sealed text was made with another key, or altered since."""


class SecretBox:
    """Seals texts with `secret`; opens those sealed with it or with one of the `previous` secrets.

    Fernet (AES-128-CBC with HMAC-SHA256) under a key that HKDF-SHA256 derives from the secret.
    """

    def __init__(self, secret: str, *previous: str) -> None:
        self._keys = MultiFernet([_key(text) for text in (secret, *previous)])

    def seal(self, text: str) -> str:
        """`text`, encrypted and authenticated: printable ASCII, different every time."""
        return self._keys.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """The text inside. Raises SecretUnreadable."""
        try:
            return self._keys.decrypt(sealed.encode()).decode()
        except (InvalidToken, UnicodeError):
            raise SecretUnreadable("A sealed text cannot be read with the secrets given.") from None

    def __repr__(self) -> str:
        return "SecretBox()"


def derive_key(secret: str, purpose: bytes) -> bytes:
    """32 bytes that HKDF-SHA256 derives from the secret for one purpose. Raises ValueError where it is empty."""
    if not secret:
        raise ValueError(f"The secret of the {purpose.decode()} must not be empty.")
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret.encode())


def _key(secret: str) -> Fernet:
    return Fernet(urlsafe_b64encode(derive_key(secret, b"msvs secret box 1")))
