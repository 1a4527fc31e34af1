"""The sample contacts are what their generator makes, and the demo's reconciliation notices every loss."""

from __future__ import annotations

import csv
import hashlib
import hmac
import importlib.util
import io
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import phonenumbers
import pytest
import smsutil
from phonenumbers import PhoneNumberType

EXAMPLES = Path(__file__).parents[1] / "examples"
SAMPLE = EXAMPLES / "contacts.csv"


def _load(name: str) -> Any:
    specification = importlib.util.spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


make_contacts = _load("make_contacts")
demo = _load("demo")


def _is_textable(phone: str) -> bool:
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}", phone):
        return False
    number = phonenumbers.parse(phone)
    kinds = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)
    return phonenumbers.is_valid_number(number) and phonenumbers.number_type(number) in kinds


def _is_email(text: str) -> bool:
    return text == "" or re.fullmatch(r"[a-z0-9.+-]+@example\.(com|org)", text) is not None


@cache
def _sorted_rows() -> tuple[list[Any], list[Any], list[Any]]:
    """The sample's good rows, repeats of a phone, and bad rows."""
    good, again, bad = [], [], []
    seen: set[str] = set()
    for row in demo.read_rows(SAMPLE):
        phone = row.fields["phone"]
        if not (_is_textable(phone) and _is_email(row.fields["email"])):
            bad.append(row)
        elif phone in seen:
            again.append(row)
        else:
            seen.add(phone)
            good.append(row)
    return good, again, bad


# The sample


def test_sample_is_what_the_generator_makes() -> None:
    assert SAMPLE.read_bytes() == make_contacts.make_csv()


def test_another_seed_makes_another_file() -> None:
    assert make_contacts.make_csv(7) != make_contacts.make_csv()


def test_counts_of_good_duplicate_and_bad_rows() -> None:
    good, again, bad = _sorted_rows()
    assert (len(good), len(again), len(bad)) == (4900, 60, 40)


def test_numbers_belong_to_the_country_beside_them() -> None:
    good, _, _ = _sorted_rows()
    wrong = [
        row.line
        for row in good
        if phonenumbers.region_code_for_number(phonenumbers.parse(row.fields["phone"])) != row.fields["country"]
    ]
    assert wrong == []
    assert Counter(row.fields["country"] for row in good) == make_contacts.COUNTS | {"US": 2400}


def test_only_the_scripts_a_campaign_can_finish_are_in() -> None:
    scripted = {row.fields["phone"] for row in demo.read_rows(SAMPLE) if "+1415555" in row.fields["phone"]}
    assert scripted == set(make_contacts.SCRIPTED_PHONES)
    assert scripted == set(demo.SCRIPTED)
    first_rows = {row.fields["phone"] for row in demo.read_rows(SAMPLE, 30)}
    assert scripted <= first_rows


def test_names_need_both_encodings() -> None:
    good, _, _ = _sorted_rows()
    names = {row.fields["first_name"] for row in good}
    wide = {name for name in names if not smsutil.is_valid_gsm(name)}
    assert {"Zoë", "Łukasz", "João", "美咲", "Σοφία", "प्रिया"} <= wide
    assert {"José", "Renée", "Jürgen", "Maria"} <= names - wide
    bodies = [demo.BODY.replace("{firstName|there}", name or "there") for name in names]
    assert {len(smsutil.split(body).parts) for body in bodies} == {1, 2}


def test_file_has_the_trouble_real_exports_have() -> None:
    data = SAMPLE.read_bytes()
    assert not data.startswith(b"\xef\xbb\xbf")
    assert b"\r" not in data
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    values = [value for row in rows for value in row.values()]
    assert any("," in value for value in values)
    assert any('"' in value for value in values)
    assert any(row["phone"] != row["phone"].strip() for row in rows)
    assert any(row["first_name"] == "" for row in rows)
    assert all(len(row) == 8 and None not in row for row in rows)


def test_every_kind_of_bad_row_is_in() -> None:
    _, _, bad = _sorted_rows()
    assert Counter(row.fields["phone"] for row in bad if not _is_textable(row.fields["phone"])) == Counter(
        make_contacts.BAD_PHONES
    )
    assert sorted(row.fields["email"] for row in bad if not _is_email(row.fields["email"])) == sorted(
        make_contacts.BAD_EMAILS
    )


# Reading


def test_read_rows_trims_and_counts_lines(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_text('phone,last_name\n"+1 ","Smith, Jr."\n+2,"two\nlines"\n+3\n', encoding="utf-8")
    assert [(row.line, row.fields) for row in demo.read_rows(path)] == [
        (2, {"phone": "+1", "last_name": "Smith, Jr."}),
        (4, {"phone": "+2", "last_name": "two\nlines"}),
        (5, {"phone": "+3", "last_name": ""}),
    ]


@pytest.mark.parametrize("content", [b"name\nMaria\n", b"phone\n\xff\xfe\n", b""])
def test_read_rows_refuses_what_it_cannot_import(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "some.csv"
    path.write_bytes(content)
    with pytest.raises(demo.DemoError):
        demo.read_rows(path)


def test_contact_body_leaves_out_empty_fields() -> None:
    row = demo.Row(2, {"phone": "+14155550101", "first_name": "", "email": "m@example.com", "tier": "vip"})
    assert demo.contact_body(row) == {
        "phone": "+14155550101",
        "email": "m@example.com",
        "opt_in": {"source": "csv import"},
        "attributes": {"tier": "vip"},
    }


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("+14155550101", "+14*****0101"),
        ("The phone number '+4917139200001234' is bad.", "The phone number '+49**********1234' is bad."),
        ("call 415 555 0101\x1b[0m", "call 415*****0101 [0m"),
        ("+1abc", "+1abc"),
    ],
)
def test_phones_are_masked(text: str, masked: str) -> None:
    assert demo.mask_text(text) == masked


@pytest.mark.parametrize(
    ("arguments", "url", "reason"),
    [
        (["--live"], "https://api.example.com", "the sample is not for live sending"),
        (["--live", "--csv", "own.csv"], "https://api.example.com", None),
        (["--live"], "http://127.0.0.1:8000", None),
        ([], "http://127.0.0.1:8000", "the key must be"),
    ],
)
def test_sample_is_never_sent_live_elsewhere(arguments: list[str], url: str, reason: str | None) -> None:
    options = demo.read_options([*arguments, "--url", url, "--key", "msvs_live_x"])
    if reason is None:
        assert demo.read_connection(options) == (url, "msvs_live_x")
    else:
        with pytest.raises(demo.DemoError, match=reason):
            demo.read_connection(options)


def test_connection_comes_from_the_data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"base_url": "http://127.0.0.1:9", "test_key": "msvs_test_a", "live_key": "msvs_live_b"}
    (tmp_path / "demo.json").write_text(json.dumps(known))
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    assert demo.read_connection(demo.read_options([])) == ("http://127.0.0.1:9", "msvs_test_a")
    assert demo.read_connection(demo.read_options(["--live"])) == ("http://127.0.0.1:9", "msvs_live_b")


# Signatures

SECRET = "whsec_test"


def _sign(body: bytes, timestamp: int, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("header", "valid"),
    [
        (f"t=1000,v1={_sign(b'{}', 1000)}", True),
        (f"t=1000,v1={_sign(b'{}', 1000, 'old')},v1={_sign(b'{}', 1000)}", True),
        (f"t=700,v1={_sign(b'{}', 700)}", True),
        (f"t=699,v1={_sign(b'{}', 699)}", False),
        (f"t=1301,v1={_sign(b'{}', 1301)}", False),
        (f"t=1001,v1={_sign(b'{}', 1000)}", False),
        (f"t=1000,v1={_sign(b'[]', 1000)}", False),
        (f"t=1000,v1={_sign(b'{}', 1000, 'old')}", False),
        (f"t=1000,v0={_sign(b'{}', 1000)}", False),
        ("t=1000,v1=é", False),
        ("t=²,v1=x", False),
        ("t=1000", False),
        ("", False),
    ],
)
def test_verify_signature(header: str, valid: bool) -> None:
    assert demo.verify_signature(b"{}", header, SECRET, 1000.0) is valid


async def test_receiver_keeps_distinct_signed_events() -> None:
    shown: list[str] = []
    receiver = demo.Receiver(lambda kind, data: shown.append(kind))
    data = {"object": "message", "id": "msg_1", "campaign_id": "cmp_1"}
    body = json.dumps({"id": "evt_1", "type": "message.sent", "data": data}).encode()
    now = int(time.time())
    good = f"t={now},v1={_sign(body, now, receiver.secret)}"
    statuses = []
    async with receiver.listening(), aiohttp.ClientSession() as session:
        for header in (good, good, f"t={now},v1={'0' * 64}"):
            async with session.post(receiver.url, data=body, headers={"MSVS-Signature": header}) as response:
                statuses.append(response.status)
    assert statuses == [200, 200, 400]
    assert receiver.events == {"evt_1": demo.Event("evt_1", "message.sent", "msg_1", "cmp_1")}
    assert (receiver.repeats, receiver.signature_failures, shown) == (1, 1, ["message.sent"])


# The reconciliation

STATS = {
    "recipients": 5,
    "queued": 0,
    "sent": 0,
    "delivered": 3,
    "failed": 1,
    "replied": 1,
    "opted_out": 1,
    "skipped": 1,
    "canceled": 0,
    "credits_used": 5,
}
MESSAGES = (
    ("msg_1", "+14155550109", "delivered", 1),
    ("msg_2", "+14155550107", "replied", 2),
    ("msg_3", "+14155550105", "delivered", 1),
    ("msg_4", "+14155550103", "failed", 1),
    ("msg_5", "+12125550100", "skipped", 0),
)
EVENTS = (
    ("message.queued", "msg_1 msg_2 msg_3 msg_4"),
    ("message.sent", "msg_1 msg_2 msg_3 msg_4"),
    ("message.delivered", "msg_1 msg_2 msg_3"),
    ("message.failed", "msg_4"),
    ("message.replied", "msg_2"),
    ("contact.opted_out", "con_3"),
    ("campaign.dispatched", "cmp_1"),
    ("campaign.completed", "cmp_1"),
)


def _facts(**changes: Any) -> Any:
    pairs = [(kind, subject) for kind, subjects in EVENTS for subject in subjects.split()]
    events = [
        demo.Event(f"evt_{number:02}", kind, subject, "cmp_1" if kind.startswith("message.") else None)
        for number, (kind, subject) in enumerate(pairs)
    ]
    facts = demo.Facts(
        rows=9,
        created=5,
        duplicates=3,
        bad=1,
        contacts={f"con_{message[0][-1]}": message[1] for message in MESSAGES},
        existing=frozenset(),
        members=5,
        without_consent=0,
        campaign_id="cmp_1",
        campaign_status="completed",
        stats=STATS,
        messages=[demo.Message(*message) for message in MESSAGES],
        events=events,
        signature_failures=0,
        livemode=False,
        balance_before=100,
        balance_after=100,
        other_credits=0,
    )
    return replace(facts, **changes)


def _failing(facts: Any) -> list[str]:
    return [check.name for check in demo.reconcile(facts) if not check.ok]


def _without(event_id: str) -> list[Any]:
    return [event for event in _facts().events if event.id != event_id]


def _with(kind: str, subject: str, campaign_id: str | None = "cmp_1") -> list[Any]:
    return [*_facts().events, demo.Event("evt_99", kind, subject, campaign_id)]


def _message(number: int, **changes: Any) -> list[Any]:
    messages = list(_facts().messages)
    messages[number - 1] = replace(messages[number - 1], **changes)
    return messages


def _stats(**changes: int) -> Mapping[str, int]:
    return STATS | changes


SENT_FAILED = next(e.id for e in _facts().events if (e.type, e.subject) == ("message.sent", "msg_4"))
DELIVERED_ONE = next(e.id for e in _facts().events if (e.type, e.subject) == ("message.delivered", "msg_1"))
OPTED_OUT = next(e.id for e in _facts().events if e.type == "contact.opted_out")
COMPLETED = next(e.id for e in _facts().events if e.type == "campaign.completed")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        # Live: the campaign's five credits and one for the confirmation of the opt-out.
        {"livemode": True, "balance_after": 94, "other_credits": 1},
        # A carrier may refuse before hand-off, so a failed message need not have been sent.
        {"events": _without(SENT_FAILED)},
        # A skipped recipient may have been queued first, and may have no message at all.
        {"events": _with("message.queued", "msg_5")},
        {"messages": _message(1)[:4]},
        # A second reply is a second event; messages outside the campaign are not counted.
        {"events": _with("message.replied", "msg_2")},
        {"events": _with("message.delivered", "msg_9", None)},
        {"events": _with("contact.opted_out", "con_9", None)},
        # Members without consent may be left out of the recipients.
        {"members": 6, "without_consent": 1, "contacts": {f"con_{n}": f"+121255501{n:02}" for n in range(6)}}
        | {"events": [e for e in _facts().events if e.type != "contact.opted_out"], "stats": _stats(opted_out=0)},
    ],
)
def test_good_runs_reconcile(changes: dict[str, Any]) -> None:
    assert _failing(_facts(**changes)) == []


@pytest.mark.parametrize(
    ("changes", "failing"),
    [
        ({"created": 4}, ["CSV rows = created + duplicates + bad"]),
        ({"members": 4}, ["list members = distinct contacts", "recipients = members with consent"]),
        ({"events": _without(DELIVERED_ONE)}, ["events message.delivered"]),
        ({"events": _with("message.delivered", "msg_1")}, ["events message.delivered"]),
        ({"events": _with("message.delivered", "msg_4")}, ["events message.delivered"]),
        ({"events": _with("message.failed", "msg_9")}, ["events message.failed"]),
        ({"events": _without(OPTED_OUT)}, ["events contact.opted_out"]),
        ({"events": _with("contact.opted_out", "con_3", None)}, ["events contact.opted_out"]),
        ({"events": _with("contact.opted_out", "con_1", None)}, ["events contact.opted_out"]),
        (
            {"events": _with("campaign.dispatched", "cmp_1", None)},
            ["events campaign.dispatched", "events in order: dispatched, completed"],
        ),
        (
            {"events": _without(COMPLETED)},
            ["events campaign.completed", "events in order: dispatched, completed"],
        ),
        (
            {"messages": _message(4, was_sent=True), "events": _without(SENT_FAILED)},
            ["events message.sent"],
        ),
        ({"signature_failures": 1}, ["signature failures"]),
        ({"stats": _stats(credits_used=6)}, ["credits: stats = sum over messages"]),
        ({"balance_after": 99}, ["credits: balance moved (sandbox)"]),
        ({"livemode": True, "balance_after": 96}, ["credits: balance moved (with confirmations)"]),
        (
            {"stats": _stats(delivered=2)},
            ["recipients = delivered + failed + skipped + canceled", "delivered, recounted"],
        ),
        (
            {"messages": _message(1, status="sent")},
            [
                "delivered, recounted",
                "messages not finished",
                "events message.delivered",
                "+14*****0109 duplicate, disordered reports",
            ],
        ),
        (
            {"messages": _message(5, to="+14155550109", status="skipped")},
            ["distinct phones (one message each)", "+14*****0109 duplicate, disordered reports"],
        ),
        (
            {"messages": _message(2, status="delivered")},
            ["replied, recounted", "events message.replied", "+14*****0107 replies with text"],
        ),
        (
            {"campaign_status": "paused"},
            ["campaign status", "events campaign.completed"],
        ),
    ],
)
def test_broken_runs_do_not_reconcile(changes: dict[str, Any], failing: list[str]) -> None:
    assert _failing(_facts(**changes)) == failing


def test_a_number_that_opted_out_earlier_may_be_skipped() -> None:
    changes: dict[str, Any] = {
        "messages": _message(3, status="skipped", credits_used=0),
        "stats": _stats(delivered=2, skipped=2, opted_out=0, credits_used=4),
        "events": [e for e in _facts().events if e.subject not in ("msg_3", "con_3")],
    }
    assert _failing(_facts(**changes, existing=frozenset({"con_3"}))) == []
    assert _failing(_facts(**changes)) == ["+14*****0105 replies STOP"]


def test_scripted_replies_are_awaited() -> None:
    assert demo.is_scripted_waiting(_facts()) is False
    assert demo.is_scripted_waiting(_facts(events=_without(OPTED_OUT))) is True
    assert demo.is_scripted_waiting(_facts(messages=_message(2, status="delivered"))) is True
    assert demo.is_scripted_waiting(_facts(messages=_message(2, status="delivered"), livemode=True)) is False
