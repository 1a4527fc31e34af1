"""The floor of SMPP: smpplib 2.2.4 on one bind, as each of its users may drive it; the fastest way counts.

It sends while another thread reads, or does both in one; it leaves TCP_NODELAY to its caller, which gathers answers
into fewer packets or makes them wait for the kernel's timers.
"""

from __future__ import annotations

import argparse
import logging
import socket
import threading
import time
from typing import Any

import smpplib.client  # type: ignore[import-untyped]

LOOPBACK = "127.0.0.1"
BODY = b"Cart closes tonight at 8pm ET. Reply STOP to opt out."


class Floor:
    """One bound client and what came over it."""

    def __init__(self, port: int, role: str, window: int, *, no_delay: bool) -> None:
        logging.getLogger("smpplib").setLevel(logging.ERROR)
        self.client = smpplib.client.Client(LOOPBACK, port, timeout=30, allow_unknown_opt_params=True)
        self.accepted: list[Any] = []
        self.receipts: list[tuple[Any, Any]] = []
        self.room = threading.Semaphore(window)
        self.client.set_message_sent_handler(self.sent)
        self.client.set_message_received_handler(self.received)
        self.client.connect()
        self.client._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(no_delay))
        self.client.bind_transceiver(system_id=role, password="secret")

    def sent(self, pdu: Any, **_: Any) -> None:
        """A submit was answered."""
        self.accepted.append(pdu.message_id)
        self.room.release()

    def received(self, pdu: Any, **_: Any) -> None:
        """A receipt came."""
        self.receipts.append((pdu.receipted_message_id, pdu.message_state))

    def send(self) -> None:
        """Submit one message."""
        self.client.send_message(
            source_addr_ton=5,
            source_addr_npi=0,
            source_addr="Cohort",
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr="14155550100",
            short_message=BODY,
            data_coding=0,
            registered_delivery=1,
        )

    def read(self, submits: int, receipts: int) -> None:
        """Read until so much has come."""
        while len(self.accepted) < submits or len(self.receipts) < receipts:
            self.client.read_once()


def measure(port: int, *, role: str, count: int, window: int, threads: int, no_delay: bool) -> float:
    """Seconds until everything was answered and brought."""
    floor = Floor(port, role, window, no_delay=no_delay)
    submits = 0 if role == "receipts" else count
    receipts = 0 if role == "submit" else count
    began = time.perf_counter()
    if threads == 2:
        reader = threading.Thread(target=floor.read, args=(submits, receipts))
        reader.start()
        for _ in range(submits):
            floor.room.acquire()
            floor.send()
        reader.join()
    else:
        for sent in range(submits):
            while sent - len(floor.accepted) >= window:
                floor.client.read_once()
            floor.send()
        floor.read(submits, receipts)
    seconds = time.perf_counter() - began
    floor.client.unbind()
    floor.client.disconnect()
    return seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--role", choices=("submit", "receipts", "both"), required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--window", type=int, required=True)
    parser.add_argument("--threads", type=int, choices=(1, 2), required=True)
    parser.add_argument("--no-delay", action="store_true")
    options = parser.parse_args()
    print(measure(**vars(options)))
