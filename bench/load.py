"""A small HTTP load generator: keep-alive connections that send one prepared request after another."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Sequence
from typing import cast


class Client(asyncio.Protocol):
    """One connection: sends the next request as soon as the last answer is complete."""

    def __init__(self, make: Callable[[], bytes | None], done: Callable[[int, float], None]) -> None:
        self.make, self.done = make, done
        self.buffer = b""
        self.started = 0.0
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.send()

    def send(self) -> None:
        request = self.make()
        if request is None:
            self.transport.close()
            return
        self.started = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, separator, rest = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        self.done(int(head[9:12]), time.perf_counter() - self.started)
        self.send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.finished.done():
            self.finished.set_result(None)


async def run(
    ports: Sequence[int], head: str, bodies: Callable[[int], bytes], *, requests: int, connections: int
) -> dict[str, float]:
    """Send `requests` requests over `connections` connections to the ports in turn.

    Return the rate, latencies in ms, answers that were not 2xx, and the loader's own processor time a request in µs.
    """
    sent = 0
    latencies: list[float] = []
    refused = 0

    def make() -> bytes | None:
        nonlocal sent
        if sent >= requests:
            return None
        sent += 1
        body = bodies(sent)
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def done(status: int, seconds: float) -> None:
        nonlocal refused
        latencies.append(seconds)
        refused += not 200 <= status < 300

    loop = asyncio.get_running_loop()
    started, cpu = time.perf_counter(), time.process_time()
    clients = [
        (await loop.create_connection(lambda: Client(make, done), "127.0.0.1", ports[each % len(ports)]))[1]
        for each in range(connections)
    ]
    await asyncio.gather(*(client.finished for client in clients))
    elapsed = time.perf_counter() - started
    latencies.sort()
    return {
        "rate": len(latencies) / elapsed,
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p95_ms": latencies[int(len(latencies) * 0.95)] * 1000,
        "refused": refused,
        "cpu_us": (time.process_time() - cpu) / len(latencies) * 1e6,
    }


def main() -> None:
    """Load POST /v1/messages (or the floor's route) and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ports", help="of the processes to load, comma-separated")
    parser.add_argument("path")
    parser.add_argument("--key", default="none")
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--batch", type=int, default=0, help="send so many messages in each request, as one batch")
    options = parser.parse_args()
    ports = [int(port) for port in options.ports.split(",")]
    head = (
        f"POST {options.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {options.key}\r\n"
        "Content-Type: application/json\r\n"
    )

    def message(number: int) -> dict[str, str]:
        # Every message its own recipient among 20,000, as a launch has.
        return {
            "to": f"+1212{2000000 + number % 20000:07d}",
            "body": "Cart closes tonight at 8pm ET. Reply STOP to opt out.",
        }

    def body(number: int) -> bytes:
        if not options.batch:
            return json.dumps(message(number)).encode()
        first = number * options.batch
        return json.dumps({"messages": [message(each) for each in range(first, first + options.batch)]}).encode()

    print(json.dumps(asyncio.run(run(ports, head, body, requests=options.requests, connections=options.connections))))


if __name__ == "__main__":
    main()
