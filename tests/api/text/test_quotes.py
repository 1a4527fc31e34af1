"""What a message quotes of ours is removed in every place; what its writer says stays."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msvs.api.text.quotes import own_words

BODY = "Hi Ana, doors open at 8pm: https://cohort.example/06 To stop these texts, reply STOP"
OTHER = "Cohort 07 is full. Reply STOP to opt out"
SENT = (BODY, OTHER)

SAID = ("STOP", "stop please", "take me off your list", "Can I bring a friend?")
MARKS = (
    "“{}”",
    '"{}"',
    "«\u00a0{}\u00a0»",
    "„{}“",
    "'{}'",
    "‘{}’",
    "‹{}›",
    "*{}*",
    "> {}",
    "{}",
    "“{}",
    "…{}…",
    "({})",
)


@pytest.mark.parametrize("marks", MARKS)
@pytest.mark.parametrize("body", [BODY, BODY.upper(), BODY.replace(" ", "\n"), BODY[:50], f"{BODY[:47]}…"])
def test_a_quoted_body_is_removed_with_any_quotation_marks(marks: str, body: str) -> None:
    assert "stop" not in own_words(marks.format(body), SENT).casefold()
    assert own_words(f"STOP\n{marks.format(body)}", SENT) == "STOP"


@pytest.mark.parametrize(
    ("text", "own"),
    [
        (f"{BODY}\n\nSTOP", "STOP"),
        (f"{BODY} STOP", "STOP"),
        (f"STOP {BODY}", "STOP"),
        (f"> {BODY}\n\nstop please", "stop please"),
        (f"please\n{BODY}\nstop\n{OTHER}", "please\nstop"),
        (f"Liked “{BODY}” STOP", "STOP"),
        (f"Liked “{BODY}", ""),
        (f"Reacted ❤️ to “{BODY}”", ""),
        (f"👍 to “{BODY}”", ""),
        (f"Hat „{BODY}“ mit „Gefällt mir“ markiert", ""),
        (f"“{BODY}” iletisini beğendi", ""),
        (f"A Ana le gustó “{BODY}”", ""),
        ("Liked “A message of somebody else. Reply STOP to opt out”", ""),
        ("Liked “A message of somebody else. Reply STOP to o", ""),
        (f"Re: {BODY}", ""),
        (f"Yes!\n\nOn Mon, Nov 2, Cohort Labs\n<hi@cohort.example> wrote:\n> {BODY}", "Yes!"),
        ("STOP\n\nEl lun, 2 nov 2026, Cohort Labs escribió:\n> Unknown text, reply STOP", "STOP"),
    ],
)
def test_the_writers_own_words_stay(text: str, own: str) -> None:
    assert own_words(text, SENT) == own


@pytest.mark.parametrize(
    "text",
    [
        "STOP",
        "please stop these texts",
        "I want to stop these texts",
        "Reply STOP to opt out",
        "To stop these texts",
        "“STOP”",
        "I said “please stop texting me”",
        "> STOP",
        "Hi Ana",
        "",
        "👍",
        "Loved an image",
        "“stop these texts”",
    ],
)
def test_a_few_common_words_are_not_taken_for_a_quote(text: str) -> None:
    assert own_words(text, SENT) == text


@given(st.text(max_size=200), st.lists(st.text(max_size=80), max_size=3))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read(text: str, sent: list[str]) -> None:
    assert len(own_words(text, sent)) <= max(len(text), 4000)


@given(st.sampled_from(MARKS), st.sampled_from(SAID))
def test_the_writers_words_survive_above_and_below_a_quote(marks: str, said: str) -> None:
    assert own_words(f"{said}\n\n{marks.format(BODY)}", SENT) == said
    assert own_words(f"{marks.format(BODY)}\n\n{said}", SENT) == said


@pytest.mark.parametrize("text", [" ", "\t", "- ", "-", "\n ", "> "])
def test_blanks_and_lines_take_no_longer_for_each_than_letters(text: str) -> None:
    """In processor time: at a square of the length it was 16 times as much."""

    def measure(size: int) -> float:
        started = time.thread_time()
        own_words(text * (size // len(text)), SENT)
        return time.thread_time() - started

    large = min(measure(4000) for _ in range(3))
    assert large < 0.02 or large < 8 * min(measure(1000) for _ in range(3))
