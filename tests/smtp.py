"""A mail server for tests: it keeps what it takes, and refuses what it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP

WELL = "250 OK"


class MailServer:
    """Answers RCPT with `to_recipient`, the body with `to_body`."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.to_recipient = WELL
        self.to_body = WELL
        self.url = ""
        # Waits before it answers a body, where it is told to.
        self.before_answer: Callable[[], Awaitable[object]] | None = None

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if self.to_recipient == WELL:
            envelope.rcpt_tos.append(address)
        return self.to_recipient

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.to_body == WELL:
            self.taken.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        if self.before_answer is not None:
            await self.before_answer()
        return self.to_body


@asynccontextmanager
async def mail_server() -> AsyncIterator[MailServer]:
    """A server on a free port of this machine."""
    server, loop = MailServer(), asyncio.get_running_loop()
    listening = await loop.create_server(lambda: SMTP(server, loop=loop), "127.0.0.1", 0)
    try:
        server.url = f"smtp://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield server
    finally:
        listening.close()
