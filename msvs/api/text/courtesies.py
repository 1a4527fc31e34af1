"""Recognize a keyword with courtesies, a name or a signature around it.

What may stand around a word is data (data/courtesies.toml). A message that says anything else is none.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from itertools import product

from msvs.api.text.words import MEANINGS, OPT_INS, Keyword, is_question, words_of

# A message of more words is no single word with something around it.
MAX_WORDS = 40
MAX_NAME = 3
MIN_PHONE = 5


@dataclass(frozen=True, slots=True)
class BareWord:
    """The word that a message amounts to; one that is not sure may also be meant for something else."""

    keyword: Keyword
    is_sure: bool


class _Kind(StrEnum):
    WORD = "word"
    OBJECT = "object"
    WEAK = "weak"
    POLITE = "polite"
    FILLER = "filler"
    DISINTEREST = "disinterest"
    CLOSING = "closing"
    INTRODUCTION = "introduction"
    AFTER = "after"
    AFFIRMATION = "affirmation"
    WISH = "wish"
    REQUEST = "request"
    CONTRAST = "contrast"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    folded: str
    before: str
    start: int


@dataclass(frozen=True, slots=True)
class _Part:
    """A phrase of the data, or a run of words that are in none."""

    kinds: frozenset[_Kind]
    tokens: Sequence[_Token]
    keyword: Keyword | None = None


_TOKEN = re.compile(r"[^\W_]+(?:[\u0300-\u036f'’‘`´ʼ]+[^\W_]+)*[\u0300-\u036f]*")
_SIGNATURE_LINE = re.compile(r"\n[ \t]*(?:--+|__+|[—–]+)[ \t]*\n|\n[ \t]*--+[ \t]*$")
_LAUGHTER = re.compile(r"[😂🤣😹😆😅😄😁😜😝]|\b(?:(?:ha){2,}h?|(?:ja){2,}|k{3,}|lo+l|lmf?ao)\b", re.IGNORECASE)
_SIGNED = re.compile(r"[\n\r]|\s[-—–~]+\s?|[—–]")
_SEPARATED = re.compile(r"[\n\r,.;:!—–~-]")
_CAPITALIZED = re.compile(r"[^\W\d_a-z][^\W\d_]*(?:['’][^\W\d_]+)?")


def bare_word(text: str) -> BareWord | None:
    """Return the word that all of `text` amounts to, with courtesies, a name or a signature around it, or None for free
    text.
    """
    tokens = _without_signature(_tokens(_own_lines(text)))
    if not 0 < len(tokens) <= MAX_WORDS:
        return None
    parts = list(_parts(tokens))
    keyword = _keyword_of(parts)
    if keyword is None:
        return None
    kinds = {kind for part in parts for kind in part.kinds}
    # "Yes, but" is no yes, and neither is "yes?".
    if keyword in OPT_INS and (_Kind.CONTRAST in kinds or is_question(text)):
        return None
    if not all(_may_say(part.kinds, keyword) for part in parts):
        return None
    # "Yes, stop" asks to stop; what else says yes beside STOP says something.
    if keyword is not Keyword.CONFIRM and any(_says_yes(part) for part in parts[1:]):
        return None
    is_object = _Kind.OBJECT in kinds
    if _Kind.REQUEST in kinds and is_object:
        return None
    if not _name_their_writer(parts):
        return None
    sure = _are_names(parts, text, keyword)
    if sure is None:
        return None
    return BareWord(keyword, sure and not (_Kind.WISH in kinds and is_object) and not _LAUGHTER.search(text))


def without_courtesies(text: str) -> str:
    """Return the text without greetings before it, and thanks, a name or a signature after it."""
    text = _own_lines(text)
    tokens = _tokens(text)
    kept = _without_signature(tokens)
    parts = list(_parts(kept))
    # "Soy alto" says who the writer is: what introduces nobody is no greeting.
    while len(parts) > 1 and parts[0].kinds <= _AROUND and parts[0].kinds != {_Kind.INTRODUCTION}:
        parts.pop(0)
    while len(parts) > 1 and (parts[-1].kinds <= _AROUND or _is_signed(parts)):
        parts.pop()
    if not parts:
        return text
    last = parts[-1].tokens[-1]
    after = next((token for token in tokens if token.start > last.start), None)
    end = len(text) if after is None else after.start
    return text[parts[0].tokens[0].start : end].rstrip(" ,-–—\n\t")


def after_contrast(text: str) -> str:
    """Return what follows the "but" of a text that only says yes before it, or nothing: "yes but stop" is "stop"."""
    tokens = _tokens(text)
    if not tokens[1:]:
        return ""
    for part in _parts(tokens[: MAX_WORDS * 2]):
        if _Kind.CONTRAST in part.kinds:
            end = part.tokens[-1]
            return text[end.start + len(end.text) :] if part.tokens[0] is not tokens[0] else ""
        if part.keyword is not Keyword.CONFIRM and not part.kinds & _ASSENT:
            return ""
    return ""


def _is_signed(parts: Sequence[_Part]) -> bool:
    """Return whether the last part is the name of the writer."""
    name = parts[-1].tokens
    if parts[-1].kinds != {_Kind.FOREIGN} or not _SEPARATED.search(name[0].before):
        return False
    return len(name) <= MAX_NAME and _is_name(parts, len(parts) - 1) is True


def _says_yes(part: _Part) -> bool:
    """Return whether a part says yes; "y" is also "and"."""
    return part.keyword is Keyword.CONFIRM and part.tokens[0].folded != "y"


def _may_say(kinds: frozenset[_Kind], keyword: Keyword) -> bool:
    """Return whether a phrase fits the word: a wish or a request goes with STOP, an affirmation with YES."""
    wishes = {_Kind.WISH, _Kind.REQUEST, _Kind.DISINTEREST}
    if kinds & {_Kind.POLITE, _Kind.FILLER} or not kinds & {*wishes, _Kind.AFFIRMATION}:
        return True
    if keyword is Keyword.STOP:
        return bool(kinds & wishes)
    return keyword is Keyword.CONFIRM and _Kind.AFFIRMATION in kinds


def _keyword_of(parts: Sequence[_Part]) -> Keyword | None:
    """Return the one thing that the words of a message ask for: STOP before all, and START before YES."""
    said = {part.keyword for part in parts if part.keyword is not None and _Kind.WEAK not in part.kinds}
    if not said and len(parts) > 1 and any(_Kind.WEAK in part.kinds for part in parts):
        said = {Keyword.CONFIRM}
    if Keyword.START in said and said & {Keyword.STOP, Keyword.HELP}:
        return None
    return next((keyword for keyword in MEANINGS if keyword in said), None)


def _name_their_writer(parts: Sequence[_Part]) -> bool:
    """Return whether each phrase that introduces or follows a writer stands beside a name."""
    for index, part in enumerate(parts):
        beside = {_Kind.INTRODUCTION: parts[index + 1 : index + 2], _Kind.AFTER: parts[max(index - 1, 0) : index]}
        for kind, neighbors in beside.items():
            if part.kinds == {kind} and not any(_Kind.FOREIGN in neighbor.kinds for neighbor in neighbors):
                return False
    return True


def _are_names(parts: Sequence[_Part], text: str, keyword: Keyword) -> bool | None:
    """Return whether what is in no list is surely a name (True), may be one (False), or is something else (None)."""
    sure = True
    foreign = [index for index, part in enumerate(parts) if _Kind.FOREIGN in part.kinds]
    if foreign and (len(foreign) > 2 or "?" in text or any(part.kinds & {_Kind.WISH, _Kind.REQUEST} for part in parts)):
        return None
    for index in foreign:
        found = _is_name(parts, index)
        if found is None or (keyword is not Keyword.STOP and not found):
            return None
        sure = sure and found
    return sure


def _is_name(parts: Sequence[_Part], index: int) -> bool | None:
    name, before = parts[index].tokens, parts[index - 1] if index else None
    after = parts[index + 1] if index + 1 < len(parts) else None
    name = _without_phone(name)
    if not name:
        return True
    if len(name) > MAX_NAME or any(token.folded in _NO_NAMES or token.folded.isdigit() for token in name):
        return None
    has_capitals = all(_CAPITALIZED.fullmatch(token.text) and not token.folded.endswith("ing") for token in name)
    is_given = all(token.folded in _GIVEN for token in name) or (has_capitals and name[0].folded in _GIVEN)
    is_object = any(part is not None and _Kind.OBJECT in part.kinds for part in (before, after))
    if not (is_given or has_capitals):
        is_plain = all(token.before.isspace() for token in name)
        may_be = before is not None and not is_object and len(name) == 2 and name[0].folded in _GIVEN and is_plain
        may_be = may_be or (before is not None and before.kinds >= {_Kind.POLITE, _Kind.INTRODUCTION})
        return False if may_be and not any(token.folded.endswith("ing") for token in name) else None
    if before is None:
        # "Ana: stop" is Ana's; "Ana stop" may be said to Ana, and "Truck Stop" is a place.
        is_apart = after is not None and bool(_SEPARATED.search(after.tokens[0].before))
        if (is_given and is_apart) or (after is not None and _Kind.AFTER in after.kinds):
            return True
        return False if is_apart or (is_given and not is_object) else None
    if _Kind.OBJECT in before.kinds and not _SEPARATED.search(name[0].before):
        return None
    is_introduced = bool(before.kinds & {_Kind.INTRODUCTION, _Kind.CLOSING})
    is_signed = after is None and bool(_SIGNED.search(name[0].before))
    # A name that nobody listed may be one, "STOP Ekaterina", or not, "Stop Traffic".
    if is_given or is_introduced or is_signed:
        return True
    return False if _phrase(before) in _PLAIN or _SEPARATED.search(name[0].before) else None


def _phrase(part: _Part) -> tuple[str, ...]:
    return tuple(token.folded for token in part.tokens)


def _without_phone(tokens: Sequence[_Token]) -> Sequence[_Token]:
    """Return the words of a name without the phone number that follows it."""
    end = len(tokens)
    while end and tokens[end - 1].folded.isdigit():
        end -= 1
    return tokens[:end] if sum(len(token.folded) for token in tokens[end:]) >= MIN_PHONE else tokens


# Reading


def _own_lines(text: str) -> str:
    """Return the text without what stands below a line of dashes."""
    text = unicodedata.normalize("NFKC", text.strip())
    text = text if text.isascii() else _UNSPACED.sub(r" \g<0> ", text)
    line = _SIGNATURE_LINE.search(text)
    return text[: line.start()] if line is not None and _TOKEN.search(text, 0, line.start()) else text


def _tokens(text: str) -> list[_Token]:
    tokens, end = [], 0
    for match in _TOKEN.finditer(text):
        tokens.append(_Token(match[0], fold_word(match[0]), text[end : match.start()], match.start()))
        end = match.end()
    return tokens


def fold_word(word: str) -> str:
    """Fold a word as phrases are compared: lower case, without accents and apostrophes."""
    letters = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in letters if letter.isalnum()).replace("ı", "i")


def _without_signature(tokens: list[_Token]) -> list[_Token]:
    """Return the words before what a phone or a mail program adds by itself."""
    for start in range(1, len(tokens)):
        if _match(_SIGNATURES, tokens, start):
            return tokens[:start]
    return tokens


def _match(phrases: Mapping[str, Sequence[tuple[str, ...]]], tokens: Sequence[_Token], start: int) -> tuple[str, ...]:
    """Return the longest phrase that stands at `start`, or nothing."""
    for phrase in phrases.get(tokens[start].folded, ()):
        if tuple(token.folded for token in tokens[start : start + len(phrase)]) == phrase:
            return phrase
    return ()


def _parts(tokens: Sequence[_Token]) -> Iterator[_Part]:
    start = index = 0
    while index < len(tokens):
        phrase = _match(_PHRASES, tokens, index)
        if phrase:
            if start < index:
                yield _Part(frozenset({_Kind.FOREIGN}), tokens[start:index])
            kinds, keyword = _MEANING[phrase]
            yield _Part(kinds, tokens[index : index + len(phrase)], keyword)
            start = index = index + len(phrase)
        else:
            index += 1
    if start < index:
        yield _Part(frozenset({_Kind.FOREIGN}), tokens[start:index])


# The data


def _folded(phrase: str) -> tuple[str, ...]:
    return tuple(fold_word(word) for word in _TOKEN.findall(phrase))


def _by_first(phrases: Iterable[tuple[str, ...]]) -> Mapping[str, Sequence[tuple[str, ...]]]:
    found: dict[str, list[tuple[str, ...]]] = {}
    for phrase in sorted(phrases, key=len, reverse=True):
        found.setdefault(phrase[0], []).append(phrase)
    return found


def _listed(section: str) -> set[tuple[str, ...]]:
    return {_folded(each) for phrases in _DATA[section].values() for phrase in phrases for each in _choices(phrase)}


def _choices(phrase: str) -> Iterator[str]:
    """Yield each phrase that one of the data stands for: "a (b|c|)" is "a b", "a c" and "a"."""
    parts = [part.split("|") for part in re.split(r"[()]", phrase)]
    return ("".join(chosen) for chosen in product(*parts))


def _meanings() -> Mapping[tuple[str, ...], tuple[frozenset[_Kind], Keyword | None]]:
    kinds: dict[tuple[str, ...], set[_Kind]] = {}
    for section, kind in _SECTIONS.items():
        for phrase in _listed(section):
            kinds.setdefault(phrase, set()).add(kind)
    for phrase in map(_folded, _DATA["introductions"]["after"]):
        kinds[phrase] = {_Kind.AFTER}
    keywords = {_folded(word): keyword for keyword in MEANINGS for word in words_of(keyword)}
    for keyword in MEANINGS:
        keywords |= {_folded(each): keyword for word in _DATA["words"][keyword.value] for each in _choices(word)}
    for phrase in keywords:
        kinds.setdefault(phrase, set()).add(_Kind.WORD)
    for phrase in map(_folded, _DATA["words"]["confirm_with_courtesy"]):
        keywords[phrase] = Keyword.CONFIRM
        kinds[phrase] = {_Kind.WEAK}
    for phrase in map(_folded, _DATA["objects"]["words"]):
        kinds[phrase].add(_Kind.OBJECT)
    return {phrase: (frozenset(found), keywords.get(phrase)) for phrase, found in kinds.items()}


_SECTIONS = {
    "polite": _Kind.POLITE,
    "fillers": _Kind.FILLER,
    "contrasts": _Kind.CONTRAST,
    "disinterest": _Kind.DISINTEREST,
    "closings": _Kind.CLOSING,
    "introductions": _Kind.INTRODUCTION,
    "affirmations": _Kind.AFFIRMATION,
    "wishes": _Kind.WISH,
    "requests": _Kind.REQUEST,
}
_ASSENT = frozenset((_Kind.POLITE, _Kind.FILLER, _Kind.AFFIRMATION, _Kind.WEAK))
_AROUND = frozenset((_Kind.POLITE, _Kind.CLOSING, _Kind.INTRODUCTION))
_DATA = tomllib.loads(files("msvs.api").joinpath("data/courtesies.toml").read_text("utf-8"))
_MEANING = _meanings()
# Courtesies at the edge of a word, in scripts that put no spaces between words; the longest first.
_NO_SPACES = "|".join(
    sorted((each for name in ("zh", "ja", "ko", "th") for each in _DATA["polite"][name]), key=len)[::-1]
)
_UNSPACED = re.compile(rf"(?<!\w)(?:{_NO_SPACES})|(?:{_NO_SPACES})(?!\w)")
_PHRASES = _by_first(_MEANING)
_SIGNATURES = _by_first(_listed("signatures"))
_GIVEN = frozenset(fold_word(name) for name in _DATA["names"]["given"])
_PLAIN = frozenset(_folded(word) for word in _DATA["plain"]["words"])
_NO_NAMES = frozenset(fold_word(word) for word in _DATA["no_names"]["words"])
