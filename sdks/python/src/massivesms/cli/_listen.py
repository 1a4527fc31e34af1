"""Follows events: each once, in order, with those that came meanwhile, woken by the live stream."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from massivesms.cli import _state
from massivesms.client import MassiveSMS
from massivesms.webhooks import SIGNATURE_HEADER, generate_test_header

POLL_SECONDS = 5.0
# Events appear nearly in the order of their ids: what is younger is read again.
SETTLED = timedelta(seconds=30)
SUBSCRIPTION = "subscription Tail { eventTail { id } }"


def kept_secret() -> str:
    """Return the secret that this machine signs with: the same in each run, so that an endpoint is set up once."""
    secret = _state.read("secret").get("secret")
    if not isinstance(secret, str) or not secret:
        secret = f"whsec_{secrets.token_hex(16)}"
        _state.write("secret", {"secret": secret})
    return secret


class Follower:
    """Gives events that came after `cursor` (the newest of now where it is None), but those of `seen`."""

    def __init__(self, client: MassiveSMS, cursor: str | None, seen: Iterable[str] = ()) -> None:
        self._client = client
        self._seen: dict[str, None] = dict.fromkeys(seen)
        if cursor is None:
            newest = client.events.list(limit=1).data
            cursor = newest[0].id if newest else None
            self._seen.update({event.id: None for event in newest})
        self.cursor = cursor

    def read(self) -> Iterator[Any]:
        """Give what is new, oldest first."""
        if self.cursor is None:
            page = list(self._client.events.list(limit=100))[::-1]
        else:
            page = list(self._client.events.list(ending_before=self.cursor, limit=100))
        for event in page:
            if event.id in self._seen:
                continue
            yield event
            # What was given is seen: an error in between has it given again.
            self._seen[event.id] = None
        settled = datetime.now(UTC) - SETTLED
        for event in page:
            if datetime.fromisoformat(event.created_at) < settled:
                self.cursor = event.id
        for old in list(self._seen)[:-2000]:
            del self._seen[old]

    def follow(self, waker: threading.Event) -> Iterator[Any]:
        """Give events as they happen, without an end."""
        while True:
            yield from self.read()
            waker.wait(POLL_SECONDS)
            waker.clear()


def wake_by_stream(base_url: str, key: str, waker: threading.Event) -> threading.Thread:
    """Set `waker` at each event of the live stream; where there is no stream, nothing is lost but time."""

    def run() -> None:
        while True:
            try:
                headers = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
                timeout = httpx.Timeout(10.0, read=60.0)
                body = {"query": SUBSCRIPTION}
                with httpx.stream(
                    "POST", f"{base_url}/graphql/stream", json=body, headers=headers, timeout=timeout
                ) as answer:
                    for line in answer.iter_lines():
                        if line.startswith("event: next"):
                            waker.set()
            except httpx.HTTPError:
                pass
            time.sleep(POLL_SECONDS)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def forward(http: httpx.Client, url: str, event: dict[str, Any], secret: str) -> int | str:
    """Post an event as a webhook; return the status, or why there is none."""
    body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/json",
        SIGNATURE_HEADER: generate_test_header(body, secret),
        "MSVS-Event-Id": str(event.get("id", "")),
        "MSVS-Delivery-Attempt": "1",
    }
    try:
        return http.post(url, content=body, headers=headers, timeout=10.0).status_code
    except httpx.HTTPError as error:
        return type(error).__name__
