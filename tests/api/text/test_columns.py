"""Columns by their names: in many languages, however they are written, and none that is not known."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest

from msvs.api.text.columns import find_field, fold_name, is_label

TABLE = tomllib.loads(files("msvs.api").joinpath("data/columns.toml").read_text("utf-8"))["column"]


@pytest.mark.parametrize(
    "name",
    [
        *("Phone", "PHONE NUMBER", "phone_number", "phoneNumber", "Phone-No.", " phone\u00a0number ", "\ufeffPhone"),
        *('"Phone"', "'phone'", "Phone #", "Mobile", "Cell", "Cell Phone", "Telefone", "Téléphone", "TÉLÉPHONE"),
        *("Te\u0301le\u0301phone", "Celular", "Handynummer", "Móvil", "movil", "WhatsApp", "N° de téléphone"),
        *("Nº de teléfono", "Tél.", "Tel", "Telemóvel", "Cellulare", "Rufnummer", "GSM", "Numer telefonu", "Телефон"),
        *(
            "МОБИЛЬНЫЙ ТЕЛЕФОН",
            "CEP TELEFONU",
            "Cep Telefonu Numarası",
            "手机",
            "電話番号",
            "휴대폰 번호",
            "رقم الهاتف",
        ),
        *("Nro. Celular", "Ph No", "Customer Mobile", "Phone number (E.164 format)"),
        *("טלפון", "मोबाइल नंबर", "เบอร์โทรศัพท์", "Số điện thoại", "Κινητό", "Phone Number (phone_number)"),
        *(
            "Phone (required)",
            "Celular (WhatsApp)",
            "Phone 2 - Value",
            "Ｐｈｏｎｅ",
            "ï»¿phone",
            "TÃ©lÃ©phone",
            "MSISDN",
        ),
    ],
)
def test_a_column_of_phones_is_known(name: str) -> None:
    found = find_field(name)
    assert found is not None
    assert found[0] == "phone"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "Number",
            "Número",
            "Fax",
            "Phone Type",
            "Phone 1 - Label",
            "Phone (fax)",
            "Phone extension",
            "To",
            "Pager",
        ),
        *("Phone verified", "telefonia", "Contact", "Order phone calls", "???", "Nummer", "x" * 5000),
    ],
)
def test_no_other_column_is_taken_for_one(name: str) -> None:
    found = find_field(name)
    assert found is None or found[0] != "phone"


def test_each_name_stands_for_one_field_at_one_rank() -> None:
    meanings: dict[str, set[tuple[str, int]]] = {}
    for column in TABLE:
        for name in column["names"]:
            meanings.setdefault(fold_name(name), set()).add((column["field"], column["rank"]))
    assert "" not in meanings
    assert [name for name, found in meanings.items() if len(found) > 1] == []


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("E-mail", "email"),
        ("Prénom", "first_name"),
        ("Sobrenome", "last_name"),
        ("ФИО", "full_name"),
        ("Quelle", "source"),
        ("SMS Consent", "consent"),
        ("Date Subscribed", "date"),
        ("Country / Region", "country"),
    ],
)
def test_other_fields_are_known(name: str, field: str) -> None:
    assert find_field(name) == (field, 1)


def test_mobiles_go_before_other_phones() -> None:
    found = [find_field(name) for name in ("Mobile Phone", "Phone", "Work Phone")]
    assert found == [("phone", 1), ("phone", 2), ("phone", 3)]


def test_a_label_says_that_a_phone_follows() -> None:
    assert [is_label(text) for text in ("tel", "TEL.", "Celular", "p", "http", "source", "")] == [
        True, True, True, True, False, False, False,
    ]  # fmt: skip
