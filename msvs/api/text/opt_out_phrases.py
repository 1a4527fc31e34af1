"""Recognize sentences that ask to opt out, by rules that are data (data/opt_out_phrases.toml).

A person may revoke consent "using any reasonable means" (47 CFR § 64.1200(a)(10)), not by a keyword alone. The rules
are tried in every language at once; a person can read each, and the reading names the one that held.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from typing import NotRequired, TypedDict, cast

from msvs.api.text.courtesies import after_contrast, bare_word, without_courtesies
from msvs.api.text.words import Keyword, classify_reply, read_lookalikes

MAX_TEXT = 1600

# A sentence of more words is read in pieces of so many, each overlapping half of the one before, so that the time a
# rule takes has a bound for any input. CUT stands where a piece was cut: to no rule is it a beginning or end.
MAX_WORDS = 40
CUT = "+"

# Shorter words have too many neighbours that mean something else.
MIN_CORRECTED = 8
# Of how many pieces a word may be torn, and how short it may be: "en d" may be anything.
MAX_TORN = 4
MIN_TORN = 4


class Intent(StrEnum):
    """How certain it is that a text asks to opt out."""

    CERTAIN = "certain"
    LIKELY = "likely"
    UNCLEAR = "unclear"


class Scope(StrEnum):
    """The part of a message in which the phrases of a rule are searched."""

    MESSAGE = "message"
    SENTENCE = "sentence"
    CLAUSE = "clause"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Reading:
    """The reading of a text: `rule` matched, or `exclusion` prevented a match."""

    intent: Intent | None
    rule: str | None = None
    exclusion: str | None = None


@dataclass(frozen=True, slots=True)
class _Pattern:
    id: str
    found: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class _Exclusion(_Pattern):
    scope: Scope
    guards: frozenset[Intent]


@dataclass(frozen=True, slots=True)
class _Rule(_Pattern):
    scope: Scope
    intent: Intent
    questions: bool
    exclusions: tuple[_Exclusion, ...]


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    clauses: tuple[str, ...]
    is_question: bool


@dataclass(frozen=True, slots=True)
class _Text:
    """A text as rules see it: folded words with single spaces, whole and in pieces."""

    message: str
    sentences: tuple[_Sentence, ...]

    def pieces(self, scope: Scope) -> Iterator[tuple[str, _Sentence]]:
        """Yield the pieces that a rule of `scope` looks at, each with the sentence it stands in."""
        match scope:
            case Scope.MESSAGE:
                if self.message.count(" ") < MAX_WORDS:
                    is_question = any(sentence.is_question for sentence in self.sentences)
                    yield self.message, _Sentence(self.message, (), is_question)
            case Scope.SENTENCE:
                yield from ((sentence.text, sentence) for sentence in self.sentences)
            case Scope.CLAUSE:
                yield from ((clause, sentence) for sentence in self.sentences for clause in sentence.clauses)
            case Scope.LAST:
                yield from ((clause, sentence) for sentence in self.sentences[-1:] for clause in sentence.clauses[-1:])


def classify(text: str) -> Intent | None:
    """Return how surely `text` asks to be texted no more, or None for a plain reply."""
    return explain(text).intent


def wants_out(text: str) -> Intent | None:
    """`certain` or `likely` where a text asks to opt out, or None for any other, also an unclear one."""
    intent = classify(text)
    return None if intent is Intent.UNCLEAR else intent


def explain(text: str) -> Reading:
    """Return what `text` is read as, and by which rule.

    Words in letters of several alphabets are read in those of one. `words.bare` is a word of words.toml with courtesies
    or a name, `words.torn` one that spaces tore apart.
    """
    text = _FORWARDED.sub("", _TAG.sub(" ", read_lookalikes(text[: 2 * MAX_TEXT])))
    reading = _explain(text)
    if reading.intent is not Intent.CERTAIN:
        reading = min(reading, _explain(without_courtesies(text[:MAX_TEXT])), key=lambda each: _STRENGTH[each.intent])
    if reading.intent is not Intent.CERTAIN and (rest := after_contrast(text[:MAX_TEXT])):
        # "Yes, but stop": what is meant stands after the "but".
        reading = min(reading, explain(rest), key=lambda each: _STRENGTH[each.intent])
    if reading.intent is not Intent.CERTAIN:
        reading = min(reading, _torn_word(text[:MAX_TEXT]), key=lambda each: _STRENGTH[each.intent])
    bare = None if reading.intent is Intent.CERTAIN else bare_word(text[:MAX_TEXT])
    if bare is None or bare.keyword is not Keyword.STOP or (reading.intent is Intent.LIKELY and not bare.is_sure):
        return reading
    return Reading(Intent.CERTAIN if bare.is_sure else Intent.LIKELY, "words.bare")


_is_repeated = re.compile(r"([^\W\d_]{4,20}?)\1+").fullmatch


def _torn_word(text: str) -> Reading:
    """Read a STOP word that spaces tore apart, alone or with courtesies: surely where one letter is apart, "sto p".

    One that is written again without a space, "stopstop", is as sure.
    """
    repeated = _is_repeated(without_courtesies(text).strip(" .!").casefold())
    if repeated and classify_reply(repeated[1]) is Keyword.STOP:
        return Reading(Intent.CERTAIN, "words.torn")
    pieces = without_courtesies(text).strip().rstrip(".!").split()
    if not 1 < len(pieces) <= MAX_TORN or not all(piece.isalpha() for piece in pieces):
        return Reading(None)
    word = "".join(pieces)
    if len(word) < MIN_TORN or classify_reply(" ".join(pieces)) or classify_reply(word) is not Keyword.STOP:
        return Reading(None)
    is_sure = any(len(piece) == 1 for piece in pieces)
    return Reading(Intent.CERTAIN if is_sure else Intent.LIKELY, "words.torn")


def _explain(text: str) -> Reading:
    folded = _read(text[:MAX_TEXT])
    kept: Reading | None = None
    for rule in _RULES:
        for piece, sentence in folded.pieces(rule.scope):
            if (sentence.is_question and not rule.questions) or not rule.found.search(piece):
                continue
            exclusion = _excluded(rule, folded.message, sentence.text)
            if exclusion is None:
                return Reading(rule.intent, rule.id)
            kept = kept or Reading(None, rule.id, exclusion.id)
    return kept or Reading(None)


def _excluded(rule: _Rule, message: str, sentence: str) -> _Exclusion | None:
    for exclusion in rule.exclusions:
        if exclusion.found.search(message if exclusion.scope is Scope.MESSAGE else sentence):
            return exclusion
    return None


# Folding


# What mail programs put before the subject of an answer, which gateways of mail to SMS bring along.
_FORWARDED = re.compile(r"^\s*(?:(?:re|fwd?|aw|wg|enc|res|rv|tr)\s*:\s*)+", re.IGNORECASE)
# Of the HTML that such gateways may bring.
_TAG = re.compile(r"</?[a-z][a-z0-9]{0,15}(?:\s[^<>]{0,200})?/?>", re.IGNORECASE)
_SENTENCE = re.compile(r"([^.!?…¡¿;\n\r]+)([.!?…¡¿;\n\r]*)")
_CLAUSE_END = re.compile(r"[,:()—–]+")
_APOSTROPHES = str.maketrans(dict.fromkeys("’‘`´ʼ", "'"))
_NUMBER_SIGN = re.compile(r"#(?!\w)")
_CONTRACTION = re.compile(r"\b(\w*n) t\b")
_STRETCHED = re.compile(r"([^\W\d])\1{2,}")
_FACES = {**dict.fromkeys("😂🤣😹😆😅😄😁😜😝😛😍🥰😘❤💕🥳👏", " haha "), "🛑": " stop "}
_LAUGHTER = re.compile(r"(?:a?h[aeiu]){2,}h?|(?:j[aeiu]){2,}j?|k{3,}|(?:rs){2,}|lo+l+|lmf?ao+|rofl|mdr+|ptdr|xd+|haha")


def _read(text: str) -> _Text:
    text = "".join(_FACES.get(character, character) for character in text)
    text = _NUMBER_SIGN.sub(" number ", unicodedata.normalize("NFKC", text).translate(_APOSTROPHES))
    sentences = []
    for part, end in _SENTENCE.findall(text):
        clauses = tuple(clause for piece in _CLAUSE_END.split(part) if (clause := _fold(piece)))
        if clauses:
            short = tuple(window for clause in clauses for window in _windows(clause))
            for window in _windows(" ".join(clauses)):
                sentences.append(_Sentence(window, short, "?" in end))
                short = ()
    return _Text(" ".join(sentence.text for sentence in sentences), tuple(sentences))


def _windows(text: str) -> Iterator[str]:
    words = text.split()
    step = MAX_WORDS // 2
    for start in range(0, max(1, len(words) - step), step):
        end = start + MAX_WORDS
        yield " ".join(([CUT] if start else []) + words[start:end] + ([CUT] if end < len(words) else []))


def _fold(text: str) -> str:
    text = unicodedata.normalize("NFKD", text.casefold())
    text = "".join(
        character if character.isalnum() else " "
        for character in text
        if not unicodedata.combining(character) and unicodedata.category(character) != "Cf"
    ).replace("ı", "i")
    words = _CONTRACTION.sub(r"\1t", " ".join(text.split())).split()
    words = ["haha" if _LAUGHTER.fullmatch(word) else _spell(_STRETCHED.sub(r"\1", word)) for word in words]
    return " ".join(_COURTESIES.sub(" ", f" {' '.join(words)} ").split())


def _spell(word: str) -> str:
    """Return the word of the data's `spelling` that `word` is one slip away from, or `word` itself."""
    if len(word) < MIN_CORRECTED or word in _SPELLING:
        return word
    return next((right for right in _SPELLING if right[0] == word[0] and _is_one_slip(word, right)), word)


@lru_cache(maxsize=4096)
def _is_one_slip(a: str, b: str) -> bool:
    """Return whether one letter more, less, other or swapped with its neighbour makes `a` into `b`."""
    if abs(len(a) - len(b)) > 1:
        return False
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    one, two = a[start:], b[start:]
    return (
        one[1:] == two[1:]
        or one[1:] == two
        or one == two[1:]
        or (one[:2] == two[1::-1] and len(two) > 1 and one[2:] == two[2:])
    )


# The data


_PLACEHOLDER = re.compile(r"\{(\w+)(\*?)\}")


def _compile(phrases: Sequence[str], classes: Mapping[str, str]) -> re.Pattern[str]:
    """Phrases as one pattern of whole words: `{name}` is one of a class, `{name*}` any number, a space after each."""

    def expand(match: re.Match[str]) -> str:
        name, count = match.groups()
        inner = _PLACEHOLDER.sub(expand, classes[name])
        return f"(?:(?:{inner}) ){count}" if count else f"(?:{inner})"

    joined = "|".join(_PLACEHOLDER.sub(expand, phrase) for phrase in phrases)
    return re.compile(rf"(?<!\S)(?:{joined})(?!\S)")


class _ExclusionData(TypedDict):
    id: str
    phrases: list[str]
    scope: NotRequired[str]
    guards: NotRequired[list[str]]


class _RuleData(TypedDict):
    id: str
    phrases: list[str]
    intent: str
    scope: NotRequired[str]
    questions: NotRequired[bool]
    despite: NotRequired[list[str]]


class _LanguageData(TypedDict):
    words: dict[str, list[str]]
    exclusions: list[_ExclusionData]
    rules: list[_RuleData]


class _Data(TypedDict):
    spelling: list[str]
    courtesies: list[str]
    languages: dict[str, _LanguageData]


def _rules(data: _Data) -> Iterator[_Rule]:
    for language, entry in data["languages"].items():
        classes = {name: "|".join(words) for name, words in entry["words"].items()}
        exclusions = [
            _Exclusion(
                f"{language}.{row['id']}",
                _compile(row["phrases"], classes),
                Scope(row.get("scope", Scope.SENTENCE)),
                frozenset(Intent(intent) for intent in row.get("guards", ("certain", "likely"))),
            )
            for row in entry["exclusions"]
        ]
        for row in entry["rules"]:
            intent = Intent(row["intent"])
            yield _Rule(
                f"{language}.{row['id']}",
                _compile(row["phrases"], classes),
                Scope(row.get("scope", Scope.SENTENCE)),
                intent,
                row.get("questions", True),
                tuple(
                    each
                    for each in exclusions
                    if intent in each.guards and each.id.partition(".")[2] not in row.get("despite", ())
                ),
            )


_DATA = cast("_Data", tomllib.loads(files("msvs.api").joinpath("data/opt_out_phrases.toml").read_text("utf-8")))
_SPELLING: Mapping[str, None] = dict.fromkeys(_DATA["spelling"])
_COURTESIES = re.compile(rf"(?<=\s)(?:{'|'.join(_DATA['courtesies'])})(?=\s)")
_STRENGTH = {Intent.CERTAIN: 0, Intent.LIKELY: 1, Intent.UNCLEAR: 2, None: 3}
_RULES = tuple(sorted(_rules(_DATA), key=lambda rule: _STRENGTH[rule.intent]))
