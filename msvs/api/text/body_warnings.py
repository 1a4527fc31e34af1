"""Warnings about a body: problems with carriers, recipients or cost that do not prevent sending."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from string import digits
from typing import NamedTuple

from msvs.api.text.sms import Encoding, forcing_characters, measure
from msvs.api.text.templates import Template
from msvs.api.text.words import Keyword, fold, words_of

LONG_SEGMENTS = 3
# Of the bodies made of a template, so many are read for opt-out words.
MOST_READ = 10
# Of the bodies as they were written, so many are remembered with their warnings.
MOST_REMEMBERED = 1024

_DATA = tomllib.loads(files("msvs.api").joinpath("data/body_warnings.toml").read_text("utf-8"))
_SHORTENERS = frozenset(_DATA["link_shorteners"]["hosts"])
_HOSTS = tuple(_SHORTENERS)
_BRACES = re.compile(r"(?<!\{)\{\{\s*([^{}|\s][^{}|]{0,63}?)\s*(?:\|[^{}]*)?\}\}(?!\})")
_TAGS = re.compile("|".join((*_DATA["merge_tags"]["any_name"], *_DATA["merge_tags"]["named"])))
_TAGS_WITH_ANY_NAME = len(_DATA["merge_tags"]["any_name"])
_FIELDS = {text: name for name, texts in _DATA["merge_tags"]["names"].items() for text in texts}
# A host with a path, with or without a scheme, a user before it and a dot after it: no shortened link has no path.
_LINK = re.compile(
    r"(?<![\w.-])(?:https?://)?(?:www\.)?((?:[a-z0-9-]{1,63}\.){1,4}[a-z]{2,24})\.?(?::\d+)?/+[\w{~+-]", re.IGNORECASE
)
# What browsers read as a dot in a host (UTS 46), beside those that NFKC makes one.
_DOTS = str.maketrans(dict.fromkeys("\u3002\uff61", "."))
_STOP = frozenset(fold(word) for word in words_of(Keyword.STOP))
_LONGEST_STOP = max(len(word.split()) for word in _STOP)
_CLEAR = re.compile(rf"\b(?:{'|'.join(_DATA['opt_out']['clear'])})")
_ANYWHERE = re.compile("|".join(_DATA["opt_out"]["clear_anywhere"]))
_VERBS = frozenset(_DATA["opt_out"]["verbs"])


class BodyWarning(NamedTuple):
    """One warning: a stable code, what is to be expected in English, and the input it is about."""

    code: str
    message: str
    param: str | None


def warn_of_template(
    body: str,
    template: Template,
    *,
    is_marketing: bool,
    rendered: Sequence[str] = (),
    is_literal: bool = False,
) -> list[BodyWarning]:
    """Return the warnings about a body as it was written; the braces of a literal one are text.

    `is_marketing` asks for opt-out words, which a receipt or a one-time code needs none of. `rendered` are bodies made
    of it, whose values may bring links and opt-out words.
    """
    found = [] if is_literal else [*_warn_of_placeholders(body)]
    # What is sent: a link that a short link replaces is not.
    hosts = dict.fromkeys(_hosts_of_template(template.text))
    hosts |= dict.fromkeys(host for text in rendered if text != template.text for host in shortener_hosts(text))
    found += [
        BodyWarning(
            "link_shortener",
            f"Carriers block links of public shorteners such as {host}. Link to a domain of your own.",
            "body",
        )
        for host in hosts
    ]
    if is_marketing and not _says_how_to_opt_out(body, rendered):
        found.append(
            BodyWarning(
                "opt_out_words_missing",
                "The body does not say how to opt out. Laws and carriers ask for words such as"
                " 'Reply STOP to opt out.' in marketing messages.",
                "body",
            )
        )
    if (leading := template.leading) is not None:
        found.append(
            BodyWarning(
                "leading_variable_without_fallback",
                f"The body begins with the variable '{leading}', which has no fallback. Write {{{leading}|there}}, so"
                " that contacts without a value get the message too.",
                "body",
            )
        )
    return found


def warn_of_segments(segments: int) -> list[BodyWarning]:
    """Return the warning about a message longer than three segments; each of them is paid for."""
    if segments <= LONG_SEGMENTS:
        return []
    message = f"The message takes {segments} segments, and each is paid for. Most carriers advise at most three."
    return [BodyWarning("many_segments", message, "body")]


def warn_of_encoding(body: str, encoding: str) -> list[BodyWarning]:
    """Return the warning about a rendered body that goes out in UCS-2 for how its letters are composed, or for the
    sake of a single character.
    """
    if encoding != Encoding.UCS2:
        return []
    if (composed := warn_of_composition(body)) is not None:
        return [composed]
    forcing = list(forcing_characters(body))
    return [forced_by(forcing[0])] if len(forcing) == 1 else []


def warn_of_composition(body: str) -> BodyWarning | None:
    """Return the warning about a UCS-2 body that costs less, or is GSM-7, with its letters and marks composed (NFC)."""
    if unicodedata.is_normalized("NFC", body):
        return None
    given, composed = measure(body), measure(unicodedata.normalize("NFC", body))
    if composed.segments >= given.segments and composed.encoding == given.encoding:
        return None
    message = (
        "The body has letters and their marks apart. Composed (Unicode NFC), its segments are"
        f" {composed.segments} ({composed.encoding.value}) instead of {given.segments} ({given.encoding.value})."
    )
    return BodyWarning("decomposed_letters", message, "body")


def forced_by(character: str) -> BodyWarning:
    """Return the warning about the only character that forces UCS-2."""
    return BodyWarning(
        "ucs2_single_character",
        f"The character '{character}' alone makes this UCS-2: 70 characters fit into a segment instead of 160.",
        "body",
    )


def has_opt_out_words(body: str) -> bool:
    """Return whether a body says how to opt out, such as "Reply STOP", in any language that has words for it."""
    written = "".join(character if _is_of_a_word(character) else " " for character in body).split()
    words = [fold(word) for word in written]
    if _CLEAR.search(" ".join(words)) or _ANYWHERE.search(body):
        return True
    spans = [(first, first + length) for first in range(len(words)) for length in range(1, _LONGEST_STOP + 1)]
    return any(
        " ".join(words[first:end]) in _STOP
        and (all(map(_is_in_capitals, written[first:end])) or (first > 0 and words[first - 1] in _VERBS))
        for first, end in spans
    )


def _is_of_a_word(character: str) -> bool:
    """Return whether a character is of a word: a letter, a digit, or a mark on a letter, such as vowels of Thai are."""
    return character.isalnum() or (not character.isascii() and unicodedata.category(character)[0] == "M")


def _is_in_capitals(word: str) -> bool:
    """Return whether a word has no small letters, as none has in a script without them."""
    return word.upper() == word


def _says_how_to_opt_out(body: str, rendered: Sequence[str]) -> bool:
    return has_opt_out_words(body) or (bool(rendered) and all(map(has_opt_out_words, rendered[:MOST_READ])))


# A body that stays the same for many messages is read once.
@lru_cache(maxsize=MOST_REMEMBERED)
def _warn_of_placeholders(body: str) -> tuple[BodyWarning, ...]:
    """Return the warnings about what other services would replace by a value."""
    braces = (BodyWarning("double_braces", _braces_message(name), "body") for name in _braced_names(body))
    tags = _foreign_tags(body).items()
    return (*braces, *(BodyWarning("foreign_merge_tag", _tag_message(tag, name), "body") for tag, name in tags))


@lru_cache(maxsize=MOST_REMEMBERED)
def _hosts_of_template(text: str) -> tuple[str, ...]:
    return tuple(shortener_hosts(text))


def _braced_names(body: str) -> list[str]:
    if "{{" not in body:
        return []
    found = dict.fromkeys(match[1] for match in _BRACES.finditer(body))
    return [name for name in found if _plain_name(name).isidentifier()]


def _plain_name(name: str) -> str:
    """Return the variable that a name in double braces stands for, such as `first_name` for `contact.first_name`."""
    return name.rpartition(".")[2].replace(" ", "_")


def _braces_message(name: str) -> str:
    plain = _plain_name(name)
    return f"{{{{{name}}}}} is sent as the text {{{name}}}. Write {{{plain}}} for the value of a variable."


def _foreign_tags(body: str) -> dict[str, str]:
    """Return the tags that other services replace by values, each with the variable that stands for it here."""
    if not any(mark in body for mark in "*%[<#$@"):
        return {}
    found: dict[str, str] = {}
    for match in _TAGS.finditer(body):
        written = match[match.lastindex or 0]
        name = _FIELDS.get(re.sub(r"[\W_]", "", fold(written)))
        if name is None and match.lastindex is not None and match.lastindex <= _TAGS_WITH_ANY_NAME:
            name = re.sub(r"\W+", "_", _plain_name(written).lower())
        if name is not None:
            found.setdefault(match[0], name)
    return found


def _tag_message(tag: str, name: str) -> str:
    return f"'{tag}' looks like the merge tag of another service. Write {{{name}}} for the value of a variable."


def shortener_hosts(body: str) -> list[str]:
    """Return the public link shorteners that a body links to."""
    # Most links are to other hosts, and every message that is accepted is looked at.
    lower = (body if body.isascii() else unicodedata.normalize("NFKC", body).translate(_DOTS)).lower()
    hosts_end = (part.rstrip(digits).removesuffix(":").removesuffix(".") for part in lower.split("/")[:-1])
    if not any(part.endswith(_HOSTS) for part in hosts_end):
        return []
    hosts = (match[1] for match in _LINK.finditer(lower))
    return [host for host in dict.fromkeys(hosts) if host in _SHORTENERS]
