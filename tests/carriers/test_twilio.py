"""Twilio: what is sent, each error code, the signature of its own examples, status callbacks and messages."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest

from msvs.api.resources import FAILURES
from msvs.carriers import twilio
from msvs.carriers.config import CarrierConfig
from msvs.carriers.protocol import Accepted, Callback, CallbackRefused, Inbound, Refused, Report
from msvs.carriers.twilio import TwilioCarrier, sign
from msvs.settings import SettingsError
from tests.carriers.fakes.server import PUBLIC_URL, Answer, Sent, Taken
from tests.carriers.fakes.twilio import ACCOUNT_SID, AUTH_TOKEN, FakeTwilio
from tests.carriers.under_test import HANDSET, SENDER, TwilioUnderTest, a_submission

MESSAGE_ID = UUID(int=7)
TAKEN = Taken(
    "SM" + "2" * 32,
    HANDSET,
    SENDER,
    "Hi",
    {"StatusCallback": f"{PUBLIC_URL}/carriers/cohort-live/reports?message={MESSAGE_ID.hex}"},
)
FAKE = FakeTwilio()
UNDER_TEST = TwilioUnderTest


@pytest.fixture
def carrier() -> TwilioCarrier:
    return a_carrier()


def a_carrier(**options: Any) -> TwilioCarrier:
    given = {"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN, **options}
    return TwilioCarrier(CarrierConfig("cohort-live", "twilio", given, PUBLIC_URL))


# Sending


async def test_a_message_is_a_form_with_its_id_in_the_callback(under_test: TwilioUnderTest) -> None:
    submission = a_submission(body="Table for 2 & more? 👋 = fine", encoding="ucs2")
    outcome = await under_test.carrier.submit(submission)
    [taken] = under_test.fake.taken
    assert outcome == Accepted(taken.ref)
    assert taken.fields == {
        "To": HANDSET,
        "From": SENDER,
        "Body": "Table for 2 & more? 👋 = fine",
        "StatusCallback": f"{PUBLIC_URL}/carriers/cohort-live/reports?message={submission.message_id.hex}",
    }


async def test_a_messaging_service_and_a_validity_go_along(under_test: TwilioUnderTest) -> None:
    carrier = under_test.make(**under_test.options, messaging_service_sid="MG77", validity_period=600)
    await carrier.submit(a_submission())
    await carrier.close()
    [taken] = under_test.fake.taken
    assert (taken.fields["MessagingServiceSid"], taken.fields["ValidityPeriod"]) == ("MG77", "600")
    assert taken.sender == SENDER


async def test_an_api_key_signs_in_and_the_token_still_verifies() -> None:
    async with FakeTwilio.listening(user="SK0123", password="key-secret") as fake:
        carrier = a_carrier(base_url=fake.origin, api_key="SK0123", api_secret="key-secret")
        assert isinstance(await carrier.submit(a_submission()), Accepted)
        await carrier.close()
        assert carrier.read_callback(fake.report(fake.taken[0], "delivered").callback()).carrier_events


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"account_sid": "AC123"}, "account_sid"),
        ({"api_key": "SK0123"}, "api_key and api_secret go together"),
        ({"api_secret": "x"}, "api_key and api_secret go together"),
        ({"validity_period": 36_001}, "validity_period"),
        ({"auth_token": ""}, "auth_token"),
    ],
)
def test_options_that_cannot_be_used_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        a_carrier(**options)


def test_the_token_is_needed_also_with_an_api_key() -> None:
    given = {"account_sid": ACCOUNT_SID, "api_key": "SK0123", "api_secret": "x"}
    with pytest.raises(SettingsError, match="auth_token"):
        TwilioCarrier(CarrierConfig("cohort-live", "twilio", given, PUBLIC_URL))


# Refusals


@pytest.mark.parametrize("code", sorted(twilio.ERRORS))
@pytest.mark.parametrize("status", [400, 403])
async def test_each_error_has_a_code_of_ours(under_test: TwilioUnderTest, code: int, status: int) -> None:
    under_test.fake.answer = FakeTwilio.error(code, status)
    assert await under_test.carrier.submit(a_submission()) == Refused(twilio.ERRORS[code])
    assert twilio.ERRORS[code] in FAILURES


@pytest.mark.parametrize(
    ("code", "ours"),
    [
        (21211, "invalid_number"),
        (21408, "region_blocked"),
        (21606, "sender_rejected"),
        (21610, "recipient_opted_out"),
        (21614, "number_type_blocked"),
        (30003, "unreachable"),
        (30005, "invalid_number"),
        (30006, "number_type_blocked"),
        (30007, "carrier_filtered"),
        (30034, "sender_rejected"),
    ],
)
def test_what_the_common_errors_mean(code: int, ours: str) -> None:
    assert twilio.ERRORS[code] == ours


@pytest.mark.parametrize("code", [21602, 21617, 99999])
async def test_an_error_that_is_not_in_the_table_is_a_refusal(under_test: TwilioUnderTest, code: int) -> None:
    under_test.fake.answer = FakeTwilio.error(code, 400)
    assert await under_test.carrier.submit(a_submission()) == Refused("carrier_rejected")


@pytest.mark.parametrize(("code", "status"), [(20429, 429), (21611, 400), (14107, 400)])
async def test_throttling_is_tried_again_when_twilio_says(under_test: TwilioUnderTest, code: int, status: int) -> None:
    under_test.fake.answer = FakeTwilio.error(code, status, Retry_After="7")
    assert await under_test.carrier.submit(a_submission()) == Refused(
        "carrier_rejected", retryable=True, retry_after=7.0
    )


@pytest.mark.parametrize("code", sorted(twilio.FAULTS))
async def test_trouble_with_the_account_is_not_the_messages(under_test: TwilioUnderTest, code: int) -> None:
    under_test.fake.answer = FakeTwilio.error(code, 400)
    outcome = await under_test.carrier.submit(a_submission())
    assert outcome == Refused("carrier_rejected", retryable=True, is_fault=True)


def test_a_code_means_one_thing() -> None:
    assert twilio.THROTTLES.isdisjoint(twilio.FAULTS)
    assert (twilio.THROTTLES | twilio.FAULTS).isdisjoint(twilio.ERRORS)


# Signatures

URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FORM = [
    ("Digits", "1234"),
    ("To", "+18005551212"),
    ("From", "+14158675309"),
    ("Caller", "+14158675309"),
    ("CallSid", "CA1234567890ABCDE"),
]
REPEATED = [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")]
BODY = b'{"property": "value", "boolean": true}'
BODY_HASH = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"


@pytest.mark.parametrize(
    ("url", "form", "signature"),
    [
        (URL, FORM, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (URL, REPEATED, "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
        (URL.replace("mycompany.com", "MyCompany.com"), FORM, "g9IN/x4Cft2g517EjYvEvM/W7LU="),
        (URL.replace("mycompany.com", "MyCompany.com:1234"), FORM, "PCqOZm8cnu/L6+u5i5fuEd+Iac4="),
        (URL.replace(".com", ".com:443"), FORM, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        (URL.replace(".com", ".com:1234"), FORM, "CYn1h0gLBdNxDGkKJg6hYohgeD8="),
        (f"{URL}&bodySHA256={BODY_HASH}", [], "a9nBmqA0ju/hNViExpshrM61xv4="),
        (f"https://mycompany.com/myapp.php?bodySHA256={BODY_HASH}", [], "y77kIzt2vzLz71DgmJGsen2scGs="),
    ],
)
def test_the_examples_of_twilios_documentation_and_libraries(
    url: str, form: list[tuple[str, str]], signature: str
) -> None:
    assert sign("12345", url, form) == signature


def test_a_status_callback_is_read(carrier: TwilioCarrier) -> None:
    answer = carrier.read_callback(FAKE.report(TAKEN, "delivered").callback())
    assert answer.carrier_events == [
        Report(f"{TAKEN.ref}:delivered", True, None, message_id=MESSAGE_ID, carrier_ref=TAKEN.ref)
    ]
    assert (answer.status, answer.content_type) == (200, "text/xml")
    assert answer.body == b'<?xml version="1.0" encoding="UTF-8"?><Response></Response>'


@pytest.mark.parametrize(
    ("configured", "signed"),
    [
        ("https://sms.cohortlabs.co", "https://sms.cohortlabs.co:443"),
        ("https://sms.cohortlabs.co:8443", "https://sms.cohortlabs.co"),
        ("https://sms.cohortlabs.co:8443", "https://sms.cohortlabs.co:8443"),
        ("http://sms.cohortlabs.co", "http://sms.cohortlabs.co:80"),
    ],
)
def test_a_port_may_be_signed_or_not(carrier: TwilioCarrier, configured: str, signed: str) -> None:
    path, fields = "/carriers/cohort-live/reports", {"MessageSid": "SM1", "MessageStatus": "delivered"}
    sent = FakeTwilio.send(signed + path, fields)
    arrived = Sent(sent.method, configured + path, sent.headers, sent.body)
    assert len(carrier.read_callback(arrived.callback()).carrier_events) == 1


def altered(sent: Sent, change: str) -> Callback:
    callback = sent.callback()
    headers, url, body, method = dict(callback.headers), callback.url, callback.body, callback.method
    signature = headers["x-twilio-signature"]
    match change:
        case "missing":
            del headers["x-twilio-signature"]
        case "empty":
            headers["x-twilio-signature"] = ""
        case "not ascii":
            headers["x-twilio-signature"] = "ñ" * 28
        case "forged":
            headers["x-twilio-signature"] = sign("another token", url, FORM)
        case "truncated":
            headers["x-twilio-signature"] = signature[:-1]
        case "status":
            body = body.replace(b"undelivered", b"delivered")
        case "one more field":
            body += b"&Extra=1"
        case "one field less":
            body = body.partition(b"&")[2]
        case "message id":
            url = url.replace(MESSAGE_ID.hex, UUID(int=8).hex)
        case "host":
            url = url.replace("sms.cohortlabs.co", "evil.example")
        case "method":
            method = "GET"
        case "json":
            headers["content-type"] = "application/json"
            body = b'{"MessageSid": "SM1", "MessageStatus": "delivered"}'
    return Callback(callback.kind, method, url, headers, body, callback.now)


@pytest.mark.parametrize(
    "change",
    [
        "missing",
        "empty",
        "not ascii",
        "forged",
        "truncated",
        "status",
        "one more field",
        "one field less",
        "message id",
        "host",
        "method",
        "json",
    ],
)
def test_a_callback_without_twilios_signature_is_refused(carrier: TwilioCarrier, change: str) -> None:
    sent = FAKE.report(TAKEN, "undelivered", error_code=30003)
    assert carrier.read_callback(sent.callback()).carrier_events
    with pytest.raises(CallbackRefused, match="wrong signature") as caught:
        carrier.read_callback(altered(sent, change))
    assert caught.value.status == 403


def test_json_is_signed_by_the_hash_of_its_body(carrier: TwilioCarrier) -> None:
    body = b'{"MessageSid": "SM1", "MessageStatus": "delivered", "Price": 1}'
    url = f"{PUBLIC_URL}/carriers/cohort-live/reports?bodySHA256={hashlib.sha256(body).hexdigest()}"
    headers = {"Content-Type": "application/json; charset=utf-8", "X-Twilio-Signature": sign(AUTH_TOKEN, url)}
    [report] = carrier.read_callback(Sent("POST", url, headers, body).callback()).carrier_events
    assert report.dedupe_key == "SM1:delivered"
    with pytest.raises(CallbackRefused, match="wrong hash of the body"):
        carrier.read_callback(Sent("POST", url, headers, body.replace(b"SM1", b"SM2")).callback())
    bare = url.partition("?")[0]
    headers["X-Twilio-Signature"] = sign(AUTH_TOKEN, bare)
    with pytest.raises(CallbackRefused, match="wrong hash of the body"):
        carrier.read_callback(Sent("POST", bare, headers, body).callback())


def test_a_get_is_signed_by_its_url(carrier: TwilioCarrier) -> None:
    fields = {"MessageSid": "SM1", "MessageStatus": "delivered", "message": MESSAGE_ID.hex}
    url = f"{PUBLIC_URL}/carriers/cohort-live/reports?{urlencode(fields)}"
    sent = Sent("GET", url, {"X-Twilio-Signature": sign(AUTH_TOKEN, url)})
    [report] = carrier.read_callback(sent.callback()).carrier_events
    assert report == Report("SM1:delivered", True, None, message_id=MESSAGE_ID, carrier_ref="SM1")


# Callbacks


@pytest.mark.parametrize("status", ["accepted", "scheduled", "queued", "sending", "sent", "receiving", "brand-new"])
def test_a_status_on_the_way_brings_nothing(carrier: TwilioCarrier, status: str) -> None:
    answer = carrier.read_callback(FAKE.report(TAKEN, status).callback())
    assert (list(answer.carrier_events), answer.status) == ([], 200)


@pytest.mark.parametrize(
    ("status", "code", "ours"),
    [
        ("undelivered", None, "unreachable"),
        ("undelivered", 31_000, "unreachable"),
        ("failed", None, "carrier_rejected"),
        ("canceled", None, "carrier_rejected"),
        *(("undelivered", code, ours) for code, ours in twilio.ERRORS.items()),
    ],
)
def test_a_failure_has_a_code_of_ours(carrier: TwilioCarrier, status: str, code: int | None, ours: str) -> None:
    [report] = carrier.read_callback(FAKE.report(TAKEN, status, error_code=code).callback()).carrier_events
    assert report == Report(f"{TAKEN.ref}:{status}", False, ours, message_id=MESSAGE_ID, carrier_ref=TAKEN.ref)
    assert ours in FAILURES


@pytest.mark.parametrize("query", ["", "?message=", "?message=xyz", f"?message={MESSAGE_ID}", "?other=1"])
def test_a_report_without_our_id_goes_by_twilios(carrier: TwilioCarrier, query: str) -> None:
    url = f"{PUBLIC_URL}/carriers/cohort-live/reports{query}"
    [report] = carrier.read_callback(
        FakeTwilio.send(url, {"MessageSid": "SM1", "MessageStatus": "delivered"}).callback()
    ).carrier_events
    assert report == Report("SM1:delivered", True, None, message_id=None, carrier_ref="SM1")


def test_a_message_of_a_handset_is_read(carrier: TwilioCarrier) -> None:
    text = "Sim & obrigado = ótimo 👍\nAté já"
    answer = carrier.read_callback(FAKE.inbound("cohort-live", HANDSET, SENDER, text, sid="SM9").callback())
    assert answer.carrier_events == [Inbound("in:SM9", HANDSET, SENDER, text)]
    assert (answer.content_type, answer.body) == ("text/xml", twilio.EMPTY_TWIML)


@pytest.mark.parametrize(("kind", "is_opt_out"), [("STOP", True), ("START", False), ("HELP", False), ("", False)])
def test_an_opt_out_recognized_by_twilio_counts(carrier: TwilioCarrier, kind: str, is_opt_out: bool) -> None:
    fields = {"From": HANDSET, "To": SENDER, "Body": "No more", "MessageSid": "SM9", "OptOutType": kind}
    url = f"{PUBLIC_URL}/carriers/cohort-live/inbound"
    [message] = carrier.read_callback(FakeTwilio.send(url, fields).callback()).carrier_events
    assert message == Inbound("in:SM9", HANDSET, SENDER, "No more", is_opt_out=is_opt_out)


def test_a_picture_without_words_is_an_empty_message(carrier: TwilioCarrier) -> None:
    answer = carrier.read_callback(FAKE.inbound("cohort-live", HANDSET, SENDER, "", sid="SM9").callback())
    assert answer.carrier_events == [Inbound("in:SM9", HANDSET, SENDER, "")]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("reports", {"MessageStatus": "delivered"}),
        ("reports", {"MessageSid": "SM1"}),
        ("reports", {"MessageSid": "S" * 65, "MessageStatus": "delivered"}),
        ("inbound", {"From": HANDSET, "To": SENDER, "Body": "Hi"}),
        ("inbound", {"MessageSid": "SM1", "To": SENDER, "Body": "Hi"}),
        ("inbound", {"MessageSid": "SM1", "From": HANDSET, "Body": "Hi"}),
    ],
)
def test_an_incomplete_signed_callback_is_refused(carrier: TwilioCarrier, kind: str, fields: dict[str, str]) -> None:
    with pytest.raises(CallbackRefused) as caught:
        carrier.read_callback(FakeTwilio.send(f"{PUBLIC_URL}/carriers/cohort-live/{kind}", fields).callback())
    assert caught.value.status == 400


@pytest.mark.parametrize("body", [b"\xff\xfe", b"a=%ff", b"&".join(b"a=1" for _ in range(201))])
def test_a_body_that_is_not_a_form_is_refused(carrier: TwilioCarrier, body: bytes) -> None:
    sent = FAKE.report(TAKEN, "delivered")
    with pytest.raises(CallbackRefused) as caught:
        carrier.read_callback(Sent("POST", sent.url, sent.headers, body).callback())
    assert caught.value.status == 400


async def test_an_answer_with_an_unexpected_field_is_read(under_test: TwilioUnderTest) -> None:
    under_test.fake.answer = Answer(201, {"sid": "SM5", "code": None, "status": "accepted", "new": {"a": 1}})
    assert await under_test.carrier.submit(a_submission()) == Accepted("SM5")


def test_basic_credentials_are_of_the_account() -> None:
    expected = b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
    assert a_carrier()._authorization == f"Basic {expected}"
