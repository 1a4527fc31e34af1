"""The columns of files of contacts: what other tools call them, and what is in them."""

from __future__ import annotations

import io
from contextlib import closing
from datetime import UTC, datetime

import pytest

from msvs.api import ids
from msvs.api.contacts.import_columns import check_mapping, describe_columns, order_phones, propose_mapping
from msvs.api.contacts.import_rows import (
    AGREED,
    COLUMNS,
    DENIED,
    REFUSED,
    UNSAID,
    Plan,
    RawRow,
    encode_rows,
    make_plan,
    read_agreement,
    split_name,
)
from msvs.api.errors import InvalidRequest
from msvs.api.text.countries import read_country
from msvs.api.text.dates import read_date, read_moment
from msvs.api.text.tables import open_table

# A title, what it is taken for, and a cell; of tools whose exports are not among the samples.
TOOLS = {
    "klaviyo": "Email=email:a@b.co|First Name=first_name:Ana|Last Name=last_name:Sá|Phone Number=phone:+12125550140"
    "|SMS Consent=consent:SUBSCRIBED|SMS Consent Timestamp=consent_at:2026-01-02T03:04:05+00:00"
    "|Email Marketing Consent=attributes.email_marketing_consent:SUBSCRIBED|Klaviyo ID=external_id:01H",
    "shopify": "Customer ID=external_id:7|First Name=first_name:Ana|Last Name=last_name:Sá|Email=email:a@b.co"
    "|Accepts Email Marketing=attributes.accepts_email_marketing:yes|Default Address Country Code=country:US"
    "|Default Address Phone=phone:|Phone=phone:'+12125550140|Accepts SMS Marketing=consent:yes"
    "|Total Spent=attributes.total_spent:12.50|Tags=attributes.tags:vip",
    "stripe": "id=external_id:cus_1|Email=email:a@b.co|Name=full_name:Ana Sá|Phone=phone:+12125550140"
    "|Created (UTC)=attributes.created_utc:2026-01-02 03:04",
    "teachable": "User ID=external_id:7|Full Name=full_name:Ana Sá|Email=email:a@b.co|Phone Number=phone:2125550140"
    "|Unsubscribe from marketing emails=attributes.unsubscribe_from_marketing_emails:false",
    "brevo": "CONTACT ID=external_id:7|EMAIL=email:a@b.co|FIRSTNAME=first_name:Ana|LASTNAME=last_name:Sá"
    "|SMS=phone:12125550140|WHATSAPP=phone:",
    "constant contact": "Email address=email:a@b.co|First name=first_name:Ana|Last name=last_name:Sá"
    "|Phone - mobile=phone:212-555-0140|Phone - home=phone:|Email permission status=status:Express"
    "|SMS opt-in source=consent_source:form|SMS permission status=consent:Opted in",
    "zoho": "Record Id=external_id:zcrm_1|First Name=first_name:Ana|Last Name=last_name:Sá|Email=email:a@b.co"
    "|Mobile=phone:+12125550140|Phone=phone:|Fax=ignore:|Home Phone=phone:|Email Opt Out=status:false"
    "|Mailing Country=country:United States",
    "salesforce": "Contact ID=external_id:003|FirstName=first_name:Ana|LastName=last_name:Sá|Email=email:a@b.co"
    "|MobilePhone=phone:+12125550140|Phone=phone:|HomePhone=phone:|Fax=ignore:|HasOptedOutOfEmail=status:0"
    "|MailingCountry=country:USA|SMS Opt Out=opted_out:0",
    "pipedrive": "Person - ID=external_id:7|Person - Name=full_name:Ana Sá|Person - Phone - Mobile=phone:+12125550140"
    "|Person - Phone - Work=phone:|Person - Email - Work=email:a@b.co|Person - Owner=attributes.person_owner:Coach",
    "simpletexting": "Contact Phone=phone:2125550140|First Name=first_name:Ana|Last Name=last_name:Sá"
    "|Email=email:a@b.co"
    "|Subscription Status=status:Active",
    "hotmart": "Nome=full_name:Ana Sá|Email=email:a@b.co|Telefone=phone:+5511961234567|País=country:Brasil"
    "|Status da compra=status:Aprovado",
    "outlook": "First Name=first_name:Ana|Last Name=last_name:Sá|E-mail Address=email:a@b.co"
    "|Mobile Phone=phone:+12125550140|Home Phone=phone:|Business Phone=phone:"
    "|Business Fax=ignore:|Pager=ignore:|Home Country/Region=country:US",
    "skool": "FirstName=first_name:Ana|LastName=last_name:Sá|Email=email:a@b.co"
    "|Question1=ignore:What is your phone number?|Answer1=phone:+12125550140"
    "|JoinedDate=attributes.joined_date:2026-01-02|Tier=attributes.tier:pro",
    "german": "Vorname=first_name:Ana|Nachname=last_name:Sá|E-Mail-Adresse=email:a@b.co|Handynummer=phone:0151 23456789"
    "|Land=country:Deutschland|SMS-Einwilligung=consent:Ja",
    "french": "Prénom=first_name:Ana|Nom=last_name:Sá|Courriel=email:a@b.co|Téléphone portable=phone:06 12 34 56 78"
    "|Pays=country:France|Consentement SMS=consent:oui",
    "italian": "Nome=first_name:Ana|Cognome=last_name:Sá|Cellulare=phone:347 123 4567|Consenso SMS=consent:sì",
    "spanish": "Nombre=first_name:Ana|Apellidos=last_name:Sá|Teléfono móvil=phone:612 34 56 78|País=country:España",
    "untitled phones": "Who=attributes.who:Ana|Where to reach=phone:(212) 555-0140|Order=attributes.order:2147000001",
}


@pytest.mark.parametrize("tool", TOOLS)
def test_the_exports_of_tools_map_themselves(tool: str) -> None:
    told = [each.rpartition(":") if each.count(":") == 1 else each.partition(":") for each in TOOLS[tool].split("|")]
    header = [left.rpartition("=")[0] for left, _, _ in told]
    fields = [left.rpartition("=")[2] for left, _, _ in told]
    cells = [cell for _, _, cell in told]
    columns = describe_columns(header, [cells])

    mapping = propose_mapping(columns, [cells], region="US")

    assert [mapping[column.key] for column in columns] == fields
    plan = make_plan(
        *(columns, mapping),
        reading_id=ids.new_id(),
        now=datetime(2026, 11, 1, tzinfo=UTC),
        region={"italian": "IT", "spanish": "ES", "german": "DE", "french": "FR"}.get(tool, "US"),
        is_agreed=False,
    )
    assert encode_rows(plan, [RawRow(1, 2, cells)]).invalid == 0


def test_a_mobile_number_goes_before_others() -> None:
    columns = describe_columns(["Home Phone", "Fax", "Phone", "Mobile"], [["1", "2", "3", "4"]])
    mapping = propose_mapping(columns, [["1", "2", "3", "4"]])
    assert [columns[at].name for at in order_phones(columns, mapping)] == ["Mobile", "Phone", "Home Phone"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        *(
            (text, AGREED)
            for text in ("Yes", "TRUE", "1", "subscribed", "Opted-in", "Sim", "sí", "oui", "Ja", "Yes, text me")
        ),
        *((text, DENIED) for text in ("No", "false", "0", "NEVER_SUBSCRIBED", "not subscribed", "nein", "pending")),
        *((text, REFUSED) for text in ("UNSUBSCRIBED", "Opted Out", "opt-out", "STOP", "blocked")),
        *((text, UNSAID) for text in ("", " ", "maybe later", "Yes but not by text", "2026-04-22")),
    ],
)
def test_cells_of_consent(text: str, answer: int) -> None:
    assert read_agreement(text) == answer


def test_a_ticked_box_says_its_own_text() -> None:
    assert read_agreement("I want texts from Cohort Labs", "I want texts from Cohort Labs") == AGREED


@pytest.mark.parametrize(
    ("title", "field"),
    [
        ("Email opt-in", None),
        ("Accepts Marketing", None),
        ("Opt-in Time", None),
        ("Last SMS sent", None),
        ("Do you agree to receive text messages?", "consent"),
        ("Aceita receber SMS?", "consent"),
        ("SMS opt-in date", "consent_at"),
        ("SMS unsubscribed", "opted_out"),
    ],
)
def test_only_a_title_about_texts_is_of_consent(title: str, field: str | None) -> None:
    header = ["phone", title, "SMS consent"] if field == "consent_at" else ["phone", title]
    columns = describe_columns(header, [["+12125550140", "x", "yes"]])
    found = propose_mapping(columns, [["+12125550140", "x", "yes"]])[title]
    assert (None if found.startswith(("attributes.", "ignore", "status")) else found) == field


def test_a_mapping_names_columns_in_any_case_and_each_field_once() -> None:
    columns = describe_columns(["Phone", "Phone", "Name"], [])
    assert [column.key for column in columns] == ["Phone", "Phone (2)", "Name"]
    assert check_mapping(columns, {"phone": "phone", "NAME": "full_name"}) == {"Phone": "phone", "Name": "full_name"}
    for mapping in (
        {"Mail": "email"},
        {"Name": "nickname"},
        {"Phone": "email", "Name": "email"},
        {"Name": "attributes."},
    ):
        with pytest.raises(InvalidRequest):
            check_mapping(columns, mapping)


@pytest.mark.parametrize(
    ("text", "names"),
    [("Ana Maria Sá", ("Ana", "Maria Sá")), ("Sá, Ana", ("Ana", "Sá")), ("Ana", ("Ana", ""))],
)
def test_whole_names_are_split(text: str, names: tuple[str, str]) -> None:
    assert split_name(text) == names


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-04-22", "2026-04-22"),
        ("22/04/2026", "2026-04-22"),
        ("04/22/2026", "2026-04-22"),
        ("22.04.2026", "2026-04-22"),
        ("04/05/2026", "None"),
        ("2026-13-01", "None"),
        ("soon", "None"),
    ],
)
def test_a_date_that_could_be_two_is_none(text: str, day: str) -> None:
    assert str(read_date(text)) == day


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-04-22T14:03:11Z", datetime(2026, 4, 22, 14, 3, 11, tzinfo=UTC)),
        ("2026-04-22 14:03:11 UTC", datetime(2026, 4, 22, 14, 3, 11, tzinfo=UTC)),
        ("2026-04-22 02:03 pm", datetime(2026, 4, 22, 14, 3, tzinfo=UTC)),
        ("2026-04-22 14:03:11-04:00", datetime(2026, 4, 22, 18, 3, 11, tzinfo=UTC)),
        ("1776866591", datetime(2026, 4, 22, 14, 3, 11, tzinfo=UTC)),
        ("yesterday", None),
    ],
)
def test_moments(text: str, at: datetime | None) -> None:
    assert read_moment(text) == at


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("US", "US"),
        ("usa", "US"),
        ("Estados Unidos", "US"),
        ("Brasil", "BR"),
        ("+55", "BR"),
        ("UK", "GB"),
        ("Deutschland", "DE"),
        ("", "FR"),
        ("Atlantis", None),
    ],
)
def test_countries_by_any_name(text: str, region: str | None) -> None:
    assert read_country(text, "FR") == region


# A damaged file, its region, and the intended values of each row; None for a row that cannot be read.
DAMAGED: dict[str, tuple[bytes, str, list[tuple[str | None, ...]]]] = {
    "titles of several columns merged above": (
        b"Person,Phone,,Other\nName,Mobile,Home,Email\nMaria,+12125550140,,m@example.com\n",
        "US",
        [("+12125550140", "Maria", None, "m@example.com")],
    ),
    "a second row of titles": (
        b"Name,Mobile,Email\ntext,E.164,address\nMaria,+12125550140,m@example.com\n",
        "US",
        [(None,), ("+12125550140", "Maria", None, "m@example.com")],
    ),
    "single quotes around cells": (
        b"Name,Mobile\n'Maria Silva','+1 212-555-0140'\nO'Neil,'2125550141\n",
        "US",
        [("+12125550140", "Maria", "Silva", None), ("+12125550141", "O'Neil", None, None)],
    ),
    "quotes of a database": (
        b'name,phone\n"Maria \\"Mimi\\" Silva",+12125550140\nAna,+12125550141\n',
        "US",
        [("+12125550140", "Maria", '"Mimi" Silva', None), ("+12125550141", "Ana", None, None)],
    ),
    "phones as amounts": (
        b'name,phone\nA,"1,212,555,0140"\nB,1.2125550141E10\nC,1.2E+10\nD,12125550142.0\n',
        "US",
        [
            ("+12125550140", "A", None, None),
            ("+12125550141", "B", None, None),
            (None,),
            ("+12125550142", "D", None, None),
        ],
    ),
    "links around phones": (
        b'name,phone\nZoe,"<a href=""tel:+14155550100"">+1 415 555 0100</a>"\nAna,Ana <+12125550141>\n',
        "US",
        [("+14155550100", "Zoe", None, None), (None,)],
    ),
    "UTF-8 saved as Latin-1 once more": (
        "Name,Mobile\nJoão D'Ávila,+5511961234567\n".encode().decode("latin-1").encode(),
        "US",
        [("+5511961234567", "João", "D'Ávila", None)],
    ),
    "carets between cells": (b"Name^Mobile\nMaria^+12125550140\n", "US", [("+12125550140", "Maria", None, None)]),
    "marks in mid-file": (
        b"\xef\xbb\xbfname,phone\nMaria,\xef\xbb\xbf+12125550140\n\xef\xbb\xbfname,phone\nAna,+12125550141\n",
        "US",
        [("+12125550140", "Maria", None, None), ("+12125550141", "Ana", None, None)],
    ),
    "totals behind": (
        b"name,phone\nMaria,+12125550140\nTotal,1\n,\nExported on 2026-05-01 10:00,\n",
        "US",
        [("+12125550140", "Maria", None, None), (None,), (None,)],
    ),
    "Polish": (
        "Imię;Nazwisko;Telefon komórkowy\nŁukasz;Nowak;512 345 678\n".encode("cp1250"),
        "PL",
        [("+48512345678", "Łukasz", "Nowak", None)],
    ),
    "Turkish": (
        "Ad;Soyad;Cep Telefonu\nİbrahim;Şahin;0532 123 45 67\n".encode("cp1254"),
        "TR",
        [("+905321234567", "İbrahim", "Şahin", None)],
    ),
    "Icelandic": (
        "Nafn;Sími\nÞórður Guðmundsson;+354 611 1234\n".encode("cp1252"),
        "IS",
        [("+3546111234", "Þórður", "Guðmundsson", None)],
    ),
    "Japanese": (
        "氏名,携帯電話,メール\nマリー,090ー1234ー5678,m@example.jp\n".encode("cp932"),
        "JP",
        [("+819012345678", "マリー", None, "m@example.jp")],
    ),
    "Arabic": (
        "الاسم,رقم الجوال,البريد\nأحمد,٠٥٠١٢٣٤٥٦٧,a@example.com\n".encode(),
        "SA",
        [("+966501234567", "أحمد", None, "a@example.com")],
    ),
}


def read_row(plan: Plan, row: RawRow) -> tuple[str | None, ...]:
    """Return the phone, names and e-mail address read from a row; only None if it is refused."""
    data, values = encode_rows(plan, [row]).data[2:], []
    while data:
        length = int.from_bytes(data[:4], signed=True)
        values.append(None if length < 0 else data[4 : 4 + length])
        data = data[4 + max(0, length) :]
    named = dict(zip(COLUMNS, values, strict=True))
    told = [named[name] for name in ("phone", "first_name", "last_name", "email")]
    return (None,) if told[0] is None else tuple(None if each is None else each.decode() for each in told)


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_read_as_it_was_meant(damage: str) -> None:
    data, region, expected = DAMAGED[damage]
    with closing(open_table(io.BytesIO(data))) as table:
        rows = list(table.rows())
    cells = [row.cells for row in rows]
    columns = describe_columns(table.header or ["phone"], cells)
    plan = make_plan(
        columns,
        propose_mapping(columns, cells, region=region),
        reading_id=ids.new_id(),
        now=datetime(2026, 5, 1, tzinfo=UTC),
        region=region,
        is_agreed=False,
    )
    assert [read_row(plan, RawRow(number, row.line, row.cells)) for number, row in enumerate(rows, 1)] == expected
