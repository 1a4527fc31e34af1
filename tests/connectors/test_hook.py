"""The inbound hook: read people from requests by Zapier, Make and Skool's plugin."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import urlencode

import pytest

from msvs.connectors.base import Connection, HookCall, HookDelivery, HookRefused, InvalidSetting, PersonState
from msvs.connectors.hook import MAX_FIELDS, MAX_PEOPLE, MAX_VALUE, HookConnector
from msvs.http_client import HttpClient
from tests.connectors.fakes.server import LOCAL

NOW = datetime(2026, 5, 1, 20, tzinfo=UTC)
SECRET = "whsec-of-the-tests"


def hook(**settings: str) -> HookConnector:
    """Return a hook connector; it makes no network calls."""
    return HookConnector(Connection(settings, HttpClient(LOCAL)))


def post(body: object, headers: Mapping[str, str] | None = None, **settings: str) -> HookDelivery:
    """Return the delivery read from a JSON POST."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return hook(**settings).read_hook(HookCall({"content-type": "application/json", **(headers or {})}, sent, NOW))


def fields(body: object) -> list[dict[str, str]]:
    """Return the fields of each person in a body."""
    return [dict(person.fields) for person in post(body).people]


def test_one_person_many_people_and_lists_under_a_name() -> None:
    maria = {"email": "maria@example.com", "phone": "+1 415 555 0123"}
    joao = {"email": "joao@example.com", "phone": "(11) 98765-4321"}
    assert fields(maria) == [maria]
    assert fields([maria, joao]) == [maria, joao]
    for name in ("contacts", "members", "data", "rows"):
        assert fields({name: [maria, joao]}) == [maria, joao]


def test_a_form_of_zapier_is_one_person() -> None:
    body = urlencode({"Name": "João Ñandú", "Phone": "+55 11 98765-4321", "blank": ""}).encode()
    call = HookCall({"content-type": "application/x-www-form-urlencoded; charset=utf-8"}, body, NOW)
    [person] = hook().read_hook(call).people
    assert person.fields == {"Name": "João Ñandú", "Phone": "+55 11 98765-4321"}


def test_inner_values_come_under_dotted_keys() -> None:
    body = {
        "member": {"name": "Maria", "tags": ["vip", "2026"], "is_paid": True, "level": 3, "score": 2.5, "big": 4.0},
        "answers": [{"question": "Your phone?", "answer": "415 555 0123"}, {"question": "Why?", "answer": None}],
        "orders": [{"id": 7}, {"id": 8}],
        "nothing": None,
        "empty": {},
    }
    assert fields(body) == [
        {
            "member.name": "Maria",
            "member.tags": "vip, 2026",
            "member.is_paid": "true",
            "member.level": "3",
            "member.score": "2.5",
            "member.big": "4",
            "answers.Your phone?": "415 555 0123",
            "orders.0.id": "7",
            "orders.1.id": "8",
        }
    ]


def test_the_same_person_has_the_same_id_and_it_tells_nothing() -> None:
    [first] = post({"email": "Maria@Example.com", "phone": "+14155550123", "at": 1}).people
    [again] = post({"email": "maria@example.com", "phone": "+14155550124", "at": 2}).people
    assert first.external_id == again.external_id
    [by_phone] = post({"hotel": "Ritz", "Home Phone": "+1 (415) 555-0123"}).people
    [same_phone] = post({"hotel": "Plaza", "Home Phone": "14155550123"}).people
    assert by_phone.external_id == same_phone.external_id != first.external_id
    [by_id] = post({"member": {"id": 7}, "email": "maria@example.com"}, id_field="member.id").people
    [changed] = post({"member": {"id": 7}, "email": "new@example.com"}, id_field="member.id").people
    assert by_id.external_id == changed.external_id
    for person in (first, by_phone, by_id):
        assert len(person.external_id) == 32
        assert "maria" not in repr(person).lower()
        assert "415" not in repr(person.fields.keys())


def test_a_field_says_who_has_left() -> None:
    body = [{"email": "a@example.com", "status": "Canceled"}, {"email": "b@example.com", "status": "active"}]
    people = post(body, left_when="status = canceled").people
    assert [person.state for person in people] == [PersonState.LEFT, PersonState.MEMBER]


def test_a_delivery_that_comes_again_is_the_same() -> None:
    body = {"email": "maria@example.com"}
    first = post(body)
    assert post(body).delivery_id == first.delivery_id
    assert post({"email": "joao@example.com"}).delivery_id != first.delivery_id
    keyed = post(body, {"idempotency-key": "zap-1"})
    assert post(body, {"idempotency-key": "zap-1"}).delivery_id == keyed.delivery_id
    assert post(body, {"idempotency-key": "zap-2"}).delivery_id != keyed.delivery_id


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        ({"half of a pair": "\ud83d"}, 400),
        ([], 400),
        ({}, 400),
        ([{}], 400),
        ([{"a": 1}, 2], 400),
        ("text", 400),
        ([{"email": f"{at}@example.com"} for at in range(MAX_PEOPLE + 1)], 413),
    ],
    ids=range(11),
)
def test_what_holds_nobody_is_refused(body: object, status: int) -> None:
    with pytest.raises(HookRefused) as refused:
        post(body)
    assert refused.value.status == status


def test_what_is_too_large_is_cut() -> None:
    deep: dict[str, object] = {"end": "x"}
    for _ in range(20):
        deep = {"in": deep}
    [row] = fields({"long": "é" * 5000, "nul": "a\0b", "deep": deep})
    assert row == {"long": "é" * MAX_VALUE, "nul": "ab"}
    [many] = fields({f"key{at}": "x" for at in range(1000)})
    assert len(many) == MAX_FIELDS
    [long] = fields({"k" * 500: "x"})
    assert list(long) == ["k" * 100]


def signed(body: bytes, form: str, at: datetime = NOW, secret: str = SECRET) -> str:
    """Sign a body in one of the supported formats."""
    time = str(int(at.timestamp()))
    digest = hmac.digest(secret.encode(), body, sha256)
    timed = hmac.digest(secret.encode(), f"{time}.".encode() + body, sha256).hex()
    return {
        "hex": digest.hex(),
        "prefixed": f"sha256={digest.hex()}",
        "base64": f"sha256={b64encode(digest).decode()}",
        "timed": f"t={time},v1={timed}",
        "rotated": f"t={time},v1={'0' * 64},v1={timed}",
    }[form]


@pytest.mark.parametrize("form", ["hex", "prefixed", "base64", "timed", "rotated"])
def test_a_signature_is_verified_in_each_form(form: str) -> None:
    body = b'{"email": "maria@example.com"}'
    settings = {"signature_header": "X-Signature", "signing_secret": SECRET}
    assert len(post(body, {"x-signature": signed(body, form)}, **settings).people) == 1
    for header in (
        {},
        {"x-signature": ""},
        {"x-signature": "t=1"},
        {"x-signature": "é"},
        {"x-signature": signed(body, form, secret="another")},
        {"x-signature": signed(body + b" ", form)},
    ):
        with pytest.raises(HookRefused) as refused:
            post(body, header, **settings)
        assert refused.value.status == 403


def test_an_old_signature_is_refused() -> None:
    body = b'{"email": "maria@example.com"}'
    settings = {"signature_header": "X-Signature", "signing_secret": SECRET}
    with pytest.raises(HookRefused, match="stale"):
        post(body, {"x-signature": signed(body, "timed", NOW.replace(hour=19))}, **settings)


async def test_half_a_signature_is_no_setting() -> None:
    with pytest.raises(InvalidSetting) as error:
        await hook(signing_secret=SECRET).check()
    assert error.value.setting == "signature_header"
    with pytest.raises(InvalidSetting) as error:
        await hook(signature_header="X-Signature").check()
    assert error.value.setting == "signing_secret"
    assert (await hook().check()).name
    page = await hook().fetch_page()
    assert (list(page.people), page.is_last, page.is_complete) == ([], True, False)
