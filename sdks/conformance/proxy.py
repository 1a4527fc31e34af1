"""A proxy before the service that makes faults in the order it is told: cuts, delays, 429, 500, garbage."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

# What comes before the service has seen the request, and what comes after it has done it.
BEFORE = ("cut", "reset", "delay", "429", "500", "503", "502 page", "garbage")
AFTER = ("cut after", "half", "garbage after", "empty after")
FAULTS = (*BEFORE, *AFTER)
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass
class Seen:
    """One request that came: what it was, and what was made of it."""

    method: str
    path: str
    key: str | None
    retry_count: str | None
    user_agent: str
    fault: str | None
    status: int = 0
    replayed: bool = False


@dataclass
class FaultProxy:
    """Forwards to `target`; `plan` has the faults of the next requests, None for those that pass."""

    target: str
    delay_seconds: float = 3.0
    plan: deque[str | None] = field(default_factory=deque)
    seen: list[Seen] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> FaultProxy:
        """Start it on a free port of loopback."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()

    def take(self) -> str | None:
        """Take the fault of the next request."""
        with self.lock:
            return self.plan.popleft() if self.plan else None

    def forget(self) -> list[Seen]:
        """Return what was seen since the last time."""
        with self.lock:
            seen, self.seen = self.seen, []
        return seen


def _handler(proxy: FaultProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (ConnectionError, TimeoutError):
                self.close_connection = True

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if self.headers.get("Transfer-Encoding"):
                raise AssertionError("a body of unknown length")
            body = self.rfile.read(length) if length else None
            fault = proxy.take()
            seen = Seen(
                self.command,
                self.path,
                self.headers.get("Idempotency-Key"),
                self.headers.get("MSVS-Retry-Count"),
                self.headers.get("User-Agent", ""),
                fault,
            )
            with proxy.lock:
                proxy.seen.append(seen)
            if fault in BEFORE and self.answer_before(fault):
                return
            status, headers, answer = self.forward(body)
            seen.status = status
            seen.replayed = any(name.lower() == "idempotent-replayed" for name in headers)
            if fault == "cut after":
                self.cut()
            elif fault == "half":
                self.write(status, headers, answer, written=len(answer) // 2)
                self.cut()
            elif fault == "garbage after":
                self.write(status, {"Content-Type": "text/html"}, b"<html>garbage</html>")
            elif fault == "empty after":
                self.write(status, {"Content-Type": "application/json"}, b"")
            else:
                self.write(status, headers, answer)

        do_GET = do_POST = do_DELETE = handle_any

        def answer_before(self, fault: str) -> bool:
            if fault == "delay":
                time.sleep(proxy.delay_seconds)
                self.cut()
            elif fault == "cut":
                self.cut()
            elif fault == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.cut()
            elif fault == "429":
                error = {"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "Too many."}
                self.write(
                    429, {"Retry-After": "0", "Content-Type": "application/json"}, json.dumps({"error": error}).encode()
                )
            elif fault == "garbage":
                self.write(200, {"Content-Type": "text/html"}, b"\x00\xff<html>garbage</html>")
            else:
                self.write(int(fault[:3]), {"Content-Type": "text/html"}, b"<html>no</html>")
            return True

        def forward(self, body: bytes | None) -> tuple[int, dict[str, str], bytes]:
            parts = urlsplit(proxy.target)
            upstream = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
            try:
                headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
                headers |= {"Accept-Encoding": "identity"}
                if body is not None:
                    headers["Content-Length"] = str(len(body))
                elif self.command != "GET":
                    headers["Content-Length"] = "0"
                upstream.request(self.command, self.path, body, headers)
                answer = upstream.getresponse()
                return answer.status, dict(answer.getheaders()), answer.read()
            finally:
                upstream.close()

        def write(self, status: int, headers: dict[str, str], body: bytes, written: int | None = None) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:written])
            self.wfile.flush()

        def cut(self) -> None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR) if self.connection.fileno() >= 0 else None
            self.connection.close()

    return Handler
