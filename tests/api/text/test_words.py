"""STOP, START, HELP and YES: the words of every language, however they are written, and nothing else."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msvs.api.text import words
from msvs.api.text.words import MEANINGS, OPT_INS, Keyword, classify_reply, fold, is_question, read_lookalikes, words_of

DATA = tomllib.loads((Path(words.__file__).parents[1] / "data" / "words.toml").read_text())
WORDS = [(word, keyword) for keyword in MEANINGS for word in words_of(keyword)]

# What every sender here must honor, even when words are added.
REQUIRED = {
    Keyword.STOP: [
        "STOP",
        "STOPALL",
        "UNSUBSCRIBE",
        "CANCEL",
        "END",
        "QUIT",
        "REVOKE",
        "OPTOUT",
        "OPT OUT",
        "REMOVE",
        "CANCELAR",
        "SAIR",
        "PARAR",
        "BAJA",
        "ALTO",
        "ARRET",
    ],
    Keyword.START: ["START", "UNSTOP"],
    Keyword.HELP: ["HELP", "INFO", "AYUDA", "AJUDA"],
    Keyword.CONFIRM: ["YES", "SIM", "SI", "Y"],
}

# Ordinary answers, each of them a word for some meaning in one language or another.
ORDINARY = (
    "no", "non", "nao", "ok", "okay", "ja", "tak", "da", "fin", "fim", "fine", "alta", "para", "pare", "hola", "bien",
    "later", "done", "thanks", "merci", "gracias", "obrigada", "out", "off", "leave", "1", "2", "x", "n", "s", "k",
)  # fmt: skip


def test_the_required_words_are_there() -> None:
    for keyword, required in REQUIRED.items():
        assert set(required) <= set(words_of(keyword))
    assert words_of(Keyword.JOIN) == ()


def test_every_language_names_its_sources_and_nothing_is_left_unread() -> None:
    for language, entry in DATA.items():
        assert entry["sources"], language
        assert entry.keys() <= {"sources", *MEANINGS}, language


def test_no_word_means_two_things() -> None:
    folded = [fold(word) for word, _ in WORDS]
    assert len(set(folded)) == len(folded) == 89


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_answer_is_no_word(text: str) -> None:
    assert classify_reply(text) is None


@pytest.mark.parametrize(("word", "keyword"), WORDS)
def test_a_word_counts_however_it_is_written(word: str, keyword: Keyword) -> None:
    for text in (word, word.lower(), word.title(), f"  {word}\r\n", f"{word}.", f"¡«{word}»!!!", f"“{word}” 🛑"):
        assert classify_reply(text) is keyword


@pytest.mark.parametrize(("word", "keyword"), WORDS)
def test_a_word_among_others_is_free_text(word: str, keyword: Keyword) -> None:
    for text in (f"{word} PLEASE", f"please {word}", f"{word}1", f"X{word}", f"{word} {word}"):
        assert classify_reply(text) is None


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("arrêt", Keyword.STOP),
        ("ARRE\u0302T", Keyword.STOP),
        ("S.T.O.P", Keyword.STOP),
        ("OPT-OUT", Keyword.STOP),
        ("opt out", Keyword.STOP),
        ("Opt \t\n  Out.", Keyword.STOP),
        ("opt - out", Keyword.STOP),
        ("ＳＴＯＰ", Keyword.STOP),
        ("STOP™", Keyword.STOP),
        ("st\u200bop\ufeff", Keyword.STOP),
        ("stop\u00a0", Keyword.STOP),
        ("stop_all", Keyword.STOP),
        ("Stop all!", Keyword.STOP),
        ("\x00stop", Keyword.STOP),
        ("iptal", Keyword.STOP),
        ("sí", Keyword.CONFIRM),
        ("¡SÍ!", Keyword.CONFIRM),
        ("y", Keyword.CONFIRM),
        ("Yes 👍🏽", Keyword.CONFIRM),
        ("Oui.", Keyword.CONFIRM),
        ("help?", Keyword.HELP),
        ("un-stop", Keyword.START),
        ("", None),
        ("   ", None),
        ("...", None),
        ("👍", None),
        ("s t o p", None),
        ("don't stop", None),
        ("STOPPED", None),
        ("no", None),
        ("yes please", None),
        ("стоп", Keyword.STOP),
    ],
)
def test_replies(text: str, keyword: Keyword | None) -> None:
    assert classify_reply(text) is keyword


@given(st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_is_classified_and_a_letter_more_makes_it_free_text(text: str) -> None:
    assert classify_reply(text) in (None, *MEANINGS)
    assert classify_reply(f"stop {text} x") is None


@given(
    st.sampled_from(WORDS),
    st.text(st.characters(categories=["P", "S", "Zs", "Mn"]), max_size=5),
)
@settings(max_examples=300, deadline=None)
def test_punctuation_after_a_word_changes_nothing(word: tuple[str, Keyword], tail: str) -> None:
    # What asks opts nobody in.
    expected = None if word[1] in OPT_INS and is_question(tail) else word[1]
    assert classify_reply(word[0] + tail) is expected


@pytest.mark.parametrize(
    "text",
    [
        *("СТОП", "стоп!", "ST\u041eP", "\u0405ТОР", "ⓈⓉⓄⓅ", "🆂🆃🅾🅿", "🇸🇹🇴🇵", "ꜱᴛᴏᴘ", "ＳＴＯＰ", "𝐒𝐓𝐎𝐏", "ΣΤΟΠ"),
        *(
            "退订。",
            "إلغاء",
            "الغاء الاشتراك",
            "הסר",
            "수신거부",
            "ยกเลิก",
            "配信停止",
            "LOPETA",
            "dezabonare",
            "rezygnuję",
        ),
        # Cyrillic and Greek letters among Latin ones, by their looks and by their sounds, and the other way around.
        *(
            "сто\u0070",
            "СТОP",
            "\u0063топ",
            "sтоп",
            "CTОП",
            "cancеl",
            "UNЅUBSCRIBE",
            "oтпиcка",
            "SΤΟΠ",
            "ΔIAΓPAΦH",
            "Πarar",
        ),
        *("ՏTOP", "STՕP", "ꓢꓔꓳꓑ", "ᏚᎢOᏢ"),
    ],
)
def test_a_stop_counts_in_every_script(text: str) -> None:
    assert classify_reply(text) is Keyword.STOP


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("сто\u0070", "stop"),
        ("стоп", "стоп"),
        ("стоp пожалуйста", "stop пожалуйста"),
        ("рlease rеmove me", "please remove me"),
        ("Не стоp, а стoл", "Не stop, а стoл"),
        ("Cohort Labs", "Cohort Labs"),
        ("Кассир Łukasz", "Кассир Łukasz"),
        ("с" * 50 + "a", "с" * 50 + "a"),
    ],
)
def test_a_word_of_several_alphabets_is_read_in_one(text: str, read: str) -> None:
    assert read_lookalikes(text) == read


@pytest.mark.parametrize(
    "text",
    [
        "🇺🇸",
        "Да",
        "οκ",
        "ⓎⒺⓈ",
        "\u0423ЕЅ",
        "ＹＥＳ?",
        "стол",
        "止まれ",
        "停止します",
        "yеs",
        "stаrt",
        "пeт",
        "нeт",
        "баја",
        "саир",
    ],
)
def test_other_letters_opt_nobody_in_or_out(text: str) -> None:
    """What opts in is written as it is asked for: a likeness is no consent."""
    assert classify_reply(text) is None
