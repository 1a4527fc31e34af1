"""STOP, START, HELP and YES with courtesies, a name or a signature around them, and what only begins like them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msvs.api.text import courtesies
from msvs.api.text.courtesies import BareWord, bare_word, without_courtesies
from msvs.api.text.words import MEANINGS, Keyword, words_of

WORDS = [(word, keyword) for keyword in MEANINGS for word in words_of(keyword)]


@pytest.mark.parametrize(("word", "keyword"), WORDS)
def test_every_word_of_every_language_may_have_courtesies_around_it(word: str, keyword: Keyword) -> None:
    for text in (
        f"{word} please",
        f"Por favor, {word.lower()}",
        f"{word}, merci beaucoup",
        f"Guten Tag, {word} bitte. Vielen Dank!",
        f"{word} grazie",
        f"{word} lütfen",
        f"{word.title()} alstublieft",
        f"{word}. Sent from my iPhone",
        f"{word}\n--\nEkaterina Petrova",
        f"{word}. Kind regards, Ekaterina",
        f"“{word}” 🙏",
    ):
        assert bare_word(text) == BareWord(keyword, True), text


@pytest.mark.parametrize("word", words_of(Keyword.STOP))
def test_a_name_may_follow_every_word(word: str) -> None:
    for text in (f"{word}, John", f"{word} - Maria Lopez", f"{word}\nJoão", f"This is Ana. {word}"):
        assert bare_word(text) == BareWord(Keyword.STOP, True), text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("STOP John", BareWord(Keyword.STOP, True)),
        ("stop john", BareWord(Keyword.STOP, True)),
        ("STOP Ekaterina", BareWord(Keyword.STOP, False)),
        ("UNSUBSCRIBE John Smith 555-123-4567", BareWord(Keyword.STOP, True)),
        ("I want to cancel", BareWord(Keyword.STOP, False)),
        ("stop please 😂", BareWord(Keyword.STOP, False)),
        ("stop pls n ty", BareWord(Keyword.STOP, True)),
        ("Stopp takk", BareWord(Keyword.STOP, True)),
        ("stop tack så mycket", BareWord(Keyword.STOP, True)),
        ("STOP proszę", BareWord(Keyword.STOP, True)),
        ("Vă rog STOP", BareWord(Keyword.STOP, True)),
        ("Пожалуйста, отписка. Спасибо", BareWord(Keyword.STOP, True)),
        ("СТОП, будь ласка", BareWord(Keyword.STOP, True)),
        ("Διαγραφή, ευχαριστώ πολύ", BareWord(Keyword.STOP, True)),
        ("הסר בבקשה", BareWord(Keyword.STOP, True)),
        ("إلغاء، شكراً", BareWord(Keyword.STOP, True)),
        ("Từ chối. Xin cảm ơn", BareWord(Keyword.STOP, True)),
        ("请退订，谢谢", BareWord(Keyword.STOP, True)),
        ("退订谢谢", BareWord(Keyword.STOP, True)),
        ("配信停止をお願いします", BareWord(Keyword.STOP, True)),
        ("수신거부 부탁드립니다", BareWord(Keyword.STOP, True)),
        ("ยกเลิกครับ", BareWord(Keyword.STOP, True)),
        ("停止申请", None),
        ("стоп сигнал", None),
        ("спасибо", None),
        ("lütfen durdurun", BareWord(Keyword.STOP, True)),
        ("Yes, stop", BareWord(Keyword.STOP, True)),
        ("Ja bitte", BareWord(Keyword.CONFIRM, True)),
        ("Sim, quero", BareWord(Keyword.CONFIRM, True)),
        ("SUBSCRIBE", BareWord(Keyword.START, True)),
        ("Remove John", None),
        ("Cancel Tuesday", None),
        ("Can you cancel please", None),
        ("stop worrying", None),
        ("Stop Smoking", None),
        ("Stop Sign", None),
        ("Alto y claro, gracias", None),
        ("Alto Palermo", None),
        ("start stop", None),
        ("ja", None),
        ("yes but when?", None),
        ("Stop Motion?", None),
        ("John", None),
        ("thanks", None),
        ("", None),
        ("--\n--\n", None),
    ],
)
def test_what_is_one_of_the_words(text: str, found: BareWord | None) -> None:
    assert bare_word(text) == found


@pytest.mark.parametrize(
    ("text", "core"),
    [
        ("Hello, I want my number removed. Thanks, Paul", "I want my number removed."),
        ("Je souhaite me désabonner, cordialement, Paul", "Je souhaite me désabonner"),
        ("don't call me now", "don't call me now"),
        ("Stop it\n-- \nMaria", "Stop it"),
        ("thanks", "thanks"),
        ("", ""),
    ],
)
def test_courtesies_are_taken_off_a_sentence(text: str, core: str) -> None:
    assert without_courtesies(text) == core


def test_no_given_name_is_a_word_or_a_courtesy() -> None:
    said = {phrase[0] for phrase in courtesies._MEANING if len(phrase) == 1}
    assert courtesies._GIVEN & said == set()
    assert set() == courtesies._GIVEN & courtesies._NO_NAMES


@given(st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read(text: str) -> None:
    found = bare_word(text)
    assert found is None or found.keyword in MEANINGS
    without_courtesies(text)
