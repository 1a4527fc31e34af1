"""The codec of PDUs: what is written can be read, and reading ends in a value or a PduError."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msvs.carriers.protocol import Accepted
from msvs.carriers.smpp import pdu
from msvs.carriers.smpp.pdu import Bind, Command, Message, PduError, Tag
from tests.carriers.smpp.fake import fake_smsc, opened, submit, until

octet = st.integers(0, 255)
tlvs = st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=80)), max_size=4).map(tuple)


def field(size: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=size)


messages = st.builds(
    Message,
    service_type=field(5),
    source_ton=octet,
    source_npi=octet,
    source=field(20),
    destination_ton=octet,
    destination_npi=octet,
    destination=field(20),
    esm_class=octet,
    protocol_id=octet,
    priority=octet,
    schedule_time=field(16),
    validity_period=field(16),
    registered_delivery=octet,
    replace_if_present=octet,
    data_coding=octet,
    default_message_id=octet,
    short_message=st.binary(max_size=254),
    tlvs=tlvs,
)
binds = st.builds(
    Bind,
    system_id=field(15),
    password=field(64),
    system_type=field(12),
    interface_version=octet,
    address_ton=octet,
    address_npi=octet,
    address_range=field(40),
)


@given(messages)
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    assert pdu.decode_message(pdu.encode_message(message)) == message


@given(messages)
def test_a_data_sm_comes_back_as_it_was(message: Message) -> None:
    read = pdu.decode_data(pdu.encode_data(message))
    kept = ("service_type", "source", "destination", "esm_class", "registered_delivery", "data_coding", "tlvs")
    assert [getattr(read, name) for name in kept] == [getattr(message, name) for name in kept]


@given(binds)
def test_a_bind_comes_back_as_it_was(bind: Bind) -> None:
    assert pdu.decode_bind(pdu.encode_bind(bind)) == bind


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF), st.integers(0, 0x7FFFFFFF), st.binary(max_size=100))
def test_a_header_comes_back_as_it_was(command: int, status: int, sequence: int, body: bytes) -> None:
    data = pdu.encode(command, status, sequence, body)
    assert pdu.read_length(data) == len(data)
    assert pdu.read_header(data) == (len(data), command, status, sequence)
    assert data[pdu.HEADER_LENGTH :] == body


@given(st.binary(max_size=300))
def test_random_octets_end_in_a_value_or_a_pdu_error(data: bytes) -> None:
    for read in (pdu.decode_message, pdu.decode_data, pdu.decode_bind, pdu.read_length, pdu.decode_text):
        with suppress(PduError):
            read(data)


@given(messages, st.data())
def test_a_message_cut_short_ends_in_a_value_or_a_pdu_error(message: Message, data: st.DataObject) -> None:
    body = pdu.encode_message(message)
    cut = body[: data.draw(st.integers(0, len(body)))]
    try:
        read = pdu.decode_message(cut)
    except PduError:
        assert len(cut) < len(pdu.encode_message(msgspec.structs.replace(message, tlvs=())))
    else:
        assert read.short_message == (
            message.short_message[: len(read.short_message)] if read.is_cut else message.short_message
        )
        assert read.is_cut is (len(read.short_message) < len(message.short_message))


def test_a_submit_is_what_the_document_says() -> None:
    # SMPP 3.4 § 4.4.1, octet by octet.
    message = Message(
        service_type="CMT", source_ton=5, source="AB", destination_ton=1, destination_npi=1, destination="1415",
        esm_class=0x40, registered_delivery=1, data_coding=8, short_message=b"\0H",
        tlvs=((Tag.SAR_TOTAL_SEGMENTS, b"\2"),),
    )  # fmt: skip
    written = pdu.encode(Command.SUBMIT_SM, 0, 7, pdu.encode_message(message))
    assert written.hex(" ") == (
        "00 00 00 31 00 00 00 04 00 00 00 00 00 00 00 07 "
        "43 4d 54 00 05 00 41 42 00 01 01 31 34 31 35 00 40 00 00 00 00 01 00 08 00 02 00 48 02 0e 00 01 02"
    )


@pytest.mark.parametrize("length", [0, 15, 64 * 1024 + 1, 0xFFFFFFFF])
def test_a_length_out_of_bounds_is_refused(length: int) -> None:
    with pytest.raises(PduError):
        pdu.read_length(length.to_bytes(4))


@pytest.mark.parametrize(
    "fields",
    [
        {"source": "1" * 21},
        {"destination": "1\0"},
        {"source": "Σ"},
        {"esm_class": 256},
        {"data_coding": -1},
        {"short_message": bytes(255)},
        {"tlvs": ((0x10000, b""),)},
        {"tlvs": ((1, bytes(0x10000)),)},
    ],
)
def test_a_text_that_does_not_fit_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(PduError):
        pdu.encode_message(Message(**fields))


def test_a_pdu_beyond_64_kb_is_refused() -> None:
    with pytest.raises(PduError):
        pdu.encode(Command.SUBMIT_SM, 0, 1, bytes(64 * 1024 - 15))


def test_padding_behind_a_message_is_left_out() -> None:
    body = pdu.encode_message(Message(short_message=b"Hi", tlvs=((1, b"x"),)))
    assert pdu.decode_message(body + b"\0\0\0").tlvs == ((1, b"x"),)
    assert pdu.decode_message(body + b"\4\x24\0\x09short").tlvs == ((1, b"x"),)


def test_the_first_of_two_parameters_counts() -> None:
    message = Message(tlvs=((1, b"a"), (1, b"b")))
    assert (message.tlv(1), message.tlv(2)) == (b"a", None)


async def test_random_octets_never_take_the_carrier_down() -> None:
    """The carrier binds again and goes on after every mistake of a message centre."""
    pieces: list[bytes] = []

    @given(st.lists(st.one_of(st.binary(max_size=60), whole_pdus()), max_size=6))
    @settings(max_examples=60, database=None, derandomize=True)
    def collect(octets: list[bytes]) -> None:
        pieces.append(b"".join(octets))

    collect()
    async with fake_smsc() as smsc, opened(smsc, response_seconds=1, enquire_seconds=60) as (carrier, _):
        for octets in pieces:
            await until(lambda: carrier.bound == 1 and smsc.peers)
            smsc.peers[0].transport.write(octets)
            await asyncio.sleep(0)
            if len(octets) % 2 and smsc.peers:
                smsc.peers[0].drop()
            await asyncio.sleep(0.001)
        for peer in smsc.peers:
            peer.drop()
        binds = len(smsc.binds)
        await until(lambda: len(smsc.binds) > binds and carrier.bound == 1)
        assert isinstance(await submit(carrier), Accepted)


@st.composite
def whole_pdus(draw: st.DrawFn) -> bytes:
    command = draw(st.sampled_from([*Command, 0x77, 0x80000077]))
    return pdu.encode(command, draw(st.integers(0, 300)), draw(st.integers(0, 5)), draw(st.binary(max_size=80)))
