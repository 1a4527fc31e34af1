"""Texts as octets: alphabets, parts as many as the segments that were charged, and headers."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from msvs.api.text import sms
from msvs.carriers.smpp import text
from msvs.carriers.smpp.text import Alphabet, Concatenation

GSM7 = sms.GSM7_BASIC + sms.GSM7_EXTENSION
gsm7_texts = st.text(GSM7, max_size=700)
heavy_texts = st.text("{}€[]a", min_size=140, max_size=700)
any_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=500)
emoji_texts = st.text("😀aÉ✓", min_size=60, max_size=300)


def _is_utf8(data: bytes) -> bool:
    try:
        return not data.decode("utf-8").isascii()
    except UnicodeDecodeError:
        return False


@given(st.one_of(gsm7_texts, heavy_texts, any_texts, emoji_texts))
def test_parts_are_the_segments_that_were_charged(body: str) -> None:
    measured = sms.measure(body)
    made = text.split(body, measured.encoding)
    # A few units of rare planes are UTF-8 too, byte for byte, which is read where a carrier announces the one for the
    # other.
    assume(measured.encoding is sms.Encoding.GSM7 or not any(_is_utf8(part) for part in made.parts))
    assert len(made.parts) == measured.segments
    assert [text.decode(part, made.data_coding) for part in made.parts] == sms.split(body)


@given(st.one_of(heavy_texts, emoji_texts))
def test_a_reference_of_sixteen_bits_leaves_less_room(body: str) -> None:
    made = text.split(body, sms.measure(body).encoding, header_octets=7)
    assert "".join(text.decode(part, made.data_coding) for part in made.parts) == body
    most = 152 if made.data_coding == text.DEFAULT else 132
    assert len(made.parts) == 1 or max(map(len, made.parts)) <= most


@given(gsm7_texts)
def test_the_gsm_alphabet_comes_back_as_it_was(body: str) -> None:
    septets = text.encode_gsm7(body)
    assert septets is not None
    assert len(septets) == len(body) + sum(character in sms.GSM7_EXTENSION for character in body)
    assert all(septet < 0x80 for septet in septets)
    assert text.decode_gsm7(septets) == body


@pytest.mark.parametrize(
    ("written", "octets"),
    [
        ("@£$¥", "00010203"),
        ("Δ_ΦΓ", "10111213"),
        ("ÄÖÑÜ§¿äöñüà", "5b5c5d5e5f607b7c7d7e7f"),
        ("\f^{}\\[~]|€", "1b0a1b141b281b291b2f1b3c1b3d1b3e1b401b65"),
        ("Hi\r\n", "48690d0a"),
    ],
)
def test_the_gsm_alphabet_is_the_standards(written: str, octets: str) -> None:
    assert text.encode_gsm7(written) == bytes.fromhex(octets)


@pytest.mark.parametrize("character", ["`", "ç", "✓", "😀", "\x1b", "\0", "\uffff"])
def test_other_characters_are_not_in_the_gsm_alphabet(character: str) -> None:
    assert text.encode_gsm7(f"a{character}b") is None


@pytest.mark.parametrize(
    ("octets", "read"),
    [("1b", ""), ("411b", "A"), ("1b41", "A"), ("1b1b65", "€"), ("c3", "Ã"), ("1be9", "é"), ("", "")],
)
def test_odd_septets_are_read_as_the_standard_says(octets: str, read: str) -> None:
    assert text.decode_gsm7(bytes.fromhex(octets)) == read


@pytest.mark.parametrize(
    ("alphabet", "body", "data_coding", "octets"),
    [
        ("latin1", "Olé {1}", 0, "Olé {1}".encode("latin-1")),
        ("latin1", "1 €", 8, "1 €".encode("utf-16-be")),
        ("ascii", "Hello @ {1}", 0, b"Hello @ {1}"),
        ("ascii", "Olé", 8, "Olé".encode("utf-16-be")),
        ("gsm7", "Olé", 0, b"Ol\x05"),
    ],
)
def test_the_default_alphabet_is_an_option(alphabet: Alphabet, body: str, data_coding: int, octets: bytes) -> None:
    assert text.split(body, "gsm7", alphabet=alphabet) == text.Text(data_coding, (octets,))


def test_latin1_is_cut_where_the_handset_needs_it() -> None:
    body = "{" * 100
    assert [len(part) for part in text.split(body, "gsm7", alphabet="latin1").parts] == [76, 24]
    assert sms.measure(body).segments == 2


@pytest.mark.parametrize(
    ("data_coding", "octets", "read"),
    [
        (0x00, b"\x00\x1be", "@€"),
        (0x01, b"@e", "@e"),
        (0x03, b"\xe9", "é"),
        (0x06, b"\xb0", "А"),
        (0x07, b"\xe0", "א"),
        (0x08, b"\xd8\x3d\xde\x00", "😀"),
        (0x08, b"\x00A\x00", "A\ufffd"),
        (0x08, b"\xd8\x3d", "\ufffd"),
        (0x0E, b"\xb0\xa1", "가"),
        (0x11, b"\x00", "@"),
        (0x18, b"\x00A", "A"),
        (0x14, b"\xe9", "é"),
        (0xC8, b"\x00", "@"),
        (0xE0, b"\x00A", "A"),
        (0xF0, b"\x00", "@"),
        (0xF4, b"\xe9", "é"),
    ],
)
def test_inbound_texts_are_read_by_their_coding(data_coding: int, octets: bytes, read: str) -> None:
    assert text.decode(octets, data_coding) == read


def test_the_default_alphabet_holds_for_inbound_texts_too() -> None:
    assert text.decode("é@".encode("latin-1"), 0, "latin1") == "é@"
    assert text.decode("é@".encode("latin-1"), 0, "ascii") == "é@"


@given(st.binary(max_size=50), st.integers(0, 255))
def test_every_octet_string_becomes_a_text_that_can_be_stored(octets: bytes, data_coding: int) -> None:
    text.decode(octets, data_coding).encode()


@given(st.integers(0, 0xFFFF), st.integers(2, 255), st.sampled_from([8, 16]), st.data())
def test_a_header_comes_back_as_it_was(reference: int, count: int, bits: int, data: st.DataObject) -> None:
    part = Concatenation(reference & (0xFFFF if bits == 16 else 0xFF), count, data.draw(st.integers(1, count)), bits)
    assert text.read_header(text.make_header(part) + b"Hello") == (part, b"Hello")


@pytest.mark.parametrize(
    ("octets", "part", "rest"),
    [
        ("050003010101" + "41", None, b"A"),
        ("050003010200" + "41", None, b"A"),
        ("050003010203" + "41", None, b"A"),
        ("06050413370000" + "41", None, b"A"),
        ("0b0504158a0000" + "0003070201" + "41", Concatenation(7, 2, 1), b"A"),
        ("0500ff010201" + "41", None, b"A"),
        ("00" + "41", None, b"A"),
        ("4142", None, b"AB"),
        ("", None, b""),
    ],
)
def test_odd_headers_leave_the_text(octets: str, part: Concatenation | None, rest: bytes) -> None:
    assert text.read_header(bytes.fromhex(octets)) == (part, rest)


@given(st.binary(max_size=60))
def test_random_headers_leave_some_text(octets: bytes) -> None:
    assert octets.endswith(text.read_header(octets)[1])


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ((b"\1\2", b"\3", b"\1"), Concatenation(258, 3, 1, 16)),
        ((b"\2", b"\3", b"\3"), Concatenation(2, 3, 3, 16)),
        ((None, b"\3", b"\1"), None),
        ((b"\1\2", b"", b"\1"), None),
        ((b"\1\2", b"\1", b"\1"), None),
        ((b"\1\2", b"\2", b"\3"), None),
    ],
)
def test_sar_parameters_say_where_a_part_belongs(
    values: tuple[bytes | None, bytes | None, bytes | None], part: Concatenation | None
) -> None:
    assert text.read_sar(*values) == part


# What data_coding does not say

LANGUAGES = [
    "STOP", "stop", "Não, obrigado", "Arrêt", "СТОП", "Больше не пишите", "停止", "退订", "取消订阅", "同意", "最一",
    "。。。", "！！！", "一一一", "你好，我要退订。", "請停止發送", "やめて", "ストップ", "그만",
    "스팸 그만 보내세요", "หยุด", "قف", "أوقف الرسائل", "הסר", "रोको",
    "🛑", "STOP 🛑", "Parar ✋ já", "NO", "Ok", "1", "",
]  # fmt: skip


@pytest.mark.parametrize("written", LANGUAGES)
def test_ucs2_is_read_as_it_is_written_and_by_its_mark(written: str) -> None:
    big, little = written.encode("utf-16-be"), written.encode("utf-16-le")
    for octets in (big, b"\xfe\xff" + big, b"\xff\xfe" + little):
        for data_coding in (0x08, 0x18, 0x19, 0x1B, 0xE0):
            assert text.read(octets, data_coding) == (written, True)


@pytest.mark.parametrize("data_coding", [0x00, 0x01, 0x02, 0x03, 0x04, 0x06, 0x07, 0x10, 0x14, 0xF0, 0xF4, 0xF7])
@pytest.mark.parametrize("written", ["STOP", "Não, obrigado", "СТОП", "停止发送", "그만"])
def test_a_byte_order_mark_counts_in_every_coding(written: str, data_coding: int) -> None:
    for octets in (b"\xff\xfe" + written.encode("utf-16-le"), written.encode("utf-8-sig")):
        assert text.decode(octets, data_coding) == written


@pytest.mark.parametrize(
    "written", ["STOP", "YES", "ARRET", "Não, obrigado", "СТОП", "Больше не пишите", "STOP 🛑 please"]
)
def test_swapped_octets_without_a_mark_are_noticed(written: str) -> None:
    assert text.read(written.encode("utf-16-le"), 0x08) == (written, True)


@pytest.mark.parametrize("written", ["Não, obrigado", "СТОП", "停止发送", "그만", "Arrêt"])
@pytest.mark.parametrize("data_coding", [0x00, 0x01, 0x03, 0x04, 0x11, 0x14, 0xF0, 0xF4])
def test_utf8_is_noticed(written: str, data_coding: int) -> None:
    assert text.read(written.encode(), data_coding) == (written, True)


@pytest.mark.parametrize(
    "written", ["STOP", "Stop", "ARRET", "STOP!", "Não, obrigado", "СТОП", "停止发送", "Please stop it"]
)
def test_octets_that_are_no_ucs2_are_read_and_not_sure(written: str) -> None:
    assert text.read(written.encode(), 0x08) == (written, False)


@pytest.mark.parametrize(
    ("data_coding", "octets", "read"),
    [
        (0x08, b"\0S\0T\0O\0P\0", "STOP\ufffd"),
        (0x08, b"S\0T\0O\0P", "STOP"),
        (0x08, b"\xff\xfeS\0T\0O\0P", "STOP"),
        (0x08, b"N\xe3o", "Não"),
        (0x08, b"\xd8\x3d\0A", "\ufffdA"),
        (0x06, b"\xa1\xff\x80", "Ёџ\x80"),
        (0x07, b"\xa1", "\ufffd"),
        (0x04, b"\1\2\x80", "\1\2€"),
        (0x20, b"\x8aS", "\x8aS"),
        (0x90, b"\x8aS", "\x8aS"),
    ],
)
def test_an_unreadable_text_is_kept_as_uncertain(data_coding: int, octets: bytes, read: str) -> None:
    assert text.read(octets, data_coding) == (read, False)


@pytest.mark.parametrize(
    ("data_coding", "octets", "read"),
    [
        (0x00, b"\0S\0T\0O\0P", "STOP"),
        (0x04, b"S\0T\0O\0P\0", "STOP"),
        (0x03, b"Don\x92t", "Don’t"),
        (0x00, b"a b c d ", "a b c d "),
        (0x00, b"1\n2\n3\n4\n", "1\n2\n3\n4\n"),
        (0x20, b"STOP", "STOP"),
        (0x90, b"STOP", "STOP"),
        (0x06, b"\xc1\xc2\xbe\xbf", "СТОП"),
        (0x07, b"\xe4\xf1\xf8", "הסר"),
    ],
)
def test_odd_codings_of_plain_texts_are_sure(data_coding: int, octets: bytes, read: str) -> None:
    assert text.read(octets, data_coding) == (read, True)


@pytest.mark.parametrize(("first", "last"), [(0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0x3041, 0x30FE)])
def test_scripts_of_many_characters_are_hardly_ever_taken_for_something_else(first: int, last: int) -> None:
    random = Random(7)
    written = ["".join(chr(random.randint(first, last)) for _ in range(2 + number % 7)) for number in range(20_000)]
    assert sum(text.decode(each.encode("utf-16-be"), 0x08) != each for each in written) < 20


@pytest.mark.parametrize(
    ("octets", "is_header"),
    [
        ("050003070201" + "41", True),
        ("06080401070201" + "41", True),
        ("050003070200" + "41", False),
        ("050003" + "41", False),
        ("414243", False),
        ("", False),
    ],
)
def test_headers_that_nobody_announced_are_known(octets: str, is_header: bool) -> None:
    assert text.has_header(bytes.fromhex(octets)) is is_header
