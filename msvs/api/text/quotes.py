"""Remove quotes from a message: earlier messages, reactions, and the quoted lines of mail.

A handset tells of a reaction with all of the message that it is to, or its beginning, between marks of some language or
none; mail repeats below a reply what it replies to. None of it is the writer's own, and much of it speaks of STOP.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

# A message may have a long one of ours below it.
MAX_TEXT = 4000
# What is shorter, or of fewer words, somebody may well have written.
MIN_QUOTED = 10
MIN_BETWEEN_MARKS = 3
MIN_BEGINNING = 4
MIN_RUN = 8
# Where the same three words stand more often in one body, the first places will do.
MAX_PLACES = 4
MAX_HEAD = 60
START = 3

OUT = "\ufffc"


@dataclass(frozen=True, slots=True)
class _Word:
    folded: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Body:
    """A message that was sent: its words, where three of them stand, and where its sentences begin."""

    words: Sequence[str]
    places: Mapping[tuple[str, ...], Sequence[int]]
    sentences: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Run:
    """So many words of a text that are also words `place` and following of a body."""

    start: int
    count: int
    place: int
    body: _Body
    is_cut: bool

    @property
    def is_whole(self) -> bool:
        return self.count == len(self.body.words)


_WORD = re.compile(r"[^\W_](?:[^\W_]|[\u0300-\u036f])*")
_MARKS = "\"“”„‟«»‹›‘’‚‛'`´*<>|\\[\\]()"
_CLOSE = re.compile(rf"\s*(?:[{_MARKS}]|…|\.\.\.|$)")
_CUT_OFF = re.compile(r"\s*(?:…|\.\.\.)")
_ELLIPSIS = re.compile(r"(?:…|\.\.\.)\s*$")
_MARK_BEFORE = re.compile(r"[\"“„‟«‹‘‚'>]\s*$")
# Looked for from the first of the marks alone, so that a text of nothing but marks takes no longer than another.
_AROUND = re.compile(rf"(?<![{_MARKS}\s…/])[{_MARKS}\s…/]*(?:{OUT}[{_MARKS}\s….,;:/!?&%#+=~$-]*)+")
_LINE = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
_QUOTATION = re.compile(r"[\"“„«‹‘]|''|(?<!\w)['’]")
_QUOTATION_END = re.compile(r"[\"”“»›’]|''|'(?!\w)")


def own_words(text: str, sent: Iterable[str]) -> str:
    """`text` without what it quotes: of `sent`, of the message that it reacts to, and in the manner of mail."""
    own = _without_reaction(_without_mail(_without_sent(text[:MAX_TEXT], sent)))
    own = _AROUND.sub("\n", own).strip()
    return text if own == text[:MAX_TEXT].strip() else own


# What was sent


def _without_sent(text: str, sent: Iterable[str]) -> str:
    """Return the text with a mark in the place of each run of words of a message that was sent."""
    words = [_Word(_fold(match[0]), match.start(), match.end()) for match in _WORD.finditer(text)]
    bodies = [_read(body) for body in dict.fromkeys(sent)]
    runs, index = [], 0
    while index < len(words):
        found = [run for body in bodies for run in _runs(words, index, body, text) if _is_quoted(run, words, text)]
        run = max(found, key=lambda each: each.count, default=None)
        if run is not None:
            runs.append(run)
        index += 1 if run is None else run.count
    if _is_all_the_writer_said(runs, words):
        return text
    parts, end = [], 0
    for run in runs:
        parts += [text[end : words[run.start].start], OUT]
        end = words[run.start + run.count - 1].end
    return "".join([*parts, text[end:]])


def _is_all_the_writer_said(runs: Sequence[_Run], words: Sequence[_Word]) -> bool:
    """Return whether a text is nothing but a few words of ours: "Reply STOP to opt out" may be meant so."""
    return len(runs) == 1 and not runs[0].is_whole and not runs[0].is_cut and runs[0].count == len(words) < MIN_RUN


def _read(body: str) -> _Body:
    matches = list(_WORD.finditer(body))
    words = [_fold(match[0]) for match in matches]
    places: dict[tuple[str, ...], list[int]] = {}
    for place in range(max(1, len(words) - START + 1)):
        found = places.setdefault(tuple(words[place : place + START]), [])
        if len(found) < MAX_PLACES:
            found.append(place)
    starts = {0} | {
        place
        for place in range(1, len(words))
        if re.search(r"[.!?…:;,\n]", body[matches[place - 1].end() : matches[place].start()])
    }
    return _Body(words, places, frozenset(starts))


def _runs(words: Sequence[_Word], start: int, body: _Body, text: str) -> Iterator[_Run]:
    first = tuple(word.folded for word in words[start : start + START])
    places = body.places.get(first, ())
    if not places and body.words[:1] == [words[start].folded]:
        places = (0,)
    for place in places:
        count, is_cut = 0, False
        while not is_cut and start + count < len(words) and place + count < len(body.words):
            word, other = words[start + count], body.words[place + count]
            if word.folded != other:
                is_cut = other.startswith(word.folded) and bool(_CLOSE.match(text, word.end))
                if not is_cut:
                    break
            count += 1
        if count:
            yield _Run(start, count, place, body, is_cut)


def _is_quoted(run: _Run, words: Sequence[_Word], text: str) -> bool:
    """Return whether a run is long enough, or stands in such a place, that nobody wrote it by themselves."""
    start, end = words[run.start].start, words[run.start + run.count - 1].end
    if end - start < MIN_QUOTED:
        return False
    if run.count >= MIN_RUN or run.is_whole:
        return True
    is_closed = run.is_cut or bool(_CLOSE.match(text, end))
    is_cut_off = is_closed and bool(_CUT_OFF.match(text, end))
    if run.place == 0 and (run.count >= MIN_BEGINNING or is_cut_off):
        return True
    if bool(_ELLIPSIS.search(text, 0, start)) and run.count >= MIN_BETWEEN_MARKS:
        return True
    is_marked = bool(_MARK_BEFORE.search(text[max(0, start - 8) : start])) and is_closed
    return is_marked and run.place in run.body.sentences and run.count >= MIN_BETWEEN_MARKS


def _fold(word: str) -> str:
    letters = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in letters if letter.isalnum()) or word


# Mail


def _without_mail(text: str) -> str:
    """Return the text without lines that mail quotes, as long as there are others."""
    text = _HEADER.sub("\n", text)
    own = _LINE.sub("", text)
    return own if _WORD.search(own.replace(OUT, "")) or OUT in own else text


# Reactions


def _without_reaction(text: str) -> str:
    """Return what follows a reaction, such as “Liked “…””; another text as it is."""
    text = _PREFIX.sub("", text)
    mark = re.compile(rf"{OUT}|{_QUOTATION.pattern}").search(text)
    if mark is None or mark.start() > MAX_HEAD:
        return text
    head = text[: mark.start()]
    end, tail = _quoted_end(text, mark.start())
    verb = _phrase(tail)
    said = _phrase(head)
    is_symbol = any(unicodedata.category(letter) == "So" or letter in "‼⁉" for letter in head)
    if not (
        _HEADS.fullmatch(said)
        or (is_symbol and (not said or _TO.fullmatch(said)))
        or (not said and _TAIL.fullmatch(verb))
    ):
        return text
    return "" if not verb or _TAIL.fullmatch(verb) else text[end:]


def _quoted_end(text: str, start: int) -> tuple[int, str]:
    """Return where a quotation that begins at `start` ends, and what follows.

    Nothing where it was cut before its mark.
    """
    if text[start] == OUT:
        end = start + 1
    else:
        closing = [match.end() for match in _QUOTATION_END.finditer(text, start + 1)]
        end = max(closing, default=len(text))
        if OUT in text[start:]:
            end = max(end if closing else 0, text.rindex(OUT) + 1)
    return end, text[end:]


def _phrase(text: str) -> str:
    return " ".join(_fold(word) for word in _WORD.findall(text.replace(OUT, " ").replace("’", "").replace("'", "")))


def _any_of(phrases: Iterable[str]) -> str:
    return f"(?:{'|'.join(sorted(map(_phrase, phrases), key=len, reverse=True))})"


_DATA = tomllib.loads(files("msvs.api").joinpath("data/quotes.toml").read_text("utf-8"))
_TO = re.compile(_any_of(_DATA["reactions"]["to"]))
_HEADS = re.compile(rf"(?:\w+ ){{0,2}}{_any_of(_DATA['reactions']['before'])}(?: {_TO.pattern}){{0,2}}")
_TAIL = re.compile(rf"(?:{_TO.pattern} )?{_any_of(_DATA['reactions']['after'])}")
_HEADER = re.compile(
    rf"^[ \t]*(?:{'|'.join(_DATA['mail']['on'])})\b[^\n]{{0,200}}\n?[^\n]{{0,200}}"
    rf"\b(?:{'|'.join(_DATA['mail']['wrote'])})\s?:[ \t]*$"
    rf"|^[ \t]*(?:-+[ \t]*)?(?:{'|'.join(_DATA['mail']['original'])})[ \t]*(?::[ \t]*)?(?:-+[ \t]*)?$",
    re.MULTILINE | re.IGNORECASE,
)
_PREFIX = re.compile(rf"^\s*(?:(?:{'|'.join(_DATA['mail']['prefixes'])})\s?:\s*)+", re.IGNORECASE)
