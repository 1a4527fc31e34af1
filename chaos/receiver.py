"""The integrator's side: a receiver of webhooks that fails now and then, and logs every delivery to a file."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import time
from pathlib import Path
from typing import Any

from aiohttp import web

LOOPBACK = "127.0.0.1"
FAILS = 0.01
HANGS_UP = 0.005


class Receiver:
    """Takes webhooks on loopback; each endpoint is a path with a secret of its own."""

    def __init__(self, log: Path, *, seed: int) -> None:
        self.log = log.open("a", buffering=1)
        self.random = random.Random(seed)
        self.secrets: dict[str, str] = {}
        self.port = 0
        self.is_calm = False
        self._runner: web.AppRunner | None = None

    async def start(self) -> Receiver:
        """Begin to listen."""
        application = web.Application()
        application.router.add_post("/{endpoint}", self._take)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        """Listen no more."""
        assert self._runner is not None
        await self._runner.cleanup()
        self.log.close()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        endpoint = request.match_info["endpoint"]
        drawn = 1.0 if self.is_calm or request.headers["MSVS-Delivery-Attempt"] != "1" else self.random.random()
        status = 500 if drawn < FAILS else 200
        entry: dict[str, Any] = {
            "at": time.time(),
            "endpoint": endpoint,
            "event": request.headers["MSVS-Event-Id"],
            "attempt": int(request.headers["MSVS-Delivery-Attempt"]),
            "signed": self._is_signed(endpoint, request.headers["MSVS-Signature"], body),
            "body": hashlib.sha256(body).hexdigest(),
            "id": json.loads(body)["id"],
            "type": json.loads(body)["type"],
            "status": status,
        }
        self.log.write(json.dumps(entry) + "\n")
        if FAILS <= drawn < FAILS + HANGS_UP and request.transport is not None:
            # Taken, and the connection gone before the answer.
            request.transport.abort()
        return web.Response(status=status)

    def _is_signed(self, endpoint: str, header: str, body: bytes) -> bool:
        parts = dict(part.split("=", 1) for part in header.split(","))
        secret = self.secrets.get(endpoint, "").encode()
        wanted = hmac.new(secret, f"{parts['t']}.".encode() + body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(wanted, parts["v1"])
