"""Warnings about a body: what carriers, recipients or the bill would hold against it, though it may be sent."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from typing import NamedTuple

from msvs.api.text.sms import Encoding, forcing_characters
from msvs.api.text.templates import Template
from msvs.api.text.words import Keyword, fold, words_of

LONG_SEGMENTS = 3

_DATA = tomllib.loads(files("msvs.api").joinpath("data/body_warnings.toml").read_text("utf-8"))
_SHORTENERS = frozenset(_DATA["link_shorteners"]["hosts"])
_BRACES = re.compile(r"(?<!\{)\{\{\s*([^{}|\s][^{}|]{0,63}?)\s*(?:\|[^{}]*)?\}\}(?!\})")
# A host with a path, with or without a scheme: no shortened link has none.
_LINK = re.compile(
    r"(?<![\w@.-])(?:https?://)?(?:www\.)?((?:[a-z0-9-]{1,63}\.){1,4}[a-z]{2,24})(?::\d+)?/\w", re.IGNORECASE
)
_STOP = frozenset(fold(word) for word in words_of(Keyword.STOP))
_LONGEST_STOP = max(len(word.split()) for word in _STOP)
_CLEAR = re.compile(rf"\b(?:{'|'.join(_DATA['opt_out']['clear'])})")
_VERBS = frozenset(_DATA["opt_out"]["verbs"])


class BodyWarning(NamedTuple):
    """One warning: a stable code, what is to be expected in English, and the input it is about."""

    code: str
    message: str
    param: str | None


def warn_of_template(body: str, template: Template, *, is_marketing: bool) -> list[BodyWarning]:
    """Return the warnings about a body as it was written.

    `is_marketing` asks for opt-out words, which a receipt or a one-time code needs none of.
    """
    found = [BodyWarning("double_braces", _braces_message(match), "body") for match in _braced_names(body)]
    found += [
        BodyWarning(
            "link_shortener",
            f"Carriers block links of public shorteners such as {host}. Link to a domain of your own.",
            "body",
        )
        for host in _shortener_hosts(body)
    ]
    if is_marketing and not has_opt_out_words(body):
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
    """Return the warning about a message longer than three segments; segments are what it costs."""
    if segments <= LONG_SEGMENTS:
        return []
    message = f"The message takes {segments} segments, and costs as many credits. Most carriers advise at most three."
    return [BodyWarning("many_segments", message, "body")]


def warn_of_encoding(body: str, encoding: str) -> list[BodyWarning]:
    """Return the warning about a rendered body that goes out in UCS-2 for the sake of a single character."""
    if encoding != Encoding.UCS2:
        return []
    forcing = list(forcing_characters(body))
    return [forced_by(forcing[0])] if len(forcing) == 1 else []


def forced_by(character: str) -> BodyWarning:
    """Return the warning about the only character that forces UCS-2."""
    return BodyWarning(
        "ucs2_single_character",
        f"The character '{character}' alone makes this UCS-2: 70 characters fit into a segment instead of 160.",
        "body",
    )


def has_opt_out_words(body: str) -> bool:
    """Return whether a body says how to opt out, such as "Reply STOP", in any language that has words for it."""
    written = re.sub(r"[^\w\s]|_", " ", body).split()
    words = [fold(word) for word in written]
    if _CLEAR.search(" ".join(words)):
        return True
    spans = [(first, first + length) for first in range(len(words)) for length in range(1, _LONGEST_STOP + 1)]
    return any(
        " ".join(words[first:end]) in _STOP
        and (all(word.isupper() for word in written[first:end]) or (first > 0 and words[first - 1] in _VERBS))
        for first, end in spans
    )


def _braced_names(body: str) -> list[str]:
    return list(
        dict.fromkeys(match[1] for match in _BRACES.finditer(body) if match[1].replace(" ", "_").isidentifier())
    )


def _braces_message(name: str) -> str:
    plain = name.replace(" ", "_")
    return f"{{{{{name}}}}} is sent as the text {{{name}}}. Write {{{plain}}} for the value of a variable."


def _shortener_hosts(body: str) -> list[str]:
    hosts = (match[1].lower() for match in _LINK.finditer(body))
    return [host for host in dict.fromkeys(hosts) if host in _SHORTENERS]
