"""Helpers for tests of your own code: a transport that answers from memory, and signed webhooks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from massivesms.webhooks import SIGNATURE_HEADER, generate_test_header

Handler = Callable[[httpx.Request], Any]


class FakeTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers requests from memory, and keeps them in `requests`.

    answers: what is answered in turn: an object for the body of a 200, a pair of status and body, an exception to be
    raised, or a function of the request that returns one of these.
    """

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        request.read()
        return self._answer(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        await request.aread()
        return self._answer(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if not self._answers:
            raise AssertionError(f"No answer is left for {request.method} {request.url.path}.")
        answer = self._answers.pop(0)
        if callable(answer) and not isinstance(answer, type):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return httpx.Response(status, json=body)


def signed_request(
    event: Mapping[str, Any], secret: str, *, timestamp: int | None = None
) -> tuple[bytes, dict[str, str]]:
    """Return the body and headers of a webhook with this event, to be posted to your own endpoint."""
    body = json.dumps(event, ensure_ascii=False).encode()
    header = generate_test_header(body, secret, timestamp=timestamp)
    return body, {"Content-Type": "application/json", SIGNATURE_HEADER: header}
