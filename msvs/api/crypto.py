"""Encryption of what must be kept readable at rest, such as webhook secrets."""

from __future__ import annotations

from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from msvs.api.errors import Unavailable


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
