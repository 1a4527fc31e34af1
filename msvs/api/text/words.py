"""The keywords STOP, START, HELP and YES, in each language.

The words are data (data/words.toml), each language with its sources.
"""

from __future__ import annotations

import re
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

# Characters that look like a Latin letter, and are none: Cyrillic, Greek, small capitals, Armenian, Cherokee, Lisu.
_TWINS = (
    ("аеорсухіјѕһԁԛԝкмтвнВНКМТАЕОРСУХІЈЅ", "aeopcyxijshdqwkmtbhbhkmtaeopcyxijs"),
    ("αεορτυχικνΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aeoptuxiknabezhikmnoptyx"),
    ("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz"),
    ("ՏՍՕսօոհ", "suouonh"),
    ("ᎪᏴᏟᎠᎬᎻᎫᏦᏞᎷᏢᎡᏚᎢᏙᎳᏃ", "abcdehjklmprstvwz"),
    ("ꓮꓐꓚꓓꓰꓝꓖꓧꓲꓙꓗꓡꓟꓠꓳꓑꓣꓢꓔꓴꓦꓪꓫꓬꓜ", "abcdefghijklmnoprstuvwxyz"),
)
# Letters of Cyrillic and Greek that are said as a Latin one, where they do not also look like it.
_SOUNDS = {
    **dict(zip("сСпПрРнНвВуУлЛдДбБгГфФзЗиИ", "sspprrnnvvuullddbbggffzzii", strict=True)),
    **dict(zip("σςΣπΠρΡνΝλΛδΔβγΓφΦ", "ssspprrnnllddbggff", strict=True)),
}
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
    if keyword is None and not text.isascii():
        alike = (text.translate(_LOOKALIKES), read_lookalikes(text))
        if any(_KEYWORDS.get(fold(each)) is Keyword.STOP for each in alike):
            return Keyword.STOP
    return None if keyword in OPT_INS and is_question(text) else keyword


def read_lookalikes(text: str) -> str:
    """Return the text with the words that are written in letters of several alphabets in the letters of one.

    "стоp", of three Cyrillic letters and a Latin one, is "stop", "oтпиcка" is "отписка", and "рlease" is "please". A
    word of one alphabet stays, unless its letters look like a word that opts out. Use this to find opt-outs only: no
    likeness opts anybody in.
    """
    return text if text.isascii() else _WORD.sub(lambda match: _in_one_alphabet(match[0]), text)


def _in_one_alphabet(word: str) -> str:
    if word.isascii() or len(word) > _LONGEST:
        return word
    looks = fold(word.translate(_LOOKALIKES))
    if _KEYWORDS.get(looks) is Keyword.STOP:
        return looks
    letters = fold(word)
    if letters.isascii() or not any(letter.isascii() for letter in letters):
        return word
    if looks in _STOP_LOOKS:
        return _STOP_LOOKS[looks]
    readings = [{letter, _LOOKALIKES.get(ord(letter)), _SOUNDS.get(letter)} for letter in letters]
    said = (stop for stop in _LATIN_STOPS if len(stop) == len(letters))
    meant = next((stop for stop in said if all(map(set.__contains__, readings, stop))), None)
    return meant or (looks if looks.isascii() else word)


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
_WORD = re.compile(r"[^\W\d_]+")
# Longer words are none that opt out.
_LONGEST = 40
# The words that opt out, by what they look like in Latin letters, and those that have Latin letters alone.
_STOP_LOOKS = {fold(word.translate(_LOOKALIKES)): fold(word) for word in words_of(Keyword.STOP)}
_LATIN_STOPS = tuple(word for word in map(fold, words_of(Keyword.STOP)) if word.isascii() and " " not in word)
