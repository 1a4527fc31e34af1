"""Receipts as message centres write them, ids in every notation, and messages brought twice."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msvs.api.resources import FAILURES
from msvs.carriers.protocol import Inbound, Report
from msvs.carriers.smpp import inbound as inbound_module
from msvs.carriers.smpp.inbound import DOUBT_SECONDS, Late, Redeliveries, to_carrier_event
from msvs.carriers.smpp.options import SmppOptions
from msvs.carriers.smpp.pdu import Message, Tag
from msvs.carriers.smpp.receipts import IdFormat, read_receipt, response_ref

ID, STATE, NETWORK = Tag.RECEIPTED_MESSAGE_ID, Tag.MESSAGE_STATE, Tag.NETWORK_ERROR_CODE


def options(**fields: Any) -> SmppOptions:
    return SmppOptions(host="smsc.cohortlabs.co", system_id="cohort", password="secret", **fields)


def by_text(text: str, **fields: Any) -> Message:
    return Message(esm_class=4, short_message=text.encode("latin-1"), **fields)


def by_tlv(ref: bytes, state: int, *more: tuple[int, bytes], esm_class: int = 4) -> Message:
    return Message(esm_class=esm_class, tlvs=((ID, ref), (STATE, bytes((state,))), *more))


# Receipt, the id it is about, whether it is delivered (None: no report), and our code.
RECEIPTS: list[tuple[Message, str | None, bool | None, str | None]] = [
    # The document's own, Appendix B.
    (
        by_text(
            "id:0123456789 sub:001 dlvrd:001 submit date:0209101521 done date:0209101522 stat:DELIVRD err:000 text:Hi"
        ),
        "0123456789",
        True,
        None,
    ),
    (by_text("id:a1b2 sub:001 dlvrd:000 submit date:2611231521 done date:2611231522 stat:UNDELIV err:069 text:"),
     "a1b2", False, "unreachable"),
    # Dates with seconds, an id with dashes, words written out.
    (by_text("id:7f9c-22-x sub:1 dlvrd:0 submit date:261123152110 done date:261123152213 stat:EXPIRED err:27"),
     "7f9c-22-x", False, "unreachable"),
    (by_text("ID:77 SUB:001 DLVRD:001 SUBMIT DATE:2611231521 DONE DATE:2611231522 STAT:DELIVERED ERR:000 TEXT:x"),
     "77", True, None),
    (by_text("id: 88 stat: Delivrd err: 0"), "88", True, None),
    (by_text("id:9 stat:REJECTED err:21"), "9", False, "carrier_rejected"),
    (by_text("id:9 stat:REJECTD err:021"), "9", False, "carrier_rejected"),
    (by_text("id:9 stat:DELETED"), "9", False, "carrier_rejected"),
    (by_text("id:9 stat:FAILED err:1"), "9", False, "unreachable"),
    # On the way, or not known to the message centre either.
    (by_text("id:9 stat:ACCEPTD"), None, None, None),
    (by_text("id:9 stat:ENROUTE"), None, None, None),
    (by_text("id:9 stat:BUFFRED"), None, None, None),
    (by_text("id:9 stat:UNKNOWN"), None, None, None),
    # What the message said proves nothing.
    (by_text("id:9 sub:001 stat:ENROUTE text:id:10 stat:DELIVRD"), None, None, None),
    (by_text("text:id:10 stat:DELIVRD"), None, None, None),
    (by_text("stat:DELIVRD"), None, None, None),
    (by_text("id:5"), None, None, None),
    (by_text(""), None, None, None),
    # By parameters alone, with and without the bit of esm_class; with the text in message_payload; in UCS-2.
    (by_tlv(b"abc\0", 2), "abc", True, None),
    (by_tlv(b"abc", 2, esm_class=0), "abc", True, None),
    (by_tlv(b"abc\0", 5, (NETWORK, b"\3\0\1")), "abc", False, "invalid_number"),
    (by_tlv(b"abc\0", 5, (NETWORK, b"\3\0\x1b")), "abc", False, "unreachable"),
    (by_tlv(b"abc\0", 5, (NETWORK, b"\4\0\1")), "abc", False, "unreachable"),
    (by_tlv(b"abc\0", 8), "abc", False, "carrier_rejected"),
    (by_tlv(b"abc\0", 9), "abc", False, "carrier_rejected"),
    (by_tlv(b"abc\0", 1), None, None, None),
    (by_tlv(b"abc\0", 6), None, None, None),
    (by_tlv(b"abc\0", 7), None, None, None),
    (by_tlv(b"abc\0", 99), None, None, None),
    (by_tlv(b"\0", 2), None, None, None),
    (Message(esm_class=4, tlvs=((Tag.MESSAGE_PAYLOAD, b"id:6 stat:DELIVRD err:000"),)), "6", True, None),
    (Message(esm_class=4, data_coding=8, short_message="id:6 stat:DELIVRD".encode("utf-16-be")), "6", True, None),
    # An intermediate notification (§ 5.2.12) says how far a message has come.
    (by_tlv(b"abc\0", 5, esm_class=0x20), None, None, None),
    (Message(esm_class=0x20, short_message=b"id:6 stat:UNDELIV"), None, None, None),
    # The operator's own words for a vendor's err.
    (by_text("id:4 stat:UNDELIV err:0E1"), "4", False, "carrier_filtered"),
    (by_text("id:4 stat:UNDELIV err:0e2"), "4", False, "recipient_opted_out"),
    # The parameter without the bit of esm_class, and the state in the text; and without any state.
    (Message(short_message=b"id:6 stat:DELIVRD err:000", tlvs=((ID, b"6\0"),)), "6", True, None),
    (Message(short_message=b"on its way", tlvs=((ID, b"6\0"),)), None, None, None),
]  # fmt: skip


@pytest.mark.parametrize(("message", "ref", "is_delivered", "code"), RECEIPTS)
def test_receipts_are_read(message: Message, ref: str | None, is_delivered: bool | None, code: str | None) -> None:
    codes = {"0E1": "carrier_filtered", "0e2": "recipient_opted_out"}
    carrier_event = to_carrier_event(message, "key", options(receipt_errors=codes), {})
    if ref is None:
        assert carrier_event is None
        return
    assert isinstance(carrier_event, Report)
    assert (carrier_event.carrier_ref, carrier_event.is_delivered, carrier_event.error_code) == (
        ref,
        is_delivered,
        code,
    )
    assert code is None or code in FAILURES
    assert carrier_event.dedupe_key.startswith(f"{ref}:")


def test_a_person_who_writes_a_receipt_is_no_message_centre() -> None:
    message = Message(source="14155550100", source_ton=1, destination="12345", short_message=b"id:9 stat:DELIVRD err:0")
    assert isinstance(to_carrier_event(message, "key", options(), {}), Inbound)


def test_a_message_of_which_the_id_came_late_is_named() -> None:
    message_id = uuid4()
    carrier_event = to_carrier_event(by_text("id:9 stat:DELIVRD"), "", options(), {"9": Late(message_id)})
    assert carrier_event == Report("9:DELIVRD", is_delivered=True, message_id=message_id, carrier_ref="9")


# id_format; the id in submit_sm_resp, in the receipt's text, in its parameter; whether they are one message's.
IDS: list[tuple[IdFormat, str, str | None, str | None, bool]] = [
    ("as_is", "0012aB", "0012aB", None, True),
    ("as_is", "0012ab", "0012AB", None, False),
    ("as_is", "12", "012", None, False),
    ("as_is", "12", "18", None, False),
    ("as_is", " 12 ", "12", None, True),
    ("hex", "0012ab", "12AB", None, True),
    ("decimal", "0000012", "12", None, True),
    ("hex_decimal", "12AB", "4779", None, True),
    ("hex_decimal", "12ab", "0000004779", None, True),
    ("hex_decimal", "12ab", "4780", None, False),
    ("decimal_hex", "4779", "12AB", None, True),
    ("decimal_hex", "4779", "000012ab", None, True),
    # The parameter as in the response, the text not; and both as in the text.
    ("hex_decimal", "12ab", "4779", "12AB", True),
    ("hex_decimal", "12ab", "4779", "4779", True),
    ("hex_decimal", "12ab", None, "4779", True),
    ("decimal_hex", "4779", "12ab", "4779", True),
    # What is no number stays what it is.
    ("hex_decimal", "msg-7", "msg-7", None, True),
    ("hex", "g7", "g7", None, True),
    ("decimal", "1_000", "1_000", None, True),
    ("hex", "F" * 65, "f" * 65, None, False),
]


@pytest.mark.parametrize(("id_format", "responded", "text", "parameter", "is_match"), IDS)
def test_ids_have_one_form(
    id_format: IdFormat, responded: str, text: str | None, parameter: str | None, is_match: bool
) -> None:
    message = by_text(
        "stat:DELIVRD" if text is None else f"id:{text} stat:DELIVRD",
        tlvs=() if parameter is None else ((ID, parameter.encode() + b"\0"),),
    )
    found = read_receipt(message, id_format)
    assert found is not None
    assert (found.ref == response_ref(responded, id_format)) is is_match


@given(st.integers(0, 2**64))
def test_a_decimal_receipt_matches_a_hexadecimal_response(number: int) -> None:
    found = read_receipt(by_text(f"id:{number:010} stat:DELIVRD"), "hex_decimal")
    assert found is not None
    assert found.ref == response_ref(f"{number:X}", "hex_decimal") == response_ref(f"0{number:x}", "hex_decimal")


@pytest.mark.parametrize("message_id", ["", " ", "\0"])
def test_no_id_is_none(message_id: str) -> None:
    assert response_ref(message_id, "as_is") is None


@given(st.binary(max_size=254), st.integers(0, 255), st.integers(0, 255), st.binary(max_size=70))
def test_every_receipt_becomes_a_carrier_event_that_can_be_stored(
    octets: bytes, esm_class: int, data_coding: int, parameter: bytes
) -> None:
    message = Message(
        source=octets[:20].decode("latin-1"),
        esm_class=esm_class,
        data_coding=data_coding,
        short_message=octets,
        tlvs=((ID, parameter), (STATE, parameter[:1]), (NETWORK, parameter[:3])),
    )
    for id_format in ("as_is", "hex", "decimal"):
        carrier_event = to_carrier_event(message, "key", options(id_format=id_format), {})
        if isinstance(carrier_event, Report):
            assert carrier_event.carrier_ref is not None
            assert len(carrier_event.carrier_ref) <= 100
            assert "\0" not in carrier_event.carrier_ref + carrier_event.dedupe_key
        elif carrier_event is not None:
            assert "\0" not in carrier_event.text + carrier_event.from_phone
            carrier_event.text.encode()


@pytest.mark.parametrize(
    ("address", "ton", "phone"),
    [
        ("14155550100", 1, "+14155550100"),
        ("14155550100", 0, "+14155550100"),
        ("+14155550100", 0, "+14155550100"),
        ("0014155550100", 0, "+14155550100"),
        ("12345", 3, "12345"),
        ("12345", 1, "12345"),
        ("1234567", 0, "1234567"),
        ("12345678", 0, "12345678"),
        ("123456789", 0, "+123456789"),
        ("4155550100", 2, "4155550100"),
        ("Cohort", 5, "Cohort"),
        (" 14155550100\0", 1, "+14155550100"),
        ("", 0, ""),
    ],
)
def test_addresses_are_e164_where_they_can_be(address: str, ton: int, phone: str) -> None:
    message = Message(source=address, source_ton=ton, destination=address, destination_ton=ton)
    carrier_event = to_carrier_event(message, "key", options(), {})
    assert isinstance(carrier_event, Inbound)
    assert (carrier_event.from_phone, carrier_event.to_sender) == (phone, phone)


# Redeliveries


SESSION = object()
YES = Message(source="14155550100", destination="12345", short_message=b"YES")


def test_a_message_not_in_doubt_is_new_each_time() -> None:
    redeliveries = Redeliveries()
    assert redeliveries.arrive(YES, 0, SESSION).key != redeliveries.arrive(YES, 0, SESSION).key


def test_each_doubt_covers_one_repetition() -> None:
    redeliveries = Redeliveries()
    first, second = redeliveries.arrive(YES, 0, SESSION), redeliveries.arrive(YES, 1, SESSION)
    redeliveries.doubt(first, 2)
    redeliveries.doubt(second, 2)
    redeliveries.doubt(first, 3)
    again = [redeliveries.arrive(YES, 4, SESSION).key for _ in range(3)]
    assert again[:2] == [first.key, second.key]
    assert again[2] not in (first.key, second.key)


def test_a_repetition_can_itself_come_into_doubt() -> None:
    redeliveries = Redeliveries()
    first = redeliveries.arrive(YES, 0, SESSION)
    redeliveries.doubt(first, 1)
    second = redeliveries.arrive(YES, 2, SESSION)
    # The first was in the hands of a broken session still; only the second is waited for now.
    redeliveries.doubt(first, 3)
    redeliveries.doubt(second, 3)
    assert [redeliveries.arrive(YES, 4, SESSION).key == first.key for _ in range(2)] == [True, False]


def test_a_sure_answer_leaves_no_doubt() -> None:
    redeliveries = Redeliveries()
    first = redeliveries.arrive(YES, 0, SESSION)
    redeliveries.end(first)
    redeliveries.doubt(first, 1)
    assert redeliveries.arrive(YES, 2, SESSION).key != first.key


def test_doubts_end() -> None:
    redeliveries = Redeliveries()
    first = redeliveries.arrive(YES, 0, SESSION)
    redeliveries.doubt(first, 1)
    assert redeliveries.arrive(YES, 1 + DOUBT_SECONDS + 1, SESSION).key != first.key


def test_doubts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbound_module, "MOST_DOUBTS", 2)
    redeliveries = Redeliveries()
    texts = [Message(source="1", short_message=bytes((number,))) for number in range(3)]
    keys = []
    for message in texts:
        arrival = redeliveries.arrive(message, 0, SESSION)
        keys.append(arrival.key)
        redeliveries.doubt(arrival, 0)
    assert [redeliveries.arrive(message, 1, SESSION).key == key for message, key in zip(texts, keys, strict=True)] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"source": "14155550101"},
        {"destination": "12346"},
        {"short_message": b"yes"},
        {"esm_class": 0x40},
        {"data_coding": 3},
        {"tlvs": ((Tag.SAR_SEGMENT_SEQNUM, b"\2"),)},
        {"tlvs": ((Tag.MESSAGE_PAYLOAD, b""),)},
    ],
)
def test_another_content_is_another_message(fields: dict[str, Any]) -> None:
    redeliveries = Redeliveries()
    first = redeliveries.arrive(YES, 0, SESSION)
    redeliveries.doubt(first, 1)
    other = Message(**{"source": "14155550100", "destination": "12345", "short_message": b"YES", **fields})
    assert redeliveries.arrive(other, 2, SESSION).key != first.key


def test_the_same_content_over_another_session_waits_for_the_first() -> None:
    redeliveries = Redeliveries()
    first = redeliveries.arrive(YES, 0, SESSION)
    second = redeliveries.arrive(YES, 0, object())
    assert (second.rivals, second.key) == ((first,), "")
    redeliveries.end(first)
    redeliveries.decide(second, 1)
    assert second.key not in ("", first.key)
    third = redeliveries.arrive(YES, 2, object())
    assert third.rivals == (second,)
    redeliveries.doubt(second, 3)
    redeliveries.decide(third, 3)
    assert third.key == second.key


def test_an_arrival_that_came_to_nothing_leaves_nothing() -> None:
    redeliveries = Redeliveries()
    first = redeliveries.arrive(YES, 0, SESSION)
    undecided = redeliveries.arrive(YES, 0, object())
    redeliveries.doubt(undecided, 1)
    redeliveries.end(first)
    assert redeliveries.arrive(YES, 2, SESSION).key not in ("", first.key)
    assert redeliveries.arrive(YES, 2, SESSION).rivals == ()


# Words for states

UNREACHABLE, REJECTED, FILTERED = "unreachable", "carrier_rejected", "carrier_filtered"
# Word → delivered (True), on its way (None), or our code.
STATES: dict[str, bool | str | None] = {
    "DELIVRD": True, "DELIVERED": True, "Delivrd": True, "DELIV": True, "DELIVERED_TO_HANDSET": True, "READ": True,
    "MESSAGE DELIVERED": True, "2": True, "002": True,
    "BLOCKED": FILTERED, "Blocked": FILTERED, "BLOC": FILTERED, "SPAM": FILTERED, "BLACKLISTED": FILTERED,
    "EXPRD": UNREACHABLE, "EXPIRED": UNREACHABLE, "expired": UNREACHABLE, "EXPI": UNREACHABLE,
    "EXPIRED_BY_SMSC": UNREACHABLE, "3": UNREACHABLE,
    "NACK": REJECTED, "REJECTD": REJECTED, "REJECTED": REJECTED, "REJE": REJECTED, "REJECTED-BY-OPERATOR": REJECTED,
    "DND": "recipient_opted_out", "DND_REJECTED": "recipient_opted_out",
    "ERROR": UNREACHABLE, "ERR": UNREACHABLE, "UNDELIV": UNREACHABLE, "UNDELIVERED": UNREACHABLE, "UNDE": UNREACHABLE,
    "FAILED": UNREACHABLE, "FAIL": UNREACHABLE, "NOT DELIVERED": UNREACHABLE, "NOT_DELIVERED": UNREACHABLE,
    # These begin like the word for success.
    "DELIVERY_FAILED": UNREACHABLE, "DELIVERY ERROR": UNREACHABLE, "DELIVERY_REJECTED": REJECTED,
    "ABSENT": UNREACHABLE, "ABSENT_SUBSCRIBER": UNREACHABLE, "UNREACHABLE": UNREACHABLE,
    "DELETED": REJECTED, "SKIPPED": REJECTED, "CANCELLED": REJECTED,
    "INVALID_NUMBER": "invalid_number", "UNKNOWN SUBSCRIBER": "invalid_number",
    "UNKNOWN": None, "ENROUTE": None, "ENROUT": None, "ACCEPTD": None, "ACCEPTED": None, "BUFFRED": None, "SENT": None,
    "SCHEDULED": None, "PENDING": None, "1": None, "7": None,
}  # fmt: skip


@pytest.mark.parametrize(("word", "meaning"), STATES.items())
def test_words_of_receipts_are_mapped(word: str, meaning: bool | str | None) -> None:
    unread: list[str | None] = []
    carrier_event = to_carrier_event(
        by_text(f"id:9 sub:001 stat:{word} err:000 text:"), "", options(), {}, unread.append
    )
    assert unread == []
    if meaning is None:
        assert carrier_event is None
        return
    assert isinstance(carrier_event, Report)
    assert (carrier_event.is_delivered, carrier_event.error_code) == (
        (True, None) if meaning is True else (False, meaning)
    )
    assert carrier_event.error_code is None or carrier_event.error_code in FAILURES


@pytest.mark.parametrize("word", ["XYZZY", "DELIVERY", "DELIVFOO", "99", "UNKNOWNED_THING"])
def test_an_unknown_status_word_ends_nothing_and_is_logged(word: str) -> None:
    unread: list[str | None] = []
    assert to_carrier_event(by_text(f"id:9 stat:{word} err:000"), "", options(), {}, unread.append) is None
    assert unread == [word.replace("_", "")]


@pytest.mark.parametrize(
    "text", ["stat:DELIVRD", "id:5", "id:5 stat: err:001", "id:5 stat: submit date:2611231200", "hello"]
)
def test_a_receipt_without_id_or_state_is_reported(text: str) -> None:
    unread: list[str | None] = []
    assert to_carrier_event(by_text(text), "", options(), {}, unread.append) is None
    assert unread == [None]


def test_the_operators_words_count_first() -> None:
    words = {"xyzzy": "delivered", "DND": "carrier_filtered", "UNKNOWN": "unreachable", "DELIVRD": "on_the_way"}
    found = {
        word: to_carrier_event(by_text(f"id:9 stat:{word}"), "", options(receipt_states=words), {})
        for word in ("XYZZY", "DND", "UNKNOWN", "DELIVRD", "EXPIRED")
    }
    assert {word: each.error_code or each.is_delivered for word, each in found.items() if isinstance(each, Report)} == {
        "XYZZY": True, "DND": "carrier_filtered", "UNKNOWN": "unreachable", "EXPIRED": "unreachable",
    }  # fmt: skip


def test_the_operators_words_count_before_the_number() -> None:
    found = to_carrier_event(
        by_text("id:9 stat:XYZZY", tlvs=((STATE, b"\2"),)),
        "",
        options(receipt_states={"XYZZY": "carrier_filtered"}),
        {},
    )
    assert isinstance(found, Report)
    assert (found.is_delivered, found.error_code) == (False, "carrier_filtered")


# Fields as vendors write them → id, state, err.
FIELDS: list[tuple[str, tuple[str, str, str | None]]] = [
    ("id:1,sub:001,stat:EXPRD,err:27", ("1", "EXPIRED", "27")),
    ('id="1";status="Blocked";error=12', ("1", "BLOCKED", "12")),
    ("message id: 1 stat: DND err: 5", ("1", "DND", "5")),
    ("id:1 stat:NOT DELIVERED err:001 text:x", ("1", "UNDELIV", "001")),
    ("id:1 stat:DELIVERED TO HANDSET done date:2611231200", ("1", "DELIVRD", None)),
    ("id:1 stat:DELIVRD err", ("1", "DELIVRD", None)),
    ("id:1 stat:REJECTD error code:7", ("1", "REJECTD", "7")),
    ("stat:FAILED\nid:1", ("1", "UNDELIV", None)),
    ("id:1 sub: dlvrd: submit date: done date: stat:UNDELIV err:", ("1", "UNDELIV", None)),
]


@pytest.mark.parametrize(("text", "read"), FIELDS)
def test_fields_are_read_as_vendors_write_them(text: str, read: tuple[str, str, str | None]) -> None:
    found = read_receipt(by_text(text), "as_is")
    assert found is not None
    assert (found.ref, found.state.name, found.error) == read


@pytest.mark.parametrize("error", ["7", "07", "007"])
def test_an_err_has_no_leading_zeros(error: str) -> None:
    codes = {"07": "carrier_filtered"}
    carrier_event = to_carrier_event(by_text(f"id:1 stat:UNDELIV err:{error}"), "", options(receipt_errors=codes), {})
    assert isinstance(carrier_event, Report)
    assert carrier_event.error_code == "carrier_filtered"


# message_state, the word, and what counts: the one that is final, and of two failures the one that says why.
@pytest.mark.parametrize(
    ("number", "word", "read"),
    [
        (b"\1", "DELIVRD", ("DELIVRD", True, None)),
        (b"\7", "UNDELIV", ("UNDELIV", False, "unreachable")),
        (b"\5", "BLOCKED", ("BLOCKED", False, "carrier_filtered")),
        (b"\5", "ENROUTE", ("UNDELIV", False, "unreachable")),
        (b"\2", "XYZZY", ("DELIVRD", True, None)),
        (b"\2", "UNDELIV", ("DELIVRD", True, None)),
        (b"\5", "DELIVRD", ("UNDELIV", False, "unreachable")),
        (b"\0\0\0\3", "", ("EXPIRED", False, "unreachable")),
        (b"", "EXPIRED", ("EXPIRED", False, "unreachable")),
        (b"\x63", "EXPIRED", ("EXPIRED", False, "unreachable")),
    ],
)
def test_state_by_number_and_by_word(number: bytes, word: str, read: tuple[str, bool, str | None]) -> None:
    found = read_receipt(by_text(f"id:9 stat:{word}", tlvs=((STATE, number),)), "as_is")
    assert found is not None
    assert (found.state.name, found.state.is_delivered, found.state.code) == read


@pytest.mark.parametrize(
    "octets", [b"id:6 stat:EXPRD", "id:6 stat:EXPRD".encode("utf-16-be"), "id:6 stat:EXPRD".encode("utf-16")]
)
@pytest.mark.parametrize("data_coding", [0x00, 0x03, 0x08, 0xF1])
def test_a_receipt_is_read_in_every_coding(octets: bytes, data_coding: int) -> None:
    found = read_receipt(Message(esm_class=4, data_coding=data_coding, short_message=octets), "as_is")
    assert found is not None
    assert (found.ref, found.state.name) == ("6", "EXPIRED")


# Inbound messages that are not as they should be


def test_a_stop_by_mark_is_a_stop() -> None:
    message = Message(source="14155550100", short_message=b"\xff\xfe" + "STOP".encode("utf-16-le"), data_coding=8)
    carrier_event = to_carrier_event(message, "key", options(), {})
    assert isinstance(carrier_event, Inbound)
    assert (carrier_event.text, carrier_event.is_garbled) == ("STOP", False)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"short_message": b"STOP", "is_cut": True}, "STOP"),
        ({"short_message": b"\x0aSTOP", "esm_class": 0x40}, "\nSTOP"),
        ({"short_message": b"STOP", "esm_class": 0x40}, "STOP"),
        (
            {"short_message": b" STOP texting me, I want no more of this", "esm_class": 0x40},
            " STOP texting me, I want no more of this",
        ),
        ({"short_message": b"\0S\0T\0O\0P", "esm_class": 0x40, "data_coding": 8}, "STOP"),
        ({"short_message": b"\0S\0T\0O\0P\0", "data_coding": 8}, "STOP\ufffd"),
        ({"short_message": b"\xe4\x80", "data_coding": 7}, "ה\x80"),
    ],
)
def test_an_uncertain_text_is_kept_and_flagged(fields: dict[str, Any], text: str) -> None:
    carrier_event = to_carrier_event(Message(source="14155550100", **fields), "key", options(), {})
    assert isinstance(carrier_event, Inbound)
    assert (carrier_event.text, carrier_event.is_garbled) == (text, True)


@pytest.mark.parametrize(
    "message",
    [
        Message(short_message=b"\0", tlvs=((Tag.MESSAGE_PAYLOAD, b"STOP"),)),
        Message(short_message=b"ST", tlvs=((Tag.MESSAGE_PAYLOAD, b"STOP"),)),
        Message(short_message=b"STOP", tlvs=((Tag.MESSAGE_PAYLOAD, b""),)),
        Message(short_message=b"\2\x70\0STOP", esm_class=0x40),
    ],
)
def test_the_text_is_read_from_payload_or_short_message(message: Message) -> None:
    carrier_event = to_carrier_event(message, "key", options(), {})
    assert isinstance(carrier_event, Inbound)
    assert (carrier_event.text, carrier_event.is_garbled) == ("STOP", False)


@pytest.mark.parametrize("payload", [b"STOP", b"\5\0\3\x07\2\1STOP"])
def test_a_header_may_stand_before_the_payload(payload: bytes) -> None:
    message = Message(short_message=b"\5\0\3\x07\2\1", esm_class=0x40, tlvs=((Tag.MESSAGE_PAYLOAD, payload),))
    carrier_event = to_carrier_event(message, "key", options(), {})
    assert isinstance(carrier_event, Inbound)
    assert (carrier_event.text, carrier_event.part_ref, carrier_event.part_number, carrier_event.is_garbled) == (
        "STOP",
        "8:7",
        1,
        False,
    )


def test_a_part_is_one_without_being_announced() -> None:
    carrier_event = to_carrier_event(Message(short_message=b"\5\0\3\x07\2\1STOP"), "key", options(), {})
    assert isinstance(carrier_event, Inbound)
    assert (carrier_event.text, carrier_event.part_ref, carrier_event.part_number, carrier_event.part_count) == (
        "STOP",
        "8:7",
        1,
        2,
    )


@pytest.mark.parametrize("charset", ["utf-16-be", "utf-16-le"])
def test_the_parts_of_a_marked_message_are_read_alike(charset: str) -> None:
    mark = {"utf-16-be": b"\xfe\xff", "utf-16-le": b"\xff\xfe"}[charset]
    pieces = [mark + "Больше не ".encode(charset), "пишите мне".encode(charset)]
    texts = []
    for number, piece in enumerate(pieces, 1):
        header = bytes((5, 0, 3, 7, 2, number))
        carrier_event = to_carrier_event(
            Message(short_message=header + piece, esm_class=0x40, data_coding=8), "key", options(), {}
        )
        assert isinstance(carrier_event, Inbound)
        texts.append((carrier_event.text, carrier_event.is_garbled))
    assert texts == [("Больше не ", False), ("пишите мне", False)]
