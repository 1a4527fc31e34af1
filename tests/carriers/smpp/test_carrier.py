"""The SMPP carrier against a scripted message centre: outcomes, sessions, and what is brought."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from msvs import database as db
from msvs.api.resources import FAILURES
from msvs.api.text.sms import split
from msvs.carriers.carrier_events import keep_carrier_events
from msvs.carriers.config import CarrierConfig
from msvs.carriers.protocol import (
    Accepted,
    Capability,
    CarrierEvent,
    Inbound,
    Outcome,
    Refused,
    Report,
    Submission,
    Unknown,
)
from msvs.carriers.registry import KINDS
from msvs.carriers.smpp import carrier as carrier_module
from msvs.carriers.smpp import pdu
from msvs.carriers.smpp import session as session_module
from msvs.carriers.smpp.carrier import SmppCarrier
from msvs.carriers.smpp.jobs import Job
from msvs.carriers.smpp.pacing import Pacer
from msvs.carriers.smpp.pdu import Command, Message, Tag
from msvs.carriers.smpp.session import Session
from msvs.carriers.smpp.statuses import CODES, STATUSES
from msvs.settings import SettingsError
from tests.carriers.smpp.fake import Peer, Taken, carrier_of, fake_smsc, opened, submission, submit, until

THROTTLED, QUEUE_FULL, SYSTEM_ERROR, INVALID_DESTINATION = 0x58, 0x14, 0x08, 0x0B
NO_SESSION = Refused("carrier_rejected", retryable=True, retry_after=5.0, is_fault=True)
CLOSED = Refused("carrier_rejected", retryable=True, retry_after=5.0)
LONG = "All of your orders have left the warehouse. " * 8


def inbound(text: bytes = b"YES", **fields: Any) -> Message:
    return Message(source="14155550100", source_ton=1, destination="12345", short_message=text, **fields)


def receipt(ref: str, stat: str = "DELIVRD", **fields: Any) -> Message:
    text = f"id:{ref} sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:{stat} err:000 text:Hi"
    return Message(esm_class=4, short_message=text.encode(), **fields)


async def one_by_one(carrier: SmppCarrier, submissions: list[Submission]) -> list[Outcome]:
    return await asyncio.gather(*(carrier.submit(each) for each in submissions))


def messages(count: int) -> list[Submission]:
    return [submission() for _ in range(count)]


def has_failed(carrier: SmppCarrier) -> bool:
    return carrier._links[0].problem != "not connected yet"


def self_signed(key: Path, certificate: Path, *, name: str) -> None:
    """Write a certificate for this name that vouches for itself."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def reached(things: list[Any], count: int) -> bool:
    return len(things) == count


# Submitting


async def test_a_message_is_accepted() -> None:
    async with fake_smsc() as smsc, opened(smsc, validity_seconds=90061, service_type="CMT") as (carrier, _):
        assert await submit(carrier, "Hi €") == Accepted("1")
        assert (carrier.bound, carrier.wanted, await carrier.check()) == (1, 1, None)
    assert smsc.binds == [pdu.Bind(system_id="cohort", password="secret")]
    assert smsc.submits == [
        Message(
            service_type="CMT",
            source_ton=5,
            source="Cohort",
            destination_ton=1,
            destination_npi=1,
            destination="14155550100",
            validity_period="000001010101000R",
            registered_delivery=1,
            short_message=b"Hi \x1be",
        )
    ]


@pytest.mark.parametrize(
    ("sender", "ton", "npi", "written"),
    [
        ("+14155550199", 1, 1, "14155550199"),
        ("12345", 3, 0, "12345"),
        ("12345678", 3, 0, "12345678"),
        ("14155550199", 1, 1, "14155550199"),
        ("Cohort", 5, 0, "Cohort"),
        ("", 0, 0, ""),
    ],
)
async def test_senders_are_addressed_by_their_kind(sender: str, ton: int, npi: int, written: str) -> None:
    async with fake_smsc() as smsc, opened(smsc) as (carrier, _):
        await submit(carrier, sender=sender)
    (message,) = smsc.submits
    assert (message.source_ton, message.source_npi, message.source) == (ton, npi, written)


async def test_addressing_can_be_changed() -> None:
    options = {"source_alphanumeric": [0, 1], "destination_international": [0, 0], "destination_plus": True}
    async with fake_smsc() as smsc, opened(smsc, **options) as (carrier, _):
        await submit(carrier)
    (message,) = smsc.submits
    assert (message.source_ton, message.source_npi) == (0, 1)
    assert (message.destination_ton, message.destination_npi, message.destination) == (0, 0, "+14155550100")


async def test_a_sender_that_fits_no_field_is_refused_alone() -> None:
    async with fake_smsc() as smsc, opened(smsc) as (carrier, _):
        outcomes = await carrier.submit_many([submission(sender="Σ" * 11), submission()])
    assert outcomes == [Refused("carrier_rejected"), Accepted("1")]
    assert len(smsc.submits) == 1


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({}, 6),
        ({"reference_bits": 16}, 7),
        ({"long_messages": "sar"}, 0),
    ],
)
async def test_long_messages_go_in_parts(options: dict[str, Any], header: int) -> None:
    async with fake_smsc() as smsc, opened(smsc, **options) as (carrier, _):
        assert await submit(carrier, LONG) == Accepted("1", ("1", "2", "3"))
    assert "".join(message.short_message[header:].decode() for message in smsc.submits) == LONG
    if header == 6:
        assert [message.short_message[6:].decode() for message in smsc.submits] == split(LONG)
    if header:
        heads = [message.short_message[:header] for message in smsc.submits]
        assert [head[:-1] for head in heads] == [heads[0][:-1]] * 3
        assert [head[-2:] for head in heads] == [b"\3\1", b"\3\2", b"\3\3"]
        assert {message.esm_class for message in smsc.submits} == {0x40}
    else:
        tlvs = [dict(message.tlvs) for message in smsc.submits]
        assert len({each[Tag.SAR_MSG_REF_NUM] for each in tlvs}) == 1
        assert [each[Tag.SAR_TOTAL_SEGMENTS] for each in tlvs] == [b"\3"] * 3
        assert [each[Tag.SAR_SEGMENT_SEQNUM] for each in tlvs] == [b"\1", b"\2", b"\3"]
        assert {message.esm_class for message in smsc.submits} == {0}


async def test_long_messages_go_as_payload() -> None:
    async with fake_smsc() as smsc, opened(smsc, long_messages="payload") as (carrier, _):
        assert await carrier.submit_many([submission(LONG), submission("Olá ✓")]) == [Accepted("1"), Accepted("2")]
    long, short = smsc.submits
    assert (long.short_message, long.tlv(Tag.MESSAGE_PAYLOAD)) == (b"", LONG.encode())
    assert (short.data_coding, short.short_message, short.tlvs) == (8, "Olá ✓".encode("utf-16-be"), ())


async def test_two_long_messages_have_two_references() -> None:
    async with fake_smsc() as smsc, opened(smsc) as (carrier, _):
        await carrier.submit_many([submission(LONG), submission(LONG)])
    assert len({message.short_message[3] for message in smsc.submits}) == 2


REFUSALS: list[tuple[int, Refused]] = [
    (THROTTLED, Refused("carrier_rejected", retryable=True)),
    (QUEUE_FULL, Refused("carrier_rejected", retryable=True)),
    (SYSTEM_ERROR, NO_SESSION),
    (INVALID_DESTINATION, Refused("invalid_number")),
    (0x0A, Refused("sender_rejected")),
    (0x48, Refused("sender_rejected")),
    (0x49, Refused("sender_rejected")),
    (0x45, Refused("carrier_rejected")),
    (0xFE, Refused("unreachable")),
    (0x0400, Refused("carrier_rejected")),
    (0x0401, Refused("carrier_filtered")),
]


@pytest.mark.parametrize(("status", "outcome"), REFUSALS)
async def test_an_error_is_a_refusal(status: int, outcome: Refused) -> None:
    async with fake_smsc() as smsc, opened(smsc, statuses={"0x0401": "carrier_filtered"}) as (carrier, taken):
        smsc.on_submit = lambda peer, sequence, message: peer.refuse(sequence, status)
        assert await submit(carrier) == outcome
        assert len(smsc.submits) == 1
    assert taken.carrier_events == []


def test_every_code_is_of_the_catalogue() -> None:
    assert set(FAILURES) >= CODES | {status.code for status in STATUSES.values()}


async def test_a_generic_nack_is_a_refusal() -> None:
    async with fake_smsc() as smsc, opened(smsc) as (carrier, _):
        smsc.on_submit = lambda peer, sequence, message: peer.send(Command.GENERIC_NACK, 2, sequence)
        assert await submit(carrier) == Refused("carrier_rejected")


async def test_an_answer_without_an_id_is_an_acceptance() -> None:
    async with fake_smsc() as smsc, opened(smsc) as (carrier, _):
        smsc.on_submit = lambda peer, sequence, message: peer.send(Command.SUBMIT_SM_RESP, 0, sequence)
        assert await submit(carrier) == Accepted(None)


async def test_the_window_is_kept() -> None:
    async with fake_smsc() as smsc, opened(smsc, window=3, binds=2) as (carrier, _):
        waiting: list[tuple[Peer, int]] = []
        smsc.on_submit = lambda peer, sequence, message: waiting.append((peer, sequence))
        run = asyncio.create_task(carrier.submit_many(messages(10)))
        await until(lambda: len(waiting) == 6)
        await asyncio.sleep(0.01)
        assert len(waiting) == 6
        assert [sum(peer is each for peer, _ in waiting) for each in smsc.peers] == [3, 3]
        first, sequence = waiting[0]
        first.accept(sequence, "x")
        await until(lambda: len(waiting) == 7)
        assert waiting[6][0] is first
        smsc.on_submit = smsc.accept_submit
        for peer, sequence in waiting[1:]:
            peer.accept(sequence, "x")
        assert all(isinstance(outcome, Accepted) for outcome in await run)
    assert len(smsc.submits) == 10


async def test_many_callers_share_the_window() -> None:
    async with fake_smsc() as smsc, opened(smsc, window=4, binds=3) as (carrier, _):
        assert carrier.capacity == 12
        outcomes = await one_by_one(carrier, messages(30))
    assert {outcome.ref for outcome in outcomes if isinstance(outcome, Accepted)} == {str(n) for n in range(1, 31)}


async def test_outcomes_are_in_the_order_of_the_submissions() -> None:
    async with fake_smsc() as smsc, opened(smsc, window=50) as (carrier, _):
        held: list[tuple[Peer, int, Message]] = []
        smsc.on_submit = lambda *each: held.append(each)
        run = asyncio.create_task(carrier.submit_many([submission(f"{n}") for n in range(20)]))
        await until(lambda: len(held) == 20)
        for peer, sequence, message in reversed(held):
            peer.accept(sequence, message.short_message.decode())
        assert await run == [Accepted(str(n)) for n in range(20)]


async def test_a_message_without_a_turn_is_returned_unsent() -> None:
    async with fake_smsc() as smsc, opened(smsc, window=1, queue_seconds=0.02) as (carrier, _):
        held: list[int] = []
        smsc.on_submit = lambda peer, sequence, message: held.append(sequence)
        run = asyncio.create_task(carrier.submit_many([submission(), submission()]))
        await asyncio.sleep(0.05)
        smsc.peer.accept(held[0], "1")
        assert await run == [Accepted("1"), Refused("carrier_rejected", retryable=True)]
    assert len(smsc.submits) == 1


async def test_a_paced_carrier_sends_everything() -> None:
    async with fake_smsc() as smsc, opened(smsc, rate=1000, window=100) as (carrier, _):
        assert carrier.rate == 1000
        assert len(await carrier.submit_many(messages(21))) == 21
    assert len(smsc.submits) == 21


async def test_a_paced_carrier_keeps_its_sessions() -> None:
    with structlog.testing.capture_logs() as lines:
        async with fake_smsc() as smsc, opened(smsc, rate=1500, window=20, binds=2) as (carrier, taken):
            outcomes = await carrier.submit_many(messages(600))
            assert await smsc.peers[0].deliver(receipt("1")) == 0
            assert len(taken.carrier_events) == 1
    assert [type(outcome) for outcome in outcomes] == [Accepted] * 600
    assert (len(smsc.binds), len(smsc.submits)) == (2, 600)
    assert {line["event"] for line in lines} == {"smpp_bound"}


async def test_a_time_that_has_passed_wakes_once_and_may_be_set_again() -> None:
    async with fake_smsc() as smsc, opened(smsc, rate=1) as (carrier, _):
        await submit(carrier)
        waiting = asyncio.create_task(submit(carrier))
        await until(lambda: carrier._queue)
        # By uvloop's clock it is now or before, for which it gives no timer.
        past = asyncio.get_running_loop().time() - 1
        carrier._wake_at(past, past)
        carrier._wake_at(past - 1, past - 1)
        assert await waiting == Accepted("2")
    assert len(smsc.binds) == 1


def test_a_paced_carrier_keeps_its_sessions_on_asyncios_own_loop() -> None:
    """What it uses of a loop, every loop has."""
    asyncio.run(test_a_paced_carrier_keeps_its_sessions())
    asyncio.run(test_a_time_that_has_passed_wakes_once_and_may_be_set_again())


def test_turns_are_evenly_spread_and_a_pause_saves_none() -> None:
    pacer = Pacer(8)
    assert [pacer.turn(100.0), pacer.turn(100.0), pacer.turn(100.0625)] == [None, 100.125, 100.125]
    # A timer that is a little late costs no pace.
    assert [pacer.turn(100.15), pacer.turn(100.15)] == [None, 100.25]
    assert [pacer.turn(200.0), pacer.turn(200.0)] == [None, 200.125]


async def test_throttled_traffic_pauses() -> None:
    async with fake_smsc() as smsc, opened(smsc, window=2, throttle_seconds=0.03) as (carrier, _):
        smsc.on_submit = lambda peer, sequence, message: peer.refuse(sequence, THROTTLED)
        run = asyncio.create_task(carrier.submit_many(messages(4)))
        await until(lambda: len(smsc.submits) == 2)
        smsc.on_submit = smsc.accept_submit
        throttled = Refused("carrier_rejected", retryable=True)
        assert await run == [throttled, throttled, Accepted("3"), Accepted("4")]


# What becomes of a message when the session breaks


async def test_without_a_session_nothing_is_written() -> None:
    async with fake_smsc() as smsc:
        smsc.on_bind = lambda peer, command, sequence: peer.send(command | pdu.RESPONSE, 0x0E, sequence)
        carrier = carrier_of(smsc.port)
        assert await carrier.check() == "no session was opened"
        await carrier.open(lambda carrier_events: asyncio.sleep(0))
        assert await submit(carrier) == NO_SESSION
        await until(lambda: len(smsc.binds) >= 3)
        assert await carrier.check() == "no session is bound: the message centre refused to bind: ESME_RINVPASWD"
        assert (carrier.bound, carrier.wanted) == (0, 1)
        await carrier.close()
    assert smsc.submits == []


async def test_a_port_that_nobody_listens_on_is_tried_again() -> None:
    async with fake_smsc() as smsc:
        port = smsc.port
    carrier = carrier_of(port)
    await carrier.open(lambda carrier_events: asyncio.sleep(0))
    await until(partial(has_failed, carrier))
    assert (await carrier.check() or "").startswith("no session is bound: cannot connect: ")
    await carrier.close()


async def test_a_host_that_is_no_name_is_tried_again() -> None:
    carrier = carrier_of(2775, host="smsc..cohortlabs.co")
    await carrier.open(lambda carrier_events: asyncio.sleep(0))
    await until(partial(has_failed, carrier))
    assert await carrier.check() == "no session is bound: cannot connect: UnicodeError"
    assert not carrier._links[0]._task.done()
    await carrier.close()


def drop(peer: Peer, *_: Any) -> None:
    peer.drop()


def drop_in_mid_pdu(peer: Peer, sequence: int, *_: Any) -> None:
    peer.transport.write(pdu.encode(Command.SUBMIT_SM_RESP, 0, sequence, b"123\0")[:18])
    peer.transport.close()


def unbind(peer: Peer, *_: Any) -> None:
    peer.ask(Command.UNBIND)
    peer.transport.close()


def write_garbage(peer: Peer, *_: Any) -> None:
    peer.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def write_a_long_length(peer: Peer, *_: Any) -> None:
    peer.transport.write((64 * 1024 + 1).to_bytes(4) + bytes(12))


BREAKS = [drop, drop_in_mid_pdu, unbind, write_garbage, write_a_long_length]


@pytest.mark.parametrize("break_off", BREAKS)
async def test_an_unanswered_submit_is_unknown(break_off: Callable[..., None]) -> None:
    async with fake_smsc() as smsc, opened(smsc) as (carrier, taken):
        smsc.on_submit = break_off
        assert await carrier.submit_many([submission(), submission()]) == [Unknown("disconnected")] * 2
        smsc.on_submit = smsc.accept_submit
        await until(lambda: carrier.bound == 1)
        written = len(smsc.submits)
        assert isinstance(await submit(carrier), Accepted)
        # Nothing was written again.
        assert len(smsc.submits) == written + 1
    assert taken.carrier_events == []


async def test_messages_behind_a_full_window_are_refused_when_the_session_breaks() -> None:
    async with fake_smsc() as smsc, opened(smsc, window=2) as (carrier, _):
        smsc.on_submit = lambda peer, sequence, message: peer.drop() if len(smsc.submits) == 2 else None
        outcomes = await carrier.submit_many(messages(5))
    assert outcomes == [Unknown("disconnected")] * 2 + [NO_SESSION] * 3
    assert len(smsc.submits) == 2


@pytest.mark.parametrize("when", ["connect", "bind"])
async def test_a_connection_that_breaks_before_its_bind_is_opened_again(when: str) -> None:
    async with fake_smsc() as smsc:
        times = 0

        def break_twice(peer: Peer, *rest: int) -> None:
            nonlocal times
            times += 1
            if times <= 2:
                peer.drop()
            elif when == "bind":
                smsc.accept_bind(peer, *rest)

        if when == "connect":
            smsc.on_connect = break_twice
        else:
            smsc.on_bind = break_twice
        async with opened(smsc) as (carrier, _):
            assert times == 3
            assert await submit(carrier) == Accepted("1")


async def test_an_answer_to_another_request_is_no_bind() -> None:
    async with fake_smsc() as smsc:
        smsc.on_bind = lambda peer, command, sequence: peer.send(Command.UNBIND_RESP, 0, sequence)
        carrier = carrier_of(smsc.port, reconnect_seconds=0.01)
        await carrier.open(lambda carrier_events: asyncio.sleep(0))
        await until(lambda: len(smsc.binds) > 1)
        assert await carrier.check() == (
            "no session is bound: the message centre refused to bind: the answer was to another request"
        )
        smsc.on_bind = smsc.accept_bind
        await until(lambda: carrier.bound == 1)
        await carrier.close()


async def test_a_message_centre_that_does_not_answer_a_bind_is_given_up() -> None:
    async with fake_smsc() as smsc:
        smsc.on_bind = lambda *_: None
        carrier = carrier_of(smsc.port, response_seconds=0.02)
        await carrier.open(lambda carrier_events: asyncio.sleep(0))
        await until(lambda: len(smsc.binds) == 2)
        assert await carrier.check() == "no session is bound: no answer in time"
        await carrier.close()


async def test_a_slow_answer_leaves_the_outcome_unknown_and_its_receipt_still_finds_the_message() -> None:
    async with fake_smsc() as smsc, opened(smsc, response_seconds=0.02, enquire_seconds=60) as (carrier, taken):
        held: list[int] = []
        smsc.on_submit = lambda peer, sequence, message: held.append(sequence)
        first, second = submission(), submission()
        assert await carrier.submit_many([first, second]) == [Unknown("timeout")] * 2
        smsc.peer.accept(held[0], "late")
        smsc.peer.refuse(held[1], INVALID_DESTINATION)
        assert await smsc.peer.deliver(receipt("late")) == 0
        await until(lambda: len(taken.carrier_events) == 2)
    assert set(taken.carrier_events) == {
        Report("late:DELIVRD", is_delivered=True, message_id=first.message_id, carrier_ref="late"),
        Report(
            f"smpp:{second.message_id}:not-whole",
            is_delivered=False,
            error_code="invalid_number",
            message_id=second.message_id,
        ),
    }
    assert len(smsc.submits) == 2


# Messages of several parts


def refuse_part(number: int, status: int, *, times: int = 1) -> Callable[[Peer, int, Message], None]:
    """Refuse this part so many times; accept the others with their number as id."""
    left = times

    def answer(peer: Peer, sequence: int, message: Message) -> None:
        nonlocal left
        part = message.short_message[5]
        if part == number and left:
            left -= 1
            peer.refuse(sequence, status)
        else:
            peer.accept(sequence, f"part-{part}")

    return answer


async def test_a_refused_first_part_refuses_the_message() -> None:
    async with fake_smsc() as smsc, opened(smsc) as (carrier, taken):
        smsc.on_submit = refuse_part(1, THROTTLED)
        assert await submit(carrier, LONG) == Refused("carrier_rejected", retryable=True)
    assert (len(smsc.submits), taken.carrier_events) == (1, [])


@pytest.mark.parametrize("status", [THROTTLED, QUEUE_FULL, SYSTEM_ERROR])
async def test_a_later_part_that_is_put_off_is_tried_again(status: int) -> None:
    async with fake_smsc() as smsc, opened(smsc) as (carrier, taken):
        smsc.on_submit = refuse_part(2, status, times=3)
        assert await submit(carrier, LONG) == Accepted("part-1", ("part-1", "part-2", "part-3"))
    assert [message.short_message[5] for message in smsc.submits] == [1, 2, 2, 2, 2, 3]
    assert taken.carrier_events == []


@pytest.mark.parametrize(
    ("status", "options", "code"),
    [
        (INVALID_DESTINATION, {}, "invalid_number"),
        (THROTTLED, {"response_seconds": 0.05, "enquire_seconds": 60}, "carrier_rejected"),
    ],
)
async def test_a_message_that_will_never_be_whole_is_accepted_and_has_failed(
    status: int, options: dict[str, Any], code: str
) -> None:
    async with fake_smsc() as smsc, opened(smsc, **options) as (carrier, taken):
        smsc.on_submit = refuse_part(3, status, times=1000)
        message = submission(LONG)
        assert await carrier.submit(message) == Accepted("part-1", ("part-1", "part-2"))
        assert taken.carrier_events == [
            Report(
                f"smpp:{message.message_id}:not-whole",
                is_delivered=False,
                error_code=code,
                message_id=message.message_id,
            )
        ]


def not_whole(message: Submission) -> Report:
    return Report(
        f"smpp:{message.message_id}:not-whole",
        is_delivered=False,
        error_code="carrier_rejected",
        message_id=message.message_id,
    )


def fall_silent(peer: Peer, sequence: int, message: Message) -> None:
    """Neither answer nor break off."""


@pytest.mark.parametrize(("silence", "reason"), [(fall_silent, "timeout"), (drop, "disconnected")])
@pytest.mark.parametrize(
    ("number", "outcome"),
    [(1, None), (2, Accepted("part-1", ("part-1",)))],
)
async def test_a_message_whose_middle_part_is_in_doubt_has_failed_at_once(
    silence: Callable[..., None], reason: str, number: int, outcome: Outcome | None
) -> None:
    answer = refuse_part(0, 0)
    async with fake_smsc() as smsc, opened(smsc, response_seconds=0.05, enquire_seconds=60) as (carrier, taken):
        smsc.on_submit = lambda peer, sequence, message: (
            silence(peer, sequence, message) if message.short_message[5] == number else answer(peer, sequence, message)
        )
        message = submission(LONG)
        assert await carrier.submit(message) == (outcome or Unknown(reason))
        assert taken.carrier_events == [not_whole(message)]
    # What may have been sent is not sent again, and what would come behind it never.
    assert [message.short_message[5] for message in smsc.submits] == list(range(1, number + 1))


async def test_a_late_answer_to_a_middle_part_changes_nothing() -> None:
    answer = refuse_part(0, 0)
    held: list[tuple[Peer, int]] = []
    async with fake_smsc() as smsc, opened(smsc, response_seconds=0.05, enquire_seconds=60) as (carrier, taken):
        smsc.on_submit = lambda peer, sequence, message: (
            held.append((peer, sequence)) if message.short_message[5] == 2 else answer(peer, sequence, message)
        )
        message = submission(LONG)
        assert await carrier.submit(message) == Accepted("part-1", ("part-1",))
        peer, sequence = held[0]
        peer.accept(sequence, "late")
        assert await peer.deliver(receipt("late")) == 0
        assert taken.carrier_events == [not_whole(message), Report("late:DELIVRD", True, carrier_ref="late")]
    assert len(smsc.submits) == 2


async def test_a_message_whose_last_part_is_in_doubt_is_told_by_the_receipts_of_its_parts() -> None:
    answer = refuse_part(0, 0)
    held: list[tuple[Peer, int]] = []
    async with fake_smsc() as smsc, opened(smsc, response_seconds=0.05, enquire_seconds=60) as (carrier, taken):
        smsc.on_submit = lambda peer, sequence, message: (
            held.append((peer, sequence)) if message.short_message[5] == 3 else answer(peer, sequence, message)
        )
        message = submission(LONG)
        assert await carrier.submit(message) == Unknown("timeout")
        peer, sequence = held[0]
        peer.accept(sequence, "part-3")
        for number in (1, 2, 3):
            assert await peer.deliver(receipt(f"part-{number}")) == 0
        assert taken.carrier_events == [
            Report(f"part-{n}:DELIVRD", True, message_id=message.message_id, carrier_ref=f"part-{n}", part_count=3)
            for n in (1, 2, 3)
        ]
    assert len(smsc.submits) == 3


async def test_a_late_refusal_of_the_last_part_fails_the_message() -> None:
    answer = refuse_part(0, 0)
    held: list[tuple[Peer, int]] = []
    async with fake_smsc() as smsc, opened(smsc, response_seconds=0.05, enquire_seconds=60) as (carrier, taken):
        smsc.on_submit = lambda peer, sequence, message: (
            held.append((peer, sequence)) if message.short_message[5] == 3 else answer(peer, sequence, message)
        )
        message = submission(LONG)
        assert await carrier.submit(message) == Unknown("timeout")
        peer, sequence = held[0]
        peer.refuse(sequence, 0x45)
        await until(lambda: taken.carrier_events)
        assert taken.carrier_events == [not_whole(message)]


async def test_parts_go_on_over_another_session_when_theirs_broke_between_them() -> None:
    async with fake_smsc() as smsc, opened(smsc, throttle_seconds=0.05) as (carrier, _):
        smsc.on_submit = refuse_part(2, THROTTLED)
        run = asyncio.create_task(submit(carrier, LONG))
        await until(lambda: len(smsc.submits) == 2)
        await asyncio.sleep(0.01)
        smsc.peer.drop()
        assert await run == Accepted("part-1", ("part-1", "part-2", "part-3"))
    assert [message.short_message[5] for message in smsc.submits] == [1, 2, 2, 3]


# Sessions


async def test_enquire_link_is_answered_and_asked() -> None:
    async with fake_smsc() as smsc, opened(smsc, enquire_seconds=0.01) as (carrier, _):
        assert await smsc.peer.ask(Command.ENQUIRE_LINK) == 0
        await until(lambda: smsc.peer.received.count(Command.ENQUIRE_LINK) >= 3)
        assert carrier.bound == 1


async def test_a_session_without_a_sign_of_life_is_opened_again() -> None:
    async with fake_smsc() as smsc, opened(smsc, enquire_seconds=0.01, response_seconds=0.02):
        first = smsc.peer
        smsc.on_enquire = lambda peer, sequence: None
        await first.lost
        await until(lambda: len(smsc.binds) == 2)


async def test_an_unknown_command_is_nacked_and_the_session_goes_on() -> None:
    async with fake_smsc() as smsc, opened(smsc) as (carrier, _):
        assert await smsc.peer.ask(0x77) == 0x03
        smsc.peer.send(0x80000077, 0, 99)
        smsc.peer.send(Command.ALERT_NOTIFICATION, 0, 100, b"\1\1")
        smsc.peer.send(Command.SUBMIT_SM_RESP, 0, 4711, b"never asked\0")
        assert await submit(carrier) == Accepted("1")
        assert smsc.peer.received.count(Command.GENERIC_NACK) == 1


async def test_an_unreadable_message_is_refused_and_the_session_goes_on() -> None:
    async with fake_smsc() as smsc, opened(smsc) as (carrier, taken):
        assert await smsc.peer.ask(Command.DELIVER_SM, b"\0\1") == 0x65
        assert await submit(carrier) == Accepted("1")
    assert taken.carrier_events == []


class Faulty(SmppCarrier):
    """One that fails for every session and timer."""

    fails = 0

    def _fail(self) -> None:
        if self.fails:
            self.fails -= 1
            raise ZeroDivisionError

    def answered(self, session: Session, job: Job, status: int, message_id: str) -> None:
        self._fail()
        super().answered(session, job, status, message_id)

    def _proceed(self) -> None:
        self._fail()
        super()._proceed()


async def test_no_exception_ends_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrier_module, "AGAIN_SECONDS", 0.01)
    async with fake_smsc() as smsc:
        carrier, taken = Faulty("cohort", carrier_of(smsc.port).options), Taken()
        await carrier.open(taken)
        await until(lambda: carrier.bound == 1)
        held: list[int] = []
        smsc.on_submit = lambda peer, sequence, message: held.append(sequence)
        run = asyncio.create_task(submit(carrier))
        await until(lambda: held)
        carrier.fails = 1
        smsc.peer.accept(held[0], "1")
        assert await run == Unknown("error")
        smsc.on_submit = smsc.accept_submit
        carrier.fails = 1
        assert await submit(carrier) == Accepted("2")
        assert await smsc.peer.deliver(inbound()) == 0
        assert (len(smsc.binds), carrier.bound, len(taken.carrier_events)) == (1, 1, 1)
        await carrier.close()


async def test_a_message_that_ends_within_its_text_is_kept_and_flagged() -> None:
    body = pdu.encode_message(inbound(b"STOP"))
    longer = body[:-5] + bytes((9,)) + body[-4:]
    async with fake_smsc() as smsc, opened(smsc) as (carrier, taken):
        assert await smsc.peer.ask(Command.DELIVER_SM, longer) == 0
        assert carrier.bound == 1
    (carrier_event,) = taken.carrier_events
    assert isinstance(carrier_event, Inbound)
    assert (carrier_event.text, carrier_event.from_phone, carrier_event.is_garbled) == ("STOP", "+14155550100", True)


async def test_receipts_that_nobody_can_read_are_counted_in_the_log() -> None:
    with structlog.testing.capture_logs() as lines:
        async with fake_smsc() as smsc, opened(smsc) as (_, taken):
            for _ in range(12):
                assert await smsc.peer.deliver(receipt("7", "XYZZY")) == 0
            assert await smsc.peer.deliver(Message(esm_class=4, short_message=b"call 14155550100")) == 0
    assert taken.carrier_events == []
    assert [(line["state"], line["count"]) for line in lines if line["event"] == "smpp_receipt_not_read"] == [
        ("XYZZY", 1),
        ("XYZZY", 10),
        (None, 1),
    ]
    assert "14155550100" not in str(lines)


async def test_an_unbind_waits_for_what_is_in_the_window() -> None:
    async with fake_smsc() as smsc, opened(smsc) as (carrier, _):
        held: list[int] = []
        smsc.on_submit = lambda peer, sequence, message: held.append(sequence)
        run = asyncio.create_task(submit(carrier))
        await until(lambda: held)
        peer = smsc.peer
        unbound = peer.ask(Command.UNBIND)
        await until(lambda: carrier.bound == 0)
        assert await submit(carrier) == NO_SESSION
        assert not unbound.done()
        peer.accept(held[0], "1")
        assert await run == Accepted("1")
        assert await unbound == 0
        await peer.lost
        await until(lambda: carrier.bound == 1)


async def test_an_unbind_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "UNBIND_SECONDS", 0.0)
    async with fake_smsc() as smsc, opened(smsc, enquire_seconds=0.04) as (carrier, _):
        smsc.on_submit = lambda peer, sequence, message: peer.send(Command.UNBIND, 0, 1)
        assert await submit(carrier) == Unknown("disconnected")
        await until(lambda: carrier.bound == 1)


async def test_the_receipt_of_a_message_that_nobody_waits_for_finds_it() -> None:
    async with fake_smsc() as smsc, opened(smsc, window=1) as (carrier, taken):
        held: list[int] = []
        smsc.on_submit = lambda peer, sequence, message: held.append(sequence)
        first = submission()
        run = asyncio.create_task(carrier.submit_many([first, submission()]))
        await until(lambda: held)
        run.cancel()
        await asyncio.wait([run])
        smsc.peer.accept(held[0], "1")
        await smsc.peer.deliver(receipt("1"))
        assert taken.carrier_events == [
            Report("1:DELIVRD", is_delivered=True, message_id=first.message_id, carrier_ref="1")
        ]
        smsc.on_submit = smsc.accept_submit
        assert isinstance(await submit(carrier), Accepted)
    # What had not begun is not sent.
    assert len(smsc.submits) == 2


async def test_closing_finishes_what_has_begun_hands_back_the_rest_and_unbinds() -> None:
    async with fake_smsc() as smsc, opened(smsc, window=1) as (carrier, _):
        held: list[int] = []
        smsc.on_submit = lambda peer, sequence, message: held.append(sequence)
        peer = smsc.peer
        run = asyncio.create_task(carrier.submit_many([submission(LONG), submission()]))
        await until(lambda: held)
        closing = asyncio.create_task(carrier.close())
        for number in range(3):
            await until(partial(reached, held, number + 1))
            assert Command.UNBIND not in peer.received
            peer.accept(held[number], f"part-{number + 1}")
        await closing
        assert await run == [
            Accepted("part-1", ("part-1", "part-2", "part-3")),
            CLOSED,
        ]
        assert peer.received[-1] == Command.UNBIND
        assert await submit(carrier) == CLOSED
    assert smsc.peers == []


async def test_closing_does_not_wait_for_ever() -> None:
    async with fake_smsc() as smsc, opened(smsc, response_seconds=0.05, enquire_seconds=60) as (carrier, _):
        smsc.on_submit = lambda *_: None
        run = asyncio.create_task(submit(carrier))
        await until(lambda: smsc.submits)
        await carrier.close()
        assert await run == Unknown("timeout")


async def test_a_pair_of_sessions_sends_over_one_and_receives_over_the_other() -> None:
    async with fake_smsc() as smsc, opened(smsc, bind="transmitter_receiver") as (carrier, taken):
        assert carrier.wanted == 2
        transmitter, receiver = sorted(smsc.peers, key=lambda peer: Command.BIND_RECEIVER in peer.received)
        await carrier.submit_many(messages(20))
        assert transmitter.received.count(Command.SUBMIT_SM) == 20
        assert await receiver.deliver(receipt("1")) == 0
        assert len(taken.carrier_events) == 1
        smsc.on_bind = lambda peer, command, sequence: peer.send(command | pdu.RESPONSE, 0x0D, sequence)
        receiver.drop()
        await until(lambda: len(smsc.binds) == 3)
        assert "ESME_RBINDFAIL" in (await carrier.check() or "") or carrier.bound == 1


# What the message centre brings


async def test_an_inbound_message_is_kept_before_it_is_answered() -> None:
    async with fake_smsc() as smsc, opened(smsc) as (_, taken):
        taken.gate.clear()
        answer = smsc.peer.deliver(inbound("Olá".encode("utf-16-be"), data_coding=8))
        await asyncio.sleep(0.01)
        assert not answer.done()
        taken.gate.set()
        assert await answer == 0
        (carrier_event,) = taken.carrier_events
    assert isinstance(carrier_event, Inbound)
    assert (carrier_event.from_phone, carrier_event.to_sender, carrier_event.text) == ("+14155550100", "12345", "Olá")
    assert (carrier_event.part_ref, carrier_event.part_number, carrier_event.part_count) == (None, None, None)


async def test_an_answered_deliver_sm_is_in_the_database(clean: None) -> None:
    async def keep(carrier_events: Sequence[CarrierEvent]) -> None:
        await keep_carrier_events("cohort", carrier_events)

    async with fake_smsc() as smsc:
        carrier = carrier_of(smsc.port)
        await carrier.open(keep)
        await until(lambda: carrier.bound == 1)
        long_id = Message(esm_class=4, tlvs=((Tag.RECEIPTED_MESSAGE_ID, b"9" * 300), (Tag.MESSAGE_STATE, b"\2")))
        odd = inbound(b"\0\0\xd8\x3d\0A", data_coding=8)
        for message in (receipt("7"), receipt("7"), long_id, inbound(b"\5\0\3\x2a\2\1first", esm_class=0x40), odd):
            assert await smsc.peer.deliver(message) == 0
        await carrier.close()
    rows = await db.fetch(
        "SELECT kind, dedupe_key, carrier_ref, is_delivered, from_phone, text, part_ref, part_number, part_count"
        " FROM carrier_signals ORDER BY received_at"
    )
    assert [row.kind for row in rows] == ["report", "report", "inbound", "inbound"]
    assert (rows[0].dedupe_key, rows[0].carrier_ref, rows[0].is_delivered) == ("7:DELIVRD", "7", True)
    assert rows[1].carrier_ref == "9" * 100
    assert (rows[2].from_phone, rows[2].text) == ("+14155550100", "first")
    assert (rows[2].part_ref, rows[2].part_number, rows[2].part_count) == ("8:42", 1, 2)
    assert rows[3].text == "\ufffdA"


async def test_parts_say_where_they_belong() -> None:
    sar = ((Tag.SAR_MSG_REF_NUM, b"\1\2"), (Tag.SAR_TOTAL_SEGMENTS, b"\3"), (Tag.SAR_SEGMENT_SEQNUM, b"\2"))
    messages = [
        inbound(b"\5\0\3\x2a\2\1first", esm_class=0x40),
        inbound(b"\6\x08\4\1\2\2\2second", esm_class=0x40),
        inbound(b"third", tlvs=sar),
        inbound(b"", tlvs=((Tag.MESSAGE_PAYLOAD, b"whole"),)),
    ]
    async with fake_smsc() as smsc, opened(smsc) as (_, taken):
        assert await asyncio.gather(*(smsc.peer.deliver(message) for message in messages)) == [0] * 4
    parts = [
        (carrier_event.text, carrier_event.part_ref, carrier_event.part_number, carrier_event.part_count)
        for carrier_event in taken.carrier_events
        if isinstance(carrier_event, Inbound)
    ]
    assert parts == [
        ("first", "8:42", 1, 2),
        ("second", "16:258", 2, 2),
        ("third", "16:258", 2, 3),
        ("whole", None, None, None),
    ]


async def test_data_sm_is_read_too() -> None:
    message = inbound(b"", tlvs=((Tag.MESSAGE_PAYLOAD, b"by data"),))
    async with fake_smsc() as smsc, opened(smsc) as (_, taken):
        assert await smsc.peer.ask(Command.DATA_SM, pdu.encode_data(message)) == 0
    assert [carrier_event.text for carrier_event in taken.carrier_events if isinstance(carrier_event, Inbound)] == [
        "by data"
    ]


async def test_an_inbound_message_that_was_not_stored_is_the_same_when_repeated() -> None:
    async with fake_smsc() as smsc, opened(smsc) as (_, taken):
        taken.fails = 1
        assert await smsc.peer.deliver(inbound()) == 0x64
        assert taken.carrier_events == []
        assert await smsc.peer.deliver(inbound()) == 0
        assert len(taken.carrier_events) == 1
        taken.fails = 1
        assert await smsc.peer.deliver(receipt("7")) == 0x64
        assert await smsc.peer.deliver(receipt("7")) == 0
        assert len(taken.carrier_events) == 2


async def test_an_inbound_message_stored_before_a_crash_is_one_when_repeated() -> None:
    async with fake_smsc() as smsc, opened(smsc) as (_, taken):
        taken.fails, taken.loses_word = 1, True
        assert [await smsc.peer.deliver(inbound()) for _ in range(2)] == [0x64, 0]
        assert len(taken.carrier_events) == 2
    assert len({carrier_event.dedupe_key for carrier_event in taken.carrier_events}) == 1


async def test_a_sure_answer_holds_up_nothing_over_another_session() -> None:
    async with fake_smsc() as smsc, opened(smsc, binds=2, window=1, enquire_seconds=60) as (carrier, taken):
        first, second = smsc.peers
        assert await first.deliver(inbound()) == 0
        await carrier.submit_many(messages(2))
        assert await second.deliver(inbound()) == 0
        assert Command.ENQUIRE_LINK not in first.received
    assert len({carrier_event.dedupe_key for carrier_event in taken.carrier_events}) == 2


async def test_the_same_text_twice_on_a_healthy_session_is_two_messages() -> None:
    async with fake_smsc() as smsc, opened(smsc) as (_, taken):
        answers = [await smsc.peer.deliver(inbound()), await smsc.peer.deliver(inbound())]
        assert answers == [0, 0]
    assert len({carrier_event.dedupe_key for carrier_event in taken.carrier_events}) == 2


@pytest.mark.parametrize("is_answered", [True, False])
async def test_a_message_brought_again_after_its_session_broke_is_one_message(is_answered: bool) -> None:
    async with fake_smsc() as smsc, opened(smsc) as (carrier, taken):
        if is_answered:
            # The answer was written; whether it arrived nobody knows.
            await smsc.peer.deliver(inbound())
        else:
            taken.gate.clear()
            smsc.peer.deliver(inbound())
            await asyncio.sleep(0.01)
        smsc.peer.drop()
        await until(lambda: len(smsc.binds) == 2 and carrier.bound == 1)
        taken.gate.set()
        assert await smsc.peer.deliver(inbound()) == 0
        assert len(taken.carrier_events) == 2
        assert len({carrier_event.dedupe_key for carrier_event in taken.carrier_events}) == 1
        # The doubt is spent: the next one is a new message.
        assert await smsc.peer.deliver(inbound()) == 0
        assert len({carrier_event.dedupe_key for carrier_event in taken.carrier_events}) == 2


async def test_a_text_sent_again_after_its_answer_surely_arrived_is_another_message() -> None:
    async with fake_smsc() as smsc, opened(smsc) as (carrier, taken):
        assert await smsc.peer.deliver(inbound()) == 0
        # A request written after the answer is itself answered: the message centre has read both.
        assert isinstance(await submit(carrier), Accepted)
        smsc.peer.drop()
        await until(lambda: len(smsc.binds) == 2 and carrier.bound == 1)
        assert await smsc.peer.deliver(inbound()) == 0
    assert len({carrier_event.dedupe_key for carrier_event in taken.carrier_events}) == 2


@pytest.mark.parametrize("is_broken", [True, False])
async def test_a_repetition_over_another_session_waits_for_the_first(is_broken: bool) -> None:
    async with fake_smsc() as smsc, opened(smsc, binds=2, enquire_seconds=60) as (carrier, taken):
        first, second = smsc.peers
        smsc.on_enquire = lambda *_: None
        assert await first.deliver(inbound()) == 0
        again = second.deliver(inbound())
        await until(lambda: Command.ENQUIRE_LINK in first.received)
        assert not again.done()
        if is_broken:
            first.drop()
        else:
            first.send(Command.ENQUIRE_LINK_RESP, 0, 2)
        assert await again == 0
        assert len(taken.carrier_events) == 2
        assert len({carrier_event.dedupe_key for carrier_event in taken.carrier_events}) == (1 if is_broken else 2)
        await until(lambda: carrier.bound == 2)


async def test_reports_are_kept_by_id_and_state() -> None:
    async with fake_smsc() as smsc, opened(smsc) as (_, taken):
        for message in (
            receipt("7", "ENROUTE"),
            receipt("7", "ACCEPTD"),
            receipt("7"),
            receipt("7"),
            receipt("8", "UNDELIV"),
        ):
            assert await smsc.peer.deliver(message) == 0
    delivered = Report("7:DELIVRD", is_delivered=True, carrier_ref="7")
    failed = Report("8:UNDELIV", is_delivered=False, error_code="unreachable", carrier_ref="8")
    assert taken.carrier_events == [delivered, delivered, failed]


# Options


def test_smpp_is_in_the_registry() -> None:
    assert (SmppCarrier.kind in KINDS, SmppCarrier.holds_binds) == (True, True)
    assert carrier_of(1).capability is Capability.NONE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"windw": 3}, "windw"),
        ({"window": 0}, "window"),
        ({"system_id": "far-too-long-for-smpp"}, "system_id"),
        ({"statuses": {"0x0400": "unlucky"}}, "must be one of"),
        ({"statuses": {"spam": "carrier_filtered"}}, "a number is wanted"),
        ({"statuses": {"0400": "carrier_filtered"}}, "a number is wanted"),
        ({"receipt_errors": {"001": "no"}}, "must be one of"),
        ({"receipt_states": {"XYZZY": "no"}}, "must be one of"),
        ({"receipt_errors": {"001": "delivered"}}, "must be one of"),
        ({"service_type": "LONGER"}, "service_type"),
        ({"tls": True, "tls_ca": "/nowhere/ca.pem"}, "tls_ca"),
        ({"long_messages": "fax"}, "fax"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    table = {"host": "smsc.cohortlabs.co", "system_id": "cohort", "password": "secret", **options}
    with pytest.raises(SettingsError, match=message) as caught:
        KINDS["smpp"](CarrierConfig("cohort", "smpp", table, "https://sms.cohortlabs.co"))
    assert "secret" not in str(caught.value)


async def test_tls_checks_the_certificate(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    self_signed(key, certificate, name="smsc.cohortlabs.co")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    trusted = {"tls": True, "tls_ca": str(certificate)}
    async with fake_smsc(context) as smsc:
        async with opened(smsc, **trusted, tls_name="smsc.cohortlabs.co") as (carrier, _):
            assert isinstance(await submit(carrier), Accepted)
        for wrong in ({"tls": True}, {**trusted, "tls_name": "smsc.example.com"}):
            carrier = carrier_of(smsc.port, **wrong)
            await carrier.open(lambda carrier_events: asyncio.sleep(0))
            await until(partial(has_failed, carrier))
            assert "CERTIFICATE_VERIFY_FAILED" in (await carrier.check() or "")
            await carrier.close()
    assert len(smsc.binds) == 1
