from __future__ import annotations

import pytest
import smsutil
from hypothesis import given, settings
from hypothesis import strategies as st

from msvs.api.text.sms import (
    GSM7_BASIC,
    GSM7_EXTENSION,
    Encoding,
    Segmentation,
    forcing_characters,
    measure,
    split,
)

GSM7, UCS2 = Encoding.GSM7, Encoding.UCS2

gsm7_text = st.text(st.sampled_from(GSM7_BASIC + GSM7_EXTENSION), max_size=700)
mostly_extension = st.text(st.sampled_from("aé" + GSM7_EXTENSION), min_size=100, max_size=700)
wide_text = st.text(st.sampled_from("aé^€çñ漢字😀🇧🇷\u200d"), max_size=400)
# The reference sends a raw escape as GSM-7; every other character is treated alike.
any_text = st.text(st.characters(exclude_characters="\x1b", exclude_categories=["Cs"]), max_size=400)


@pytest.mark.parametrize(
    ("body", "encoding", "segments", "units"),
    [
        ("", GSM7, 1, 0),
        ("a" * 160, GSM7, 1, 160),
        ("a" * 161, GSM7, 2, 161),
        ("a" * 306, GSM7, 2, 306),
        ("a" * 307, GSM7, 3, 307),
        ("a" * 1600, GSM7, 11, 1600),
        ("€" * 80, GSM7, 1, 160),
        ("€" * 80 + "a", GSM7, 2, 161),
        ("€" * 81, GSM7, 2, 162),
        ("€" * 152, GSM7, 2, 304),
        ("€" * 153, GSM7, 3, 306),
        ("a" * 152 + "€" + "a" * 152, GSM7, 3, 306),
        ("a" * 151 + "€" + "a" * 153, GSM7, 2, 306),
        ("a" * 158 + "^", GSM7, 1, 160),
        ("a" * 159 + "^", GSM7, 2, 161),
        ("ç" * 70, UCS2, 1, 70),
        ("ç" * 71, UCS2, 2, 71),
        ("ç" * 134, UCS2, 2, 134),
        ("ç" * 135, UCS2, 3, 135),
        ("ç" * 1600, UCS2, 24, 1600),
        ("😀" * 35, UCS2, 1, 70),
        ("😀" * 36, UCS2, 2, 72),
        ("😀" * 66, UCS2, 2, 132),
        ("😀" * 67, UCS2, 3, 134),
        ("ç" * 66 + "😀" + "ç" * 66, UCS2, 3, 134),
        ("ç" * 65 + "😀" + "ç" * 67, UCS2, 2, 134),
        ("€" * 70 + "ç", UCS2, 2, 71),
        ("a\x1bb", UCS2, 1, 3),
        ("`", UCS2, 1, 1),
        ("a\tb", UCS2, 1, 3),
    ],
)
def test_boundaries(body: str, encoding: Encoding, segments: int, units: int) -> None:
    assert measure(body) == Segmentation(encoding, segments, units)
    assert len(split(body)) == segments


@pytest.mark.parametrize("character", GSM7_BASIC)
def test_a_basic_character_is_one_septet(character: str) -> None:
    assert measure(character) == Segmentation(GSM7, 1, 1)


@pytest.mark.parametrize("character", GSM7_EXTENSION)
def test_an_extension_character_is_two_septets(character: str) -> None:
    assert measure(character) == Segmentation(GSM7, 1, 2)


def test_the_alphabet_is_complete() -> None:
    assert len(set(GSM7_BASIC)) == 127
    assert len(set(GSM7_EXTENSION)) == 10
    assert not set(GSM7_BASIC) & set(GSM7_EXTENSION)


def test_pairs_are_never_divided() -> None:
    assert split("a" * 152 + "€" + "b" * 10) == ["a" * 152, "€" + "b" * 10]
    assert split("ç" * 66 + "😀" + "b" * 10) == ["ç" * 66, "😀" + "b" * 10]
    assert split("ç" * 67 + "😀😀") == ["ç" * 67, "😀😀"]


def test_a_single_part_is_not_cut_at_the_length_of_a_concatenated_one() -> None:
    assert split("a" * 160) == ["a" * 160]
    assert split("ç" * 70) == ["ç" * 70]


def test_forcing_characters_are_distinct_and_in_order() -> None:
    assert forcing_characters("Olá ç €uro 😀 ç á") == ["á", "ç", "😀"]
    assert forcing_characters("Hey Maria, cart closes tonight {now} €5") == []


@given(st.one_of(gsm7_text, mostly_extension, wide_text, any_text).filter(bool))
@settings(max_examples=300, deadline=None)
def test_agrees_with_the_reference(body: str) -> None:
    reference = smsutil.split(body)
    width = 1 if reference.encoding == "gsm0338" else 2
    assert measure(body) == Segmentation(
        GSM7 if width == 1 else UCS2, len(reference.parts), reference.total_bytes // width
    )
    assert split(body) == [part.content for part in reference.parts]


@given(st.one_of(gsm7_text, mostly_extension, wide_text, any_text))
@settings(max_examples=300, deadline=None)
def test_parts_join_to_the_body_and_fit(body: str) -> None:
    parts = split(body)
    whole = measure(body)
    assert "".join(parts) == body
    assert len(parts) == whole.segments
    assert (forcing_characters(body) == []) == (whole.encoding is GSM7)
    if len(parts) > 1:
        limit = 153 if whole.encoding is GSM7 else 67
        assert all(0 < _units(part, whole.encoding) <= limit for part in parts)


def _units(part: str, encoding: Encoding) -> int:
    if encoding is GSM7:
        return sum(2 if character in GSM7_EXTENSION else 1 for character in part)
    return sum(2 if ord(character) > 0xFFFF else 1 for character in part)
