"""Answers to a double opt-in and words to come back, measured over a corpus: nobody is opted in by mistake."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from msvs.api.text.courtesies import after_contrast, bare_word
from msvs.api.text.opt_out_phrases import wants_out
from msvs.api.text.words import classify_reply

CORPUS = Path(__file__).parents[2] / "data" / "opt_in_corpus.csv"
HALVES = ("development", "held_out")
LANGUAGES = ("en", "es", "pt", "fr", "de")
OPT_INS = ("confirm", "start")


def rows() -> list[dict[str, str]]:
    with CORPUS.open(newline="") as file:
        return list(csv.DictReader(file))


def read(text: str) -> str:
    """What a reply is taken for, as `receive_inbound` reads it."""
    keyword = classify_reply(text)
    if keyword is not None:
        return keyword.value
    if wants_out(text) is not None:
        return "stop"
    found = bare_word(text)
    return found.keyword.value if found is not None and found.is_sure else "none"


def measure(half: str) -> dict[str, tuple[int, int, int]]:
    """Of each label: how many were found, how many should have been, and how many were found that should not."""
    found: dict[str, list[int]] = {label: [0, 0, 0] for label in (*OPT_INS, "stop")}
    for row in rows():
        if row["half"] != half:
            continue
        is_read = read(row["text"])
        if row["label"] in found:
            found[row["label"]][1] += 1
            found[row["label"]][0] += is_read == row["label"]
        if is_read in found and is_read != row["label"]:
            found[is_read][2] += 1
    return {label: (counts[0], counts[1], counts[2]) for label, counts in found.items()}


def test_the_corpus_is_what_it_says() -> None:
    every = rows()
    assert len(every) >= 120
    assert len({row["text"] for row in every}) == len(every)
    assert {row["language"] for row in every} == set(LANGUAGES)
    held_out = sum(row["half"] == "held_out" for row in every)
    assert abs(2 * held_out - len(every)) <= len(every) // 5


@pytest.mark.parametrize("half", HALVES)
def test_precision_and_recall(half: str, capsys: pytest.CaptureFixture[str]) -> None:
    measured = measure(half)
    with capsys.disabled():
        for label, (right, wanted, wrong) in measured.items():
            precision = right / (right + wrong) if right + wrong else 1.0
            recall = f"recall {right / wanted:.3f} ({right} of {wanted})"
            print(f"\n{half} {label}: precision {precision:.3f}, {recall}", end="")
    for label, (right, wanted, wrong) in measured.items():
        # Nobody is ever opted in, or out, by mistake.
        assert wrong == 0, label
        assert right / wanted >= (1.0 if half == "development" else 0.9), label


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes but stop", "stop"),
        ("Yes, but please stop", "stop"),
        ("ok but unsubscribe me", "stop"),
        ("sim, mas não me mandem mais mensagens", "stop"),
        ("sí, pero quiero darme de baja", "stop"),
        ("quero voltar", "start"),
        ("volver a suscribirme", "start"),
        ("me inscreva de novo", "start"),
        ("Melden Sie mich wieder an", "start"),
        ("yes but", "none"),
        ("yes, but not now", "none"),
        ("YES?", "none"),
        ("¿Sí?", "none"),
        ("Start?", "none"),
        ("oui ?", "none"),
        ("はい？", "none"),
        ("quero voltar para casa", "none"),
        ("yes however I have a question", "none"),
        ("STOP?", "stop"),
        ("HELP?", "help"),
    ],
)
def test_doubt_is_no(text: str, expected: str) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("yes but stop", " stop"),
        ("but stop", ""),
        ("I like it but stop", ""),
        ("yes", ""),
        ("", ""),
        ("ok, sure, but stop it", " stop it"),
    ],
)
def test_the_words_after_a_but_count(text: str, rest: str) -> None:
    assert after_contrast(text) == rest
