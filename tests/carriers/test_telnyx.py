"""Telnyx: what is sent, each error code, Ed25519 signatures with their time, events."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from msvs.api.resources import FAILURES
from msvs.carriers import telnyx
from msvs.carriers.config import CarrierConfig
from msvs.carriers.protocol import Accepted, Callback, CallbackRefused, Inbound, Refused, Report
from msvs.carriers.telnyx import TelnyxCarrier
from msvs.settings import SettingsError
from tests.carriers.fakes.server import PUBLIC_URL, Answer, Sent, Taken
from tests.carriers.fakes.telnyx import API_KEY, PUBLIC_KEY, FakeTelnyx
from tests.carriers.under_test import HANDSET, SENDER, TelnyxUnderTest, a_submission

MESSAGE_ID = UUID(int=7)
NOW = 1_795_000_000
REPORTS = f"{PUBLIC_URL}/carriers/cohort-live/reports"
INBOUND = f"{PUBLIC_URL}/carriers/cohort-live/inbound"
TAKEN = Taken(
    "40385f64-5717-4562-b3fc-2c963f66afa6",
    HANDSET,
    SENDER,
    "Hi",
    {"webhook_url": f"{REPORTS}?message={MESSAGE_ID.hex}"},
)
FAKE = FakeTelnyx()
UNDER_TEST = TelnyxUnderTest


@pytest.fixture
def carrier() -> TelnyxCarrier:
    return a_carrier()


def a_carrier(**options: Any) -> TelnyxCarrier:
    given = {"api_key": API_KEY, "public_key": PUBLIC_KEY, **options}
    return TelnyxCarrier(CarrierConfig("cohort-live", "telnyx", given, PUBLIC_URL))


# Sending


async def test_a_message_is_json_with_its_id_in_the_webhook(under_test: TelnyxUnderTest) -> None:
    submission = a_submission(body='Table "2" & more? 👋')
    outcome = await under_test.carrier.submit(submission)
    [taken] = under_test.fake.taken
    assert outcome == Accepted(taken.ref)
    assert taken.fields == {
        "from": SENDER,
        "to": HANDSET,
        "text": 'Table "2" & more? 👋',
        "type": "SMS",
        "webhook_url": f"{REPORTS}?message={submission.message_id.hex}",
    }


async def test_a_messaging_profile_goes_along(under_test: TelnyxUnderTest) -> None:
    carrier = under_test.make(**under_test.options, messaging_profile_id="profile-1")
    await carrier.submit(a_submission())
    await carrier.close()
    assert under_test.fake.taken[0].fields["messaging_profile_id"] == "profile-1"


@pytest.mark.parametrize("public_key", ["", "not base64", "AAAA", b64encode(bytes(33)).decode()])
def test_a_public_key_that_is_none_is_refused(public_key: str) -> None:
    with pytest.raises(SettingsError, match="carrier cohort-live: public_key must be an Ed25519 key in base64"):
        a_carrier(public_key=public_key)


# Refusals


@pytest.mark.parametrize("code", sorted(telnyx.ERRORS))
@pytest.mark.parametrize("status", [400, 403, 422])
async def test_each_error_has_a_code_of_ours(under_test: TelnyxUnderTest, code: str, status: int) -> None:
    under_test.fake.answer = FakeTelnyx.error(code, status)
    assert await under_test.carrier.submit(a_submission()) == Refused(telnyx.ERRORS[code])
    assert telnyx.ERRORS[code] in FAILURES


@pytest.mark.parametrize(
    ("code", "ours"),
    [
        ("40001", "number_type_blocked"),
        ("40002", "carrier_filtered"),
        ("40006", "unreachable"),
        ("40010", "sender_rejected"),
        ("40012", "invalid_number"),
        ("40300", "recipient_opted_out"),
        ("40305", "sender_rejected"),
        ("40309", "region_blocked"),
        ("40310", "invalid_number"),
    ],
)
def test_what_the_common_errors_mean(code: str, ours: str) -> None:
    assert telnyx.ERRORS[code] == ours


async def test_an_error_that_is_not_in_the_table_is_a_refusal(under_test: TelnyxUnderTest) -> None:
    under_test.fake.answer = FakeTelnyx.error("40302", 422)
    assert await under_test.carrier.submit(a_submission()) == Refused("carrier_rejected")


@pytest.mark.parametrize(("code", "status"), [("10011", 429), ("40318", 422), ("40320", 422)])
@pytest.mark.parametrize("header", ["Retry-After", "x-ratelimit-reset"])
async def test_throttling_is_tried_again_when_telnyx_says(
    under_test: TelnyxUnderTest, code: str, status: int, header: str
) -> None:
    under_test.fake.answer = FakeTelnyx.error(code, status, {header: "7"})
    assert await under_test.carrier.submit(a_submission()) == Refused(
        "carrier_rejected", retryable=True, retry_after=7.0
    )


@pytest.mark.parametrize("code", sorted(telnyx.FAULTS))
async def test_trouble_with_the_account_is_not_the_messages(under_test: TelnyxUnderTest, code: str) -> None:
    under_test.fake.answer = FakeTelnyx.error(code, 403)
    outcome = await under_test.carrier.submit(a_submission())
    assert outcome == Refused("carrier_rejected", retryable=True, is_fault=True)


async def test_a_code_may_be_a_number(under_test: TelnyxUnderTest) -> None:
    under_test.fake.answer = Answer(422, {"errors": [{"code": 99}, {"code": 40310}]})
    assert await under_test.carrier.submit(a_submission()) == Refused("invalid_number")


def test_a_code_means_one_thing() -> None:
    assert telnyx.THROTTLES.isdisjoint(telnyx.FAULTS)
    assert (telnyx.THROTTLES | telnyx.FAULTS).isdisjoint(telnyx.ERRORS)


# Signatures


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.mark.parametrize("skew", [-300, -1, 0, 1, 300])
def test_a_fresh_event_is_read(carrier: TelnyxCarrier, skew: int) -> None:
    body = FAKE.report(TAKEN, "delivered").body
    answer = carrier.read_callback(FakeTelnyx.send(REPORTS, body, at=NOW).callback(at(NOW + skew)))
    assert len(answer.carrier_events) == 1


@pytest.mark.parametrize("skew", [-86_400, -302, 302, 86_400])
def test_a_stale_event_is_refused_though_its_signature_is_right(carrier: TelnyxCarrier, skew: int) -> None:
    body = FAKE.report(TAKEN, "delivered").body
    with pytest.raises(CallbackRefused, match="stale timestamp") as caught:
        carrier.read_callback(FakeTelnyx.send(REPORTS, body, at=NOW).callback(at(NOW + skew)))
    assert caught.value.status == 403


def test_the_tolerance_is_the_operators() -> None:
    body = FAKE.report(TAKEN, "delivered").body
    carrier = a_carrier(signature_tolerance=3600)
    assert carrier.read_callback(FakeTelnyx.send(REPORTS, body, at=NOW).callback(at(NOW + 3000))).carrier_events


def altered(sent: Sent, change: str) -> Callback:
    callback = sent.callback(at(NOW))
    headers, body = dict(callback.headers), callback.body
    signature, timestamp = headers["telnyx-signature-ed25519"], headers["telnyx-timestamp"]
    match change:
        case "no signature":
            del headers["telnyx-signature-ed25519"]
        case "no timestamp":
            del headers["telnyx-timestamp"]
        case "neither":
            headers = {}
        case "not base64":
            headers["telnyx-signature-ed25519"] = "%%%"
        case "not ascii":
            headers["telnyx-signature-ed25519"] = "ñ" * 88
        case "short":
            headers["telnyx-signature-ed25519"] = signature[:40]
        case "another key":
            other = Ed25519PrivateKey.from_private_bytes(bytes(32))
            headers = dict(FakeTelnyx.send(REPORTS, body, at=NOW, key=other).callback().headers)
        case "another time":
            headers["telnyx-timestamp"] = str(int(timestamp) + 1)
        case "time of another form":
            headers["telnyx-timestamp"] = f"{timestamp}.0"
        case "body":
            body = body.replace(b"delivered", b"sent")
        case "space":
            body += b" "
    return Callback(callback.kind, callback.method, callback.url, headers, body, callback.now)


@pytest.mark.parametrize(
    "change",
    [
        "no signature",
        "no timestamp",
        "neither",
        "not base64",
        "not ascii",
        "short",
        "another key",
        "another time",
        "time of another form",
        "body",
        "space",
    ],
)
def test_a_callback_without_telnyxs_signature_is_refused(carrier: TelnyxCarrier, change: str) -> None:
    sent = FakeTelnyx.send(REPORTS, FAKE.report(TAKEN, "delivered").body, at=NOW)
    assert carrier.read_callback(sent.callback(at(NOW))).carrier_events
    with pytest.raises(CallbackRefused, match="wrong signature") as caught:
        carrier.read_callback(altered(sent, change))
    assert caught.value.status == 403


@pytest.mark.parametrize("timestamp", ["", "now", "1795000000.0", "-1795000000", "٣"])
def test_a_signed_time_must_be_one(carrier: TelnyxCarrier, timestamp: str) -> None:
    body = FAKE.report(TAKEN, "delivered").body
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    signature = b64encode(key.sign(timestamp.encode() + b"|" + body)).decode()
    headers = {"telnyx-signature-ed25519": signature, "telnyx-timestamp": timestamp}
    with pytest.raises(CallbackRefused, match="no timestamp"):
        carrier.read_callback(Sent("POST", REPORTS, headers, body).callback(at(NOW)))


# Events


def test_a_final_event_is_read(carrier: TelnyxCarrier) -> None:
    answer = carrier.read_callback(FAKE.report(TAKEN, "delivered").callback())
    assert answer.carrier_events == [
        Report(f"{TAKEN.ref}:delivered", True, None, message_id=MESSAGE_ID, carrier_ref=TAKEN.ref)
    ]
    assert (answer.status, answer.body) == (200, b"")


def test_the_id_is_of_the_signed_url_and_not_of_the_one_called(carrier: TelnyxCarrier) -> None:
    sent = FAKE.report(TAKEN, "delivered")
    moved = Sent(sent.method, f"{REPORTS}?message={UUID(int=8).hex}", sent.headers, sent.body)
    [report] = carrier.read_callback(moved.callback()).carrier_events
    assert isinstance(report, Report)
    assert report.message_id == MESSAGE_ID


@pytest.mark.parametrize("url", [None, "", REPORTS, f"{REPORTS}?message=xyz", "https://elsewhere.example/?a=1"])
def test_a_report_without_our_id_goes_by_telnyxs(carrier: TelnyxCarrier, url: str | None) -> None:
    taken = Taken(TAKEN.ref, HANDSET, SENDER, "Hi", {"webhook_url": url})
    body = FAKE.report(taken, "delivered").body
    [report] = carrier.read_callback(FakeTelnyx.send(REPORTS, body).callback()).carrier_events
    assert report == Report(f"{TAKEN.ref}:delivered", True, None, message_id=None, carrier_ref=TAKEN.ref)


@pytest.mark.parametrize(
    ("event_type", "status"),
    [
        ("message.sent", "sent"),
        ("message.sent", "delivered"),
        ("message.finalized", "delivery_unconfirmed"),
        ("message.finalized", "brand_new"),
        ("message.brand_new", "delivered"),
    ],
)
def test_an_event_on_the_way_brings_nothing(carrier: TelnyxCarrier, event_type: str, status: str) -> None:
    answer = carrier.read_callback(FAKE.report(TAKEN, status, event_type=event_type).callback())
    assert (list(answer.carrier_events), answer.status) == ([], 200)


@pytest.mark.parametrize(
    ("status", "codes", "ours"),
    [
        ("delivery_failed", [], "unreachable"),
        ("delivery_failed", ["49999"], "unreachable"),
        ("sending_failed", [], "carrier_rejected"),
        ("expired", [], "unreachable"),
        ("delivery_failed", ["49999", "40002"], "carrier_filtered"),
        *(("delivery_failed", [code], ours) for code, ours in telnyx.ERRORS.items()),
    ],
)
def test_a_failure_has_a_code_of_ours(carrier: TelnyxCarrier, status: str, codes: list[str], ours: str) -> None:
    [report] = carrier.read_callback(FAKE.report(TAKEN, status, codes=codes).callback()).carrier_events
    assert report == Report(f"{TAKEN.ref}:{status}", False, ours, message_id=MESSAGE_ID, carrier_ref=TAKEN.ref)
    assert ours in FAILURES


@pytest.mark.parametrize("text", ["Sim, obrigado 👍", "", None])
def test_a_message_of_a_handset_is_read(carrier: TelnyxCarrier, text: str | None) -> None:
    answer = carrier.read_callback(FAKE.inbound("cohort-live", HANDSET, SENDER, text, message_id="m-9").callback())
    assert answer.carrier_events == [Inbound("in:m-9", HANDSET, SENDER, text or "")]


@pytest.mark.parametrize(("kind", "is_opt_out"), [("STOP", True), ("START", False), ("HELP", False), (None, False)])
def test_an_opt_out_recognized_by_telnyx_counts(carrier: TelnyxCarrier, kind: str | None, is_opt_out: bool) -> None:
    payload = {
        "id": "m-9",
        "from": {"phone_number": HANDSET},
        "to": [{"phone_number": SENDER}],
        "text": "No more",
        "autoresponse_type": kind,
    }
    sent = FakeTelnyx.send(INBOUND, FakeTelnyx.event("message.received", payload))
    [message] = carrier.read_callback(sent.callback()).carrier_events
    assert message == Inbound("in:m-9", HANDSET, SENDER, "No more", is_opt_out=is_opt_out)


def test_either_event_is_read_at_either_address(carrier: TelnyxCarrier) -> None:
    report = FAKE.report(TAKEN, "delivered")
    assert carrier.read_callback(FakeTelnyx.send(INBOUND, report.body).callback()).carrier_events


@pytest.mark.parametrize(
    "event",
    [
        [],
        {},
        {"data": {}},
        {"data": {"event_type": "message.finalized"}},
        {"data": {"event_type": "message.finalized", "payload": {}}},
        {"data": {"event_type": "message.finalized", "payload": {"id": "m-1", "to": []}}},
        {"data": {"event_type": "message.finalized", "payload": {"id": "", "to": [{"status": "delivered"}]}}},
        {"data": {"event_type": "message.received", "payload": {"id": "m-1", "to": [{"phone_number": "+1"}]}}},
        {"data": {"event_type": "message.received", "payload": {"id": "m-1", "from": {"phone_number": "+1"}}}},
    ],
)
def test_an_incomplete_signed_callback_is_refused(carrier: TelnyxCarrier, event: object) -> None:
    with pytest.raises(CallbackRefused) as caught:
        carrier.read_callback(FakeTelnyx.send(REPORTS, json.dumps(event).encode(), at=time.time()).callback())
    assert caught.value.status == 400


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"data=1"])
def test_a_body_that_is_not_json_is_refused(carrier: TelnyxCarrier, body: bytes) -> None:
    with pytest.raises(CallbackRefused, match="not an event"):
        carrier.read_callback(FakeTelnyx.send(REPORTS, body).callback())
