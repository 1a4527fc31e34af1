"""The keywords STOP, START, HELP and YES, in each language.

The words are data (data/words.toml), each language with its sources.
"""

from __future__ import annotations

import tomllib
import unicodedata
from enum import StrEnum
from importlib.resources import files
from string import ascii_lowercase


class Keyword(StrEnum):
    """The keyword of a reply. JOIN is a word that the workspace chose (keywords.py)."""

    STOP = "stop"
    START = "start"
    HELP = "help"
    CONFIRM = "confirm"
    JOIN = "join"


# These mean the same in every workspace.
MEANINGS = (Keyword.STOP, Keyword.START, Keyword.HELP, Keyword.CONFIRM)

# What opts somebody in takes no doubt: a question is none.
OPT_INS = frozenset((Keyword.START, Keyword.CONFIRM))
_QUESTION_MARKS = frozenset("?¿？؟⁇⁈⁉‽⸮﹖")

# Characters that look like a Latin letter, and are none: Cyrillic, Greek, small capitals.
_TWINS = (
    ("аеорсухіјѕһԁԛԝкмтвнВНКМТАЕОРСУХІЈЅ", "aeopcyxijshdqwkmtbhbhkmtaeopcyxijs"),
    ("αεορτυχικνΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aeoptuxiknabezhikmnoptyx"),
    ("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz"),
)
# The first letter of each alphabet in circles, squares and flags.
_SIGNS = (0x24B6, 0x24D0, 0x1F130, 0x1F150, 0x1F170, 0x1F1E6)
_LOOKALIKES = {
    **{ord(twin): letter for twins, letters in _TWINS for twin, letter in zip(twins, letters, strict=True)},
    **{first + place: letter for first in _SIGNS for place, letter in enumerate(ascii_lowercase)},
}
_DATA = tomllib.loads(files("msvs.api").joinpath("data/words.toml").read_text("utf-8"))


def words_of(keyword: Keyword) -> tuple[str, ...]:
    """Return the words of all languages that mean `keyword`, as they are printed in messages."""
    return tuple(word for language in _DATA.values() for word in language.get(keyword.value, ()))


def classify_reply(text: str) -> Keyword | None:
    """Return the keyword a whole reply amounts to, or None for free text.

    Case, accents, punctuation, symbols and repeated whitespace do not count: "S.T.O.P" and "Arrêt!" opt out;
    "STOP PLEASE" is free text, which opt_out_phrases reads. "YES?" and "Start?" are questions, and opt nobody in.
    A word that opts out counts in letters that look like its own, too: of another alphabet, circled, or of flags.
    """
    keyword = _KEYWORDS.get(fold(text))
    if keyword is None and not text.isascii() and _KEYWORDS.get(fold(text.translate(_LOOKALIKES))) is Keyword.STOP:
        return Keyword.STOP
    return None if keyword in OPT_INS and is_question(text) else keyword


def is_question(text: str) -> bool:
    """Return whether a text has a question mark of any script."""
    return not _QUESTION_MARKS.isdisjoint(text)


def fold(text: str) -> str:
    """Fold the text as words are compared: no case, accents, punctuation or symbols, and single spaces."""
    text = _letters(text)
    if not text.isascii():
        # Symbols go first: some of them, such as the trade mark sign, decompose into letters.
        text = _letters(unicodedata.normalize("NFKD", text))
    return " ".join(text.casefold().split())


def _letters(text: str) -> str:
    return "".join(character for character in text if character.isalnum() or character.isspace())


_KEYWORDS = {fold(word): keyword for keyword in MEANINGS for word in words_of(keyword)}
