"""Vonage: what is sent, each status, the signature of its own examples, delivery receipts and messages in parts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest

from msvs.api.resources import FAILURES
from msvs.carriers import vonage
from msvs.carriers.config import CarrierConfig
from msvs.carriers.protocol import Accepted, Callback, CallbackRefused, CarrierEvent, Inbound, Refused, Report, Unknown
from msvs.carriers.vonage import Method, VonageCarrier, sign
from msvs.settings import SettingsError
from tests.carriers.fakes.server import PUBLIC_URL, Answer, Sent, Taken
from tests.carriers.fakes.vonage import API_KEY, API_SECRET, SIGNATURE_SECRET, FakeVonage
from tests.carriers.under_test import HANDSET, SENDER, VonageUnderTest, a_submission

MESSAGE_ID = UUID(int=7)
NOW = 1_795_000_000
REPORTS = f"{PUBLIC_URL}/carriers/cohort-live/reports"
INBOUND = f"{PUBLIC_URL}/carriers/cohort-live/inbound"
REF = "0B00000127FDBC63"
TAKEN = Taken(
    REF,
    HANDSET.removeprefix("+"),
    SENDER.removeprefix("+"),
    "Hi",
    {"callback": REPORTS, "client-ref": MESSAGE_ID.hex, "refs": [REF]},
)
FAKE = FakeVonage()
FORMS = ["json", "form", "get"]
UNDER_TEST = VonageUnderTest


@pytest.fixture
def carrier() -> VonageCarrier:
    return a_carrier()


def a_carrier(**options: Any) -> VonageCarrier:
    given = {"api_key": API_KEY, "api_secret": API_SECRET, "signature_secret": SIGNATURE_SECRET, **options}
    return VonageCarrier(CarrierConfig("cohort-live", "vonage", given, PUBLIC_URL))


# Sending


@pytest.mark.parametrize(("encoding", "kind"), [("gsm7", "text"), ("ucs2", "unicode")])
async def test_a_message_is_a_form_with_its_id_as_the_clients_reference(
    under_test: VonageUnderTest, encoding: str, kind: str
) -> None:
    submission = a_submission(body="Table for 2 & more = fine", encoding=encoding)
    outcome = await under_test.carrier.submit(submission)
    [taken] = under_test.fake.taken
    assert outcome == Accepted(taken.ref)
    assert {name: value for name, value in taken.fields.items() if name != "refs"} == {
        "api_key": API_KEY,
        "api_secret": API_SECRET,
        "from": SENDER.removeprefix("+"),
        "to": HANDSET.removeprefix("+"),
        "text": "Table for 2 & more = fine",
        "type": kind,
        "status-report-req": "1",
        "callback": REPORTS,
        "client-ref": submission.message_id.hex,
    }


async def test_a_long_message_has_a_reference_for_each_part(under_test: VonageUnderTest) -> None:
    under_test.fake.statuses = ["0", "0", "0"]
    submission = replace(a_submission(), segments=3)
    outcome = await under_test.carrier.submit(submission)
    [taken] = under_test.fake.taken
    assert outcome == Accepted(taken.ref, tuple(taken.fields["refs"]))
    assert taken.fields["client-ref"] == f"{submission.message_id.hex}-3"
    for number, ref in enumerate(taken.fields["refs"]):
        [report] = under_test.carrier.read_callback(
            under_test.fake.report(taken, "delivered", part=number).callback()
        ).carrier_events
        assert isinstance(report, Report)
        assert (report.carrier_ref, report.message_id, report.part_count) == (ref, submission.message_id, 3)


@pytest.mark.parametrize("statuses", [["0", "1"], ["5", "0"], ["0", "0", "9"]])
async def test_a_message_of_which_one_part_is_refused_is_never_sent_again_nor_delivered(
    under_test: VonageUnderTest, statuses: list[str]
) -> None:
    under_test.fake.statuses = statuses
    outcome = await under_test.carrier.submit(a_submission())
    [taken] = under_test.fake.taken
    assert isinstance(outcome, Accepted)
    assert outcome.ref == taken.ref
    assert len(outcome.part_refs) == len(statuses)
    assert set(taken.fields["refs"]) < set(outcome.part_refs)
    assert len(set(outcome.part_refs)) == len(statuses)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"signature_secret": ""}, "signature_secret"),
        ({"signature_method": "sha3"}, "signature_method"),
        ({"signature_tolerance": 0}, "signature_tolerance"),
    ],
)
def test_options_that_cannot_be_used_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        a_carrier(**options)


# Refusals


@pytest.mark.parametrize(
    ("status", "ours"),
    [
        ("2", "carrier_rejected"),
        ("3", "carrier_rejected"),
        ("6", "carrier_rejected"),
        ("7", "carrier_rejected"),
        ("12", "carrier_rejected"),
        ("15", "sender_rejected"),
        ("22", "carrier_rejected"),
        ("29", "carrier_rejected"),
        ("33", "invalid_number"),
        ("39", "sender_rejected"),
        ("50", "carrier_filtered"),
        ("999", "carrier_rejected"),
    ],
)
async def test_each_status_has_a_code_of_ours(under_test: VonageUnderTest, status: str, ours: str) -> None:
    under_test.fake.answer = FakeVonage.error(status)
    assert await under_test.carrier.submit(a_submission()) == Refused(ours)
    assert ours in FAILURES


@pytest.mark.parametrize("status", ["1", "10"])
async def test_throttling_is_tried_again(under_test: VonageUnderTest, status: str) -> None:
    under_test.fake.answer = FakeVonage.error(status)
    assert await under_test.carrier.submit(a_submission()) == Refused("carrier_rejected", retryable=True)


@pytest.mark.parametrize("status", ["4", "8", "9", "11", "14", "23", "32"])
async def test_trouble_with_the_account_is_not_the_messages(under_test: VonageUnderTest, status: str) -> None:
    under_test.fake.answer = FakeVonage.error(status)
    outcome = await under_test.carrier.submit(a_submission())
    assert outcome == Refused("carrier_rejected", retryable=True, is_fault=True)


async def test_an_internal_error_is_unknown(under_test: VonageUnderTest) -> None:
    under_test.fake.answer = FakeVonage.error("5")
    assert await under_test.carrier.submit(a_submission()) == Unknown("carrier_error")


@pytest.mark.parametrize(
    "body",
    [{"message-count": "0", "messages": []}, {"messages": [{}]}, {"messages": [{"status": "0"}]}, {"messages": [5]}],
)
async def test_an_answer_without_a_status_or_an_id_is_unknown(under_test: VonageUnderTest, body: object) -> None:
    under_test.fake.answer = Answer(200, body)
    assert await under_test.carrier.submit(a_submission()) == Unknown("unreadable")


# Signatures


@pytest.mark.parametrize(
    ("method", "signature"),
    [
        ("md5hash", "6af838ef94998832dbfc29020b564830"),
        ("md5", "c15c21ced558c93a226c305f58f902f2"),
        ("sha1", "3e19a4e6880fdc2c1426bfd0587c98b9532f0210"),
        ("sha256", "a321e824b9b816be7c3f28859a31749a098713d39f613c80d455bbaffae1cd24"),
        (
            "sha512",
            "812a18f76680fa0fe1b8bd9ee1625466ceb1bd96242e4d050d2cfd9a7b40166c"
            "63ed26ec9702168781b6edcf1633db8ff95af9341701004eec3fcf9550572ee8",
        ),
    ],
)
def test_the_examples_of_vonages_libraries(method: Method, signature: str) -> None:
    fields = {"timestamp": "1461605396", "b": "2", "a": "1", "sig": signature}
    assert sign("secret", method, fields) == signature


def test_separators_in_a_value_are_replaced() -> None:
    assert sign("secret", "sha256", {"a": "1&b=2"}) == sign("secret", "sha256", {"a": "1_b_2"})


@pytest.mark.parametrize("method", ["md5hash", "md5", "sha1", "sha256", "sha512"])
@pytest.mark.parametrize("form", FORMS)
def test_a_receipt_is_read_in_each_form_and_method(method: str, form: str) -> None:
    sent = FakeVonage(method).report(TAKEN, "delivered", form=form)
    answer = a_carrier(signature_method=method).read_callback(sent.callback())
    assert answer.carrier_events == [Report(f"{REF}:delivered", True, None, message_id=MESSAGE_ID, carrier_ref=REF)]
    assert (answer.status, answer.body) == (200, b"")


def test_a_signature_in_capitals_is_the_same(carrier: VonageCarrier) -> None:
    fields = json.loads(FAKE.report(TAKEN, "delivered").body)
    body = json.dumps({**fields, "sig": fields["sig"].upper()}).encode()
    assert carrier.read_callback(
        Sent("POST", REPORTS, {"content-type": "application/json"}, body).callback()
    ).carrier_events


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


RECEIPT = {"messageId": REF, "status": "delivered", "client-ref": MESSAGE_ID.hex, "err-code": "0"}


@pytest.mark.parametrize("skew", [-300, 0, 300])
def test_a_fresh_receipt_is_read(carrier: VonageCarrier, skew: int) -> None:
    assert carrier.read_callback(FAKE.send(REPORTS, RECEIPT, at=NOW).callback(at(NOW + skew))).carrier_events


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("skew", [-86_400, -302, 302, 86_400])
def test_a_stale_receipt_is_refused_though_its_signature_is_right(carrier: VonageCarrier, skew: int, form: str) -> None:
    with pytest.raises(CallbackRefused, match="stale timestamp") as caught:
        carrier.read_callback(FAKE.send(REPORTS, RECEIPT, at=NOW, form=form).callback(at(NOW + skew)))
    assert caught.value.status == 403


def test_the_tolerance_is_the_operators() -> None:
    carrier = a_carrier(signature_tolerance=86_400)
    assert carrier.read_callback(FAKE.send(REPORTS, RECEIPT, at=NOW).callback(at(NOW + 80_000))).carrier_events


@pytest.mark.parametrize("change", ["missing", "empty", "not ascii", "forged", "status", "one more", "one less", "ref"])
def test_a_callback_without_vonages_signature_is_refused(carrier: VonageCarrier, change: str) -> None:
    fields = json.loads(FAKE.report(TAKEN, "failed", err_code="2").body)
    match change:
        case "missing":
            del fields["sig"]
        case "empty":
            fields["sig"] = ""
        case "not ascii":
            fields["sig"] = "ñ" * 32
        case "forged":
            fields = json.loads(FAKE.send(REPORTS, RECEIPT, secret="another").body)
        case "status":
            fields["status"] = "delivered"
        case "one more":
            fields["extra"] = "1"
        case "one less":
            del fields["price"]
        case "ref":
            fields["client-ref"] = UUID(int=8).hex
    sent = Sent("POST", REPORTS, {"content-type": "application/json"}, json.dumps(fields).encode())
    with pytest.raises(CallbackRefused, match="wrong signature") as caught:
        carrier.read_callback(sent.callback())
    assert caught.value.status == 403


def test_a_signature_of_another_method_is_refused() -> None:
    sent = FakeVonage("sha256").report(TAKEN, "delivered")
    with pytest.raises(CallbackRefused, match="wrong signature"):
        a_carrier(signature_method="md5hash").read_callback(sent.callback())


@pytest.mark.parametrize("timestamp", [None, "", "2026-11-23 10:00:00", "soon"])
def test_a_receipt_without_its_time_is_refused(carrier: VonageCarrier, timestamp: str | None) -> None:
    fields = RECEIPT if timestamp is None else {**RECEIPT, "timestamp": timestamp}
    signed = {**fields, "sig": sign(SIGNATURE_SECRET, "md5hash", fields)}
    with pytest.raises(CallbackRefused, match="no timestamp"):
        carrier.read_callback(Sent("GET", f"{REPORTS}?{urlencode(signed)}").callback())


@pytest.mark.parametrize("sent", [Sent("GET", REPORTS), Sent("POST", INBOUND)])
def test_an_address_may_be_tried(carrier: VonageCarrier, sent: Sent) -> None:
    answer = carrier.read_callback(sent.callback())
    assert (list(answer.carrier_events), answer.status) == ([], 200)


# Receipts and messages


@pytest.mark.parametrize("status", ["accepted", "buffered", "unknown", "brand-new"])
def test_a_receipt_on_the_way_brings_nothing(carrier: VonageCarrier, status: str) -> None:
    assert list(carrier.read_callback(FAKE.report(TAKEN, status).callback()).carrier_events) == []


@pytest.mark.parametrize(
    ("status", "code", "ours"),
    [
        ("failed", "", "unreachable"),
        ("failed", "777", "unreachable"),
        ("expired", "", "unreachable"),
        ("rejected", "", "carrier_rejected"),
        ("rejected", "3", "invalid_number"),
        ("rejected", "6", "carrier_filtered"),
        ("failed", "9", "recipient_opted_out"),
        *(("failed", code, ours) for code, ours in vonage.ERRORS.items()),
    ],
)
def test_a_failure_has_a_code_of_ours(carrier: VonageCarrier, status: str, code: str, ours: str) -> None:
    [report] = carrier.read_callback(FAKE.report(TAKEN, status, err_code=code).callback()).carrier_events
    assert report == Report(f"{REF}:{status}", False, ours, message_id=MESSAGE_ID, carrier_ref=REF)
    assert ours in FAILURES


@pytest.mark.parametrize(
    "client_ref",
    ["", "order-17", str(MESSAGE_ID), *(f"{MESSAGE_ID.hex}{end}" for end in ("x", "-", "-1", "-100", "-3x"))],
)
def test_a_receipt_without_our_id_goes_by_vonages(carrier: VonageCarrier, client_ref: str) -> None:
    [report] = carrier.read_callback(
        FAKE.send(REPORTS, {**RECEIPT, "client-ref": client_ref}).callback()
    ).carrier_events
    assert report == Report(f"{REF}:delivered", True, None, message_id=None, carrier_ref=REF)


@pytest.mark.parametrize("form", FORMS)
def test_a_message_of_a_handset_is_read(carrier: VonageCarrier, form: str) -> None:
    text = "Sim & obrigado = ótimo 👍"
    sent = FAKE.inbound("cohort-live", HANDSET, SENDER, text, form=form, messageId="0A1", type="unicode")
    assert carrier.read_callback(sent.callback()).carrier_events == [Inbound("in:0A1", HANDSET, SENDER, text)]


@pytest.mark.parametrize("sender", ["28777", "28777123"])
def test_a_short_code_stays_as_it_is(carrier: VonageCarrier, sender: str) -> None:
    sent = FAKE.inbound("cohort-live", HANDSET, sender, "Hi", messageId="0A1")
    assert carrier.read_callback(sent.callback()).carrier_events == [Inbound("in:0A1", HANDSET, sender, "Hi")]


@pytest.mark.parametrize("form", FORMS)
def test_a_long_message_comes_in_parts(carrier: VonageCarrier, form: str) -> None:
    found: list[CarrierEvent] = []
    for number, text in ((2, "second half"), (1, "first half, ")):
        part = {"concat": "true", "concat-ref": "77", "concat-total": "2", "concat-part": str(number)}
        sent = FAKE.inbound("cohort-live", HANDSET, SENDER, text, form=form, messageId=f"0A{number}", **part)
        found += carrier.read_callback(sent.callback()).carrier_events
    assert found == [
        Inbound("in:0A2", HANDSET, SENDER, "second half", part_ref="77", part_number=2, part_count=2),
        Inbound("in:0A1", HANDSET, SENDER, "first half, ", part_ref="77", part_number=1, part_count=2),
    ]


def test_a_flag_that_is_json_is_the_same_as_text(carrier: VonageCarrier) -> None:
    fields = {"msisdn": "14155550199", "to": "14155550100", "messageId": "0A1", "text": "Hi", "concat": "true"}
    numbers = {"concat-ref": "77", "concat-total": "2", "concat-part": "1", "timestamp": str(NOW)}
    signature = sign(SIGNATURE_SECRET, "md5hash", {**fields, **numbers})
    body = {**fields, **{name: int(value) for name, value in numbers.items()}, "concat": True, "sig": signature}
    sent = Sent("POST", INBOUND, {"content-type": "application/json"}, json.dumps(body).encode())
    [message] = carrier.read_callback(sent.callback(at(NOW))).carrier_events
    assert message == Inbound("in:0A1", HANDSET, SENDER, "Hi", part_ref="77", part_number=1, part_count=2)


def test_a_binary_message_brings_nothing(carrier: VonageCarrier) -> None:
    sent = FAKE.inbound("cohort-live", HANDSET, SENDER, "", type="binary", data="0011", udh="06050415811581")
    assert list(carrier.read_callback(sent.callback()).carrier_events) == []


@pytest.mark.parametrize(
    ("url", "fields"),
    [
        (REPORTS, {"status": "delivered"}),
        (REPORTS, {"messageId": "0A1"}),
        (REPORTS, {"messageId": "0" * 65, "status": "delivered"}),
        (INBOUND, {"messageId": "0A1", "to": "14155550100"}),
        (INBOUND, {"messageId": "0A1", "msisdn": "14155550199"}),
        (INBOUND, {"to": "14155550100", "msisdn": "14155550199"}),
        *(
            (
                INBOUND,
                {
                    "messageId": "0A1",
                    "to": "1",
                    "msisdn": "2",
                    "concat": "true",
                    "concat-part": part,
                    "concat-total": of,
                },
            )
            for part, of in (("", ""), ("3", "2"), ("0", "2"), ("1", "256"), ("x", "2"))
        ),
    ],
)
def test_an_incomplete_signed_callback_is_refused(carrier: VonageCarrier, url: str, fields: dict[str, str]) -> None:
    with pytest.raises(CallbackRefused) as caught:
        carrier.read_callback(FAKE.send(url, fields).callback())
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b'{"a": {}}'),
        ("application/json", b'{"a": null}'),
        ("application/json", b'{"a":' * 10_000),
        ("application/json", b'{"a": ' + b"9" * 5_000 + b"}"),
        ("application/x-www-form-urlencoded", b"a=%ff"),
    ],
)
def test_what_cannot_be_read_is_refused(carrier: VonageCarrier, kind: str, body: bytes) -> None:
    with pytest.raises(CallbackRefused) as caught:
        carrier.read_callback(Callback("reports", "POST", REPORTS, {"content-type": kind}, body, at(NOW)))
    assert caught.value.status == 400
