"""A device with a passkey, as browsers answer for one."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import urlsplit

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import bytes_to_base64url

ORIGIN = "https://api.massivesms.com"


class Authenticator:
    """A device that holds one passkey."""

    def __init__(self, origin: str = ORIGIN) -> None:
        self.origin = origin
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = b"a credential of the tests"
        self.count = 0

    def answer(self, options: str, kind: str, *, origin: str | None = None, flags: int = 0x05) -> tuple[bytes, bytes]:
        """What the browser signs over: its data, and the device's."""
        asked = json.loads(options)
        data = {"type": kind, "challenge": asked["challenge"], "origin": origin or self.origin}
        self.count += 1
        party = hashlib.sha256(str(urlsplit(self.origin).hostname).encode()).digest()
        return json.dumps(data).encode(), party + bytes([flags]) + self.count.to_bytes(4, "big")

    def create(self, options: str) -> str:
        """The credential that a registration is answered with."""
        client, device = self.answer(options, "webauthn.create", flags=0x45)
        point = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        device += bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(cose)
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": device})
        return self._credential(clientDataJSON=client, attestationObject=attestation)

    def get(self, options: str, **changes: Any) -> str:
        """The credential that a log-in is answered with."""
        client, device = self.answer(options, "webauthn.get", **changes)
        signature = self.key.sign(device + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._credential(clientDataJSON=client, authenticatorData=device, signature=signature)

    def _credential(self, **response: bytes) -> str:
        id = bytes_to_base64url(self.id)
        encoded = {name: bytes_to_base64url(value) for name, value in response.items()}
        return json.dumps({"id": id, "rawId": id, "type": "public-key", "response": encoded})
