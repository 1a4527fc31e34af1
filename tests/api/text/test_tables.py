"""Tables that people bring: however a file is written, each person in it is read or named by line."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from msvs.api.contacts.suppressions import Person, phone_columns, read_people
from msvs.api.errors import InvalidRequest
from msvs.api.text import tables
from msvs.api.text.cells import CellUnreadable, read_phone_cell
from msvs.api.text.tables import Table, open_table

A, B, C = "+16465550000", "+16465550001", "+16465550002"


def opened(data: bytes | str, **options: Any) -> Table:
    return open_table(io.BytesIO(data.encode() if isinstance(data, str) else data), **options)


def people(data: bytes | str, *, columns: tuple[str, ...] = (), region: str | None = None) -> list[Person]:
    table = opened(data, columns=columns)
    return list(read_people(table, phone_columns(table, columns), source="import", region=region))


def phones(data: bytes | str, **options: Any) -> list[tuple[str, str]]:
    """The phones that are read with their sources; no line may be lost."""
    found = people(data, **options)
    assert [person.lost for person in found if person.lost] == []
    return [(phone, person.source) for person in found for phone in person.phones]


def lost(data: bytes | str, **options: Any) -> list[tuple[int, str]]:
    return [(note.line, note.reason) for person in people(data, **options) for note in person.lost]


def refusal(data: bytes | str, **options: Any) -> str:
    with pytest.raises(InvalidRequest) as refused:
        people(data, **options)
    return refused.value.message


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_delimiter_and_line_end_is_found(delimiter: str, end: str) -> None:
    rows = [["source", "phone"], ["web form", A], [f"a{delimiter}b", B], ['say "hi"', C]]
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, lineterminator=end).writerows(rows)
    expected = [(A, "web form"), (B, f"a{delimiter}b".replace("\t", " ")), (C, 'say "hi"')]
    assert phones(file.getvalue()) == expected
    assert phones(file.getvalue().removesuffix(end)) == expected


@pytest.mark.parametrize(
    "encoding",
    [
        *("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"),
        *("cp1252", "iso8859-1", "mac_roman", "cp850"),
    ],
)
def test_every_encoding_is_found(encoding: str) -> None:
    text = f'Téléphone;Source\r\n{A};formulaire d\'été\r\n"{B}";"naïve; garçon"\r\n'
    assert phones(text.encode(encoding)) == [(A, "formulaire d'été"), (B, "naïve; garçon")]


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_a_mark_tells_the_order_of_bytes(mark: bytes) -> None:
    name = "utf-16-le" if mark == codecs.BOM_UTF16_LE else "utf-16-be"
    assert phones(mark + f'"phone","source"\n"{A}","x"\n'.encode(name)) == [(A, "x")]


@pytest.mark.parametrize(
    ("encoding", "header", "source"),
    [
        ("cp1251", "Телефон;Источник", "веб форма"),
        ("koi8_r", "Телефон;Источник", "веб форма"),
        ("cp1250", "Numer telefonu;Źródło", "formularz źródłowy"),
        ("cp1253", "Τηλέφωνο;Πηγή", "φόρμα ιστού"),
        ("cp1254", "Cep telefonu numarası;Kaynak", "başvuru"),
        ("gb18030", "手机;来源", "网页表单"),
        ("big5", "手機;來源", "網頁表單"),
        ("cp932", "電話番号;出典", "ウェブフォーム"),
        ("cp949", "휴대폰 번호;출처", "웹 양식"),
    ],
)
def test_the_encoding_is_the_one_in_which_the_columns_are_known(encoding: str, header: str, source: str) -> None:
    assert phones(f"{header}\r\n{A};{source}\r\n".encode(encoding)) == [(A, source)]


def test_bytes_mixed_into_utf8_are_read() -> None:
    assert phones(b"phone,source\n+16465550000,caf\xc3\xa9 ol\xc3\xa9\n+16465550001,caf\xe9\n") == [
        (A, "café olé"),
        (B, "café"),
    ]
    # A file that was cut in the middle of a character.
    assert phones(b"phone,source\n+16465550000,caf\xc3\xa9 ol\xc3\xa9\n+16465550001,caf\xc3")[1][0] == B


def test_an_encoding_can_be_told() -> None:
    (row,) = opened("phone;source\n1;ЖЯ\n".encode("koi8_r"), encoding="koi8-r").rows()
    assert row.cells == ["1", "ЖЯ"]
    for name in ("no-such", "base64", "idna\0"):
        with pytest.raises(InvalidRequest) as refused:
            opened("phone\n", encoding=name)
        assert refused.value.param == "encoding"


@pytest.mark.parametrize(
    "data",
    [
        f'\ufeff"phone","source"\n"{A}","x"\n',
        f'\ufeff\ufeff"phone","source"\n{A},x\n',
        f'ï»¿"phone","source"\n{A},x\n',
        f"sep=;\r\nphone;source\r\n{A};x\r\n",
        f'"sep=,"\r\nphone,source\r\n{A},x\r\n',
        f"sep=^\r\nphone^source\r\n{A}^x\r\n",
        f"\r\n\n  \nphone,source\n\n{A},x\n\n,\n",
        f"Opted out\nExport of 2026-11-28 10:00\n\nphone,source\n{A},x\n",
        f"phone , source \n {A} , x \n",
        f'phone, source\n{A}, "x"\n',
        f"phone,source\n{A},x\nphone,source\n",
        f"phone;source;;;\n{A};x;;;\n",
        f'"phone,source"\n"{A},""x"""\n',
        f"phone,source\n{A[:5]}\0{A[5:]},x\0\n",
        f"id,Number,source\n7,{A},x\n",
    ],
)
def test_lines_around_a_table_are_ignored(data: str) -> None:
    assert phones(data, columns=("number",) if "Number" in data else ()) == [(A, "x")]


def test_lines_are_counted_as_they_stand_in_the_file() -> None:
    text = f'Report\r\n\r\nphone,notes\r\n{A},"one\r\ntwo"\r\n\r\n12,\r\n{B},x\r\n,nobody\r\n'
    assert lost(text) == [(7, "it is not a valid phone number"), (9, "it has no phone number")]
    assert [person.phones for person in people(text)] == [[A], [], [B], []]


def test_one_column_of_phones_needs_no_header() -> None:
    assert phones(f"\ufeff{A}\n\n{B}\n") == [(A, "import"), (B, "import")]
    assert phones(f'"{A}"\r\n16,465,550,001\r\n') == [(A, "import"), (B, "import")]
    assert lost("16465550000\nMaria\n") == [(2, "it is not a valid phone number")]
    assert lost(f"{A}\n{B};x\n") == [(2, "it is not a valid phone number")]
    rows = "".join(f"{A}\n" for _ in range(tables.SAMPLE_LINES))
    assert lost(f"{rows}{A},x\n") == [(201, "it has several columns, and the file has no header")]
    assert people("") == people("\r\n \r\n") == people("\ufeff") == []


@pytest.mark.parametrize(
    ("data", "columns", "message"),
    [
        (f"{A},web form\n", (), "Line 1 of the file holds data, not the names of its columns"),
        (f"\n{A};y\n{B};x\n", (), "Line 2 of the file holds data"),
        (f"Número;origem\n{A};phone\n", (), "Line 1 of the file names no column whose name is known as one of phones"),
        (f"Support +1 646 555 0009\nphone\n{A}\n", (), "Line 1 of the file holds data"),
        (f"Phone,Mobile\n{A},{B}\n", (), "Line 1 of the file names several columns of phones: 'Phone', 'Mobile'."),
        (f"Phone,Phone\n{A},{B}\n", (), "Line 1 of the file names several columns of phones"),
        (f"Phone,Mobile\n{A},{B}\n", ("Fax",), "There is no column called 'Fax'; the file has 'Phone', 'Mobile'."),
        (f"Phone,phone\n{A},{B}\n", ("PHONE",), "Several columns are called 'PHONE'"),
        (f"Phone,Mobile\n{A},{B}\n", ("3",), "There is no column called '3'"),
        ("Maria\nAna\n", (), "Line 1 of the file names no column"),
    ],
)
def test_no_column_is_guessed(data: str, columns: tuple[str, ...], message: str) -> None:
    told = refusal(data, columns=columns)
    assert told.startswith(message)
    assert A[3:] not in told


def test_a_column_is_chosen_by_name_or_number() -> None:
    data = f"Phone,Mobile\n{A},{B}\n,{C}\n"
    assert [phone for phone, _ in phones(data, columns=("mobile",))] == [B, C]
    assert [phone for phone, _ in phones(data, columns=("Phone", "2"))] == [A, B, C]
    assert phones(f"{A}\n", columns=("1",)) == [(A, "import")]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\x03\x04" + bytes(100), "a workbook or an archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "an Excel workbook"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\xef\xbb\xbf <!DOCTYPE html><html>", "a web page or XML"),
        (b'<?xml version="1.0"?>', "a web page or XML"),
        (b"<table border=1><tr><td>Phone", "a web page or XML"),
        (b'[{"phone": "+12125550100"}]', "JSON"),
        (b'\n{"contacts": []}', "JSON"),
        (b"BEGIN:VCARD\r\nVERSION:3.0", "a file of contact cards (vCard)"),
    ],
)
def test_a_binary_file_is_reported(data: bytes, what: str) -> None:
    assert refusal(data) == f"The file is {what}, not a table as text: save it as CSV."


def test_gzip_is_read_and_where_it_is_damaged_what_came_before_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert phones(gzip.compress(f"phone\n{A}\n".encode())) == [(A, "import")]
    assert "damaged" in refusal(gzip.compress(f"phone\n{A}\n".encode())[:-4])
    monkeypatch.setattr(tables, "BLOCK", 4096)
    text = "".join(["\ufeffphone\n", *(f"+1646555{7 * n % 10_000:04}\n" for n in range(3000))])
    found = people(gzip.compress(text.encode("utf-16-le"))[:-400])
    assert 1000 < len(found) < 3000
    assert [person.lost for person in found[:-1] if person.lost] == []
    assert [(note.line, note.reason) for note in found[-1].lost] == [
        (len(found) + 1, "The file is damaged: its compressed data cannot be read to the end.")
    ]


@pytest.mark.parametrize(
    ("body", "read", "lines"),
    [
        (f'"{A},x\n{B},"y"\n{C},z\n', [A, B, C], []),
        (f'{A},"x\n{B},y\n{C},z\n', [A, B, C], []),
        (f'{A},"x\n{B},y"\n{C},z\n', [A, C], [3]),
        (f'{A},"x"y\n{B},y\n', [A, B], []),
        (f'{A},say \\"x\\"\n{B},y\n', [A, B], []),
        (f'{A},"one\ntwo\n\nfour"\n{B},y\n', [A, B], []),
        (f'"{A}\n{B}",y\n{C},z\n', [C], [2, 2, 3]),
    ],
)
def test_an_unclosed_quote_loses_no_row(body: str, read: list[str], lines: list[int]) -> None:
    found = people(f"phone,source\n{body}")
    assert [phone for person in found for phone in person.phones] == read
    assert [note.line for person in found for note in person.lost] == lines


def test_a_long_cell_loses_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "x" * 300_000
    found = people(f'notes,phone,source\n"{long}",{A},y\n"{long},{long}",{B},{long}\n')
    assert [(person.phones, person.source, person.lost) for person in found] == [([A], "y", []), ([B], "x" * 100, [])]
    monkeypatch.setattr(tables, "MAX_LINE", 100)
    found = people(f"phone,notes\n{A},{'x' * 500}\n{B},y\n")
    assert [person.phones for person in found] == [[A], [B]]
    assert [(note.line, note.reason) for note in found[0].lost] == [
        (2, "the line is too long, and was not read to its end")
    ]


def test_a_bad_source_costs_no_suppression() -> None:
    found = people(f"phone,source\n{A},{'x' * 120}\n{B},a\x07b\n{C},\x07\n")
    assert [(person.phones, person.source) for person in found] == [
        ([A], "x" * 100), ([B], "a b"), ([C], "import"),
    ]  # fmt: skip
    assert [[(note.line, note.reason) for note in person.notes] for person in found] == [
        [(2, "its source was cut to 100 characters")],
        [(3, "control characters of its source were left out")],
        [(4, "control characters of its source were left out")],
    ]


def test_a_row_names_its_country() -> None:
    text = "phone,country\n(11) 96123-4567,br\n020 7946 0018,UK\n646 555 0000,+1\n646 555 0001,\n646 555 0002,Narnia\n"
    found = people(text, region="US")
    assert [person.phones for person in found] == [["+5511961234567"], ["+442079460018"], [A], [B], []]
    assert [note.line for person in found for note in person.lost] == [6]


def test_a_pipe_is_read(tmp_path: Path) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    table = open_table(Pipe(f"phone\n{A}\n".encode("utf-16")))
    assert [row.cells for row in table.rows()] == [[A]]


SAMPLES = {
    "Phone": f"Email,First Name,Last Name,Phone,SMS Consent\na@example.com,Zoë,O’Neil,{A},Yes\n",
    "Mobile Phone Number": f"Record ID - Contact,First Name,Phone Number,Mobile Phone Number\n7,Zoë,,{A}\n",
    "Phone 1 - Value": f"First Name,Phone 1 - Label,Phone 1 - Value\nZoë,Mobile,{A}\n",
    "Text Reminder Number": f"Invitee Name,Invitee Email,Text Reminder Number\nZoë,z@example.com,{A}\n",
    "Billing Phone": f"Name,Country / Region,Billing Phone,Shipping Phone\nZoë,US,{A},\n",
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_most_fitting_column_of_other_tools_exports_comes_first(name: str) -> None:
    table = opened(SAMPLES[name])
    assert table.header is not None
    assert table.header[table.fields["phone"][0]] == name


# Properties

E164 = st.one_of(
    st.integers(0, 9999).map(lambda n: f"+1646555{n:04}"),
    st.integers(0, 9999).map(lambda n: f"+1310555{n:04}"),
    st.integers(0, 9_999_999).map(lambda n: f"+55119{6_0000000 + n}"[:14]),
    st.integers(0, 999_999).map(lambda n: f"+447911{n:06}"),
    st.integers(0, 999_999).map(lambda n: f"+4915112{n:06}"),
    st.integers(0, 999_999).map(lambda n: f"+3461{n:07}"),
    st.integers(0, 99_999).map(lambda n: f"+45201{n:05}"),
)


def _is_valid(phone: str) -> bool:
    try:
        return read_phone_cell(phone).e164 == phone
    except CellUnreadable:
        return False


PHONES = E164.filter(_is_valid)


def spaced(phone: str, by: str) -> str:
    return phone[:4] + by + phone[4:7] + by + phone[7:]


# What leaves a phone certain.
HARMLESS = {
    "plain": str,
    "apostrophe": lambda phone: f"'{phone}",
    "formula": lambda phone: f'="{phone}"',
    "tel": lambda phone: f"tel:{phone}",
    "float": lambda phone: f"{phone}.0",
    "spaces": lambda phone: spaced(phone, " "),
    "no-break": lambda phone: spaced(phone, "\u00a0"),
    "dash": lambda phone: spaced(phone, "–"),
    "no-break hyphen": lambda phone: spaced(phone, "\u2011"),
    "bidi": lambda phone: f"\u202a{phone}\u202c",
    "zero width": lambda phone: spaced(phone, "\u200b"),
    "wide": lambda phone: "".join(chr(ord(each) + 0xFEE0) for each in phone),
    "00": lambda phone: f"00{phone[1:]}",
    "padded": lambda phone: f"  {phone} ",
}
# What may leave it uncertain.
HARMFUL = {
    "no plus": lambda phone: phone[1:],
    "number": lambda phone: f"{phone[1:]}.0",
    "exact": lambda phone: f"{phone[1]}.{phone[2:]}E+{len(phone) - 2}",
    "rounded": lambda phone: f"{phone[1]}.{phone[2:7]}E+{len(phone) - 2}",
    "thousands": lambda phone: f"{int(phone[1:]):,}",
    "extension": lambda phone: f"{phone} x12",
    "overflow": lambda phone: "########",
    "twice": lambda phone: f"{phone} / {phone}",
}
WORDS = st.text(st.sampled_from("abc ,;|\"'\n\té–=+@"), max_size=12)


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, list[tuple[str, bool]]]:
    """A file, and the phones of its rows with whether each is certain."""
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "mac_roman"]))
    delimiter, end = draw(st.sampled_from(",;\t|")), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    name = draw(st.sampled_from(["phone", "Phone Number", "Téléphone", "Móvil", "Handynummer", "CELULAR", "WhatsApp"]))
    at = draw(st.integers(0, 2))
    rows, expected = [], []
    for phone in draw(st.lists(PHONES, min_size=1, max_size=8, unique=True)):
        damage = draw(st.sampled_from([*HARMLESS, *HARMFUL]))
        text = (HARMLESS | HARMFUL)[damage](phone)
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            damage, text = "plain", phone
        # Python's own writer leaves a line feed without quotes where lines end otherwise.
        rows.append([draw(WORDS).replace("\n", "\n" if end == "\n" else " ") for _ in range(2)])
        rows[-1].insert(at, text)
        expected.append((phone, damage in HARMLESS))
    header = ["source", "notes"]
    header.insert(at, name)
    file = io.StringIO()
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows([header, *rows])
    return file.getvalue().encode(encoding), expected


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(files())
def test_each_person_is_read_exactly_or_named(made: tuple[bytes, list[tuple[str, bool]]]) -> None:
    data, expected = made
    found = people(data)
    assert len(found) == len(expected)
    for person, (phone, is_certain) in zip(found, expected, strict=True):
        if is_certain or not person.lost:
            assert (person.phones, person.lost) == ([phone], [])
        else:
            assert (person.phones, len(person.lost) > 0) == ([], True)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(PHONES, st.sampled_from(["x", "", '"a, b"', '"a\nb"', "'", '""'])), min_size=1, max_size=8),
    st.lists(st.integers(0, 400), min_size=1, max_size=4),
)
def test_stray_quotes_lose_no_row(rows: list[tuple[str, str]], at: list[int]) -> None:
    lines = [f"{notes},{phone},end\n" for phone, notes in rows]
    text = "".join(lines)
    for where in sorted((where % len(text) for where in at), reverse=True):
        text = text[:where] + '"' + text[where:]
    found = people(f"notes,phone,source\n{text}")
    read = {phone for person in found for phone in person.phones}
    named = {note.line for person in found for note in person.lost}
    assert read <= {phone for phone, _ in rows}
    line = 2
    for phone, notes in rows:
        last = line + notes.count("\n")
        assert phone in read or named & set(range(line, last + 1)), (text, phone)
        line = last + 1


@settings(max_examples=250, deadline=None)
@given(
    st.binary(max_size=300)
    | st.text(st.sampled_from('phone,;\t|"\r\n+1646550 \0\ufeffé'), max_size=200).map(str.encode)
    | st.tuples(
        st.sampled_from([b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff", b"phone\n", b"sep=\n", b"+16465550000"]), st.binary()
    ).map(b"".join)
)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = people(data)
    except InvalidRequest:
        return
    assert all(person.phones or person.lost for person in found)
