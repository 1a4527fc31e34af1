"""Raw bytes to a server and whole answers back, so that none is missed and none is counted twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any, NamedTuple

LOOPBACK = "127.0.0.1"
PATIENCE = 10.0
# Enough for what was written to arrive by itself; where it does not, the packets are joined and the test still holds.
PAUSE = 0.002


class Answer(NamedTuple):
    """One whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of the error in it."""
        return str(json.loads(self.body)["error"]["code"])

    def json(self) -> Any:
        return json.loads(self.body)


class Seen(list[dict[str, Any]]):
    """What the application was asked, in order; `release` lets a request for /slow be answered."""

    release: asyncio.Event


def bodies(seen: Seen) -> list[tuple[str, str]]:
    """The path and body of each request that the application saw."""
    return [(each["path"], each["body"]) for each in seen]


async def exchange(port: int, *packets: bytes, pause: float = PAUSE) -> list[Answer]:
    """Every answer to these bytes, until the server closes the connection."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        for packet in packets:
            writer.write(packet)
            await writer.drain()
            await asyncio.sleep(pause)
        return read_answers(await asyncio.wait_for(reader.read(), PATIENCE))
    except ConnectionResetError:
        # Closed by the server while we were still writing.
        return read_answers(await asyncio.wait_for(reader.read(), PATIENCE))
    finally:
        writer.close()


def read_answers(data: bytes) -> list[Answer]:
    """The answers in these bytes; fails where something is left over."""
    answers = []
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        assert end, head
        line, *lines = head.decode("latin-1").split("\r\n")
        version, status, _ = line.split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
        assert len(headers) == len(lines), lines
        size = 0 if status in ("100", "101", "204", "304") else int(headers["content-length"])
        assert len(data) >= size
        answers.append(Answer(int(status), headers, data[:size]))
        data = data[size:]
    return answers


def request(
    method: str, path: str, headers: Iterable[tuple[str, str]] = (), body: bytes | None = None, *, chunked: bool = False
) -> bytes:
    """A request as bytes, its body by Content-Length or in two chunks."""
    lines = [f"{method} {path} HTTP/1.1", "Host: api.cohortlabs.co", *(f"{name}: {value}" for name, value in headers)]
    if body is not None:
        lines.append("Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}")
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    if body is None or not chunked:
        return head + (body or b"")
    half = len(body) // 2
    parts = [part for part in (body[:half], body[half:]) if part]
    return head + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
