"""Find the links in a body, and render it with short links in their place."""

from __future__ import annotations

import re
import secrets
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from yarl import URL

from msvs.address_policy import is_public_host
from msvs.api.text.templates import Template, compile_template

# 11 characters of 62 hold the 64 bits of which a code is made.
CODE_LENGTH = 11
CODE_BYTES = 8
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
MAX_LINKS = 5
MAX_URL = 2048

# A variable may stand in the path and what follows it, never in the scheme or the host.
_link = re.compile(r"https?://[^\s{}<>\"'\\`]*(?:(?<!\{)\{[^{}\s]+\}(?!\})[^\s{}<>\"'\\`]*)*", re.IGNORECASE)
_TAIL = ".,;:!?)]*»”’|^"
# Brackets that end a link only where they were opened before it.
_OPENED = {")": "(", "]": "["}
_host = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]", re.IGNORECASE)
# What a URL keeps as it is. All other characters are percent-encoded, so that a redirect can say it.
_SAFE = "%/?#[]@!$&'()*+,;=:~"


class LinkRefused(ValueError):
    """A link of a body cannot be shortened; the message says why."""


class Tag(NamedTuple):
    """A parameter that is added to the query of each link, such as `utm_source`."""

    name: str
    value: str


class LinkedTemplate(Template):
    """A template whose links are marked: a mark stands for each code, and `urls` says where the links lead.

    Its names are those of the body and of its links, so that a link with a variable is rendered for each recipient.
    """

    __slots__ = ("_base", "_tags", "_targets", "marks", "targets")

    def __init__(self, body: Template, base: str, tags: tuple[Tag, ...], targets: tuple[str, ...]) -> None:
        super().__init__(body._head, body._slots, body._written)
        self._base = base
        self._tags = tags
        # Where the links lead, with their variables and tags.
        self.targets = targets
        self._targets = tuple(map(compile_template, targets))
        self.marks = _MARKS[: len(targets)]
        self.names = tuple(dict.fromkeys(name for each in (body, *self._targets) for name in each.names))
        self.is_literal = not self.names

    def render(self, values: Mapping[str, str]) -> str:
        """Render the body for one recipient, with marks for codes. Raises MissingVariable, for a link too."""
        self.urls(values)
        return super().render(values)

    def urls(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """Return where the links lead for one recipient; values are percent-encoded. Raises MissingVariable."""
        escaped = {name: quote(value, safe="") for name, value in values.items()}
        return tuple(quote(target.render(escaped), safe=_SAFE) for target in self._targets)

    def of(self, body: str) -> LinkedTemplate:
        """Return the template of another body with the same kind of links. Raises LinkRefused and TemplateError."""
        return link_template(body, self._base, self._tags)


# What stands for the codes until they are known. As long as a code, so that segments are counted right; no value of a
# variable can hold one, since they differ from process to process.
_MARKS = tuple("".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH)) for _ in range(MAX_LINKS))


@lru_cache(maxsize=512)
def link_template(body: str, base: str, tags: tuple[Tag, ...] = ()) -> LinkedTemplate:
    """Read the template of a body with its links marked as short links under `base`, such as `https://go.example.com`.

    Raises LinkRefused and TemplateError.
    """
    parts: list[str] = []
    targets: list[str] = []
    end = 0
    for found in _link.finditer(body):
        url = _without_tail(found.group())
        if len(targets) == MAX_LINKS:
            raise LinkRefused(f"A body with short links may have at most {MAX_LINKS} links.")
        target = read_target(url)
        parts += [body[end : found.start()], f"{base}/{_MARKS[len(targets)]}"]
        targets.append(_tagged(target, tags))
        end = found.start() + len(url)
    parts.append(body[end:])
    return LinkedTemplate(compile_template("".join(parts)), base, tags, tuple(targets))


def _without_tail(url: str) -> str:
    """Return a link without the punctuation that ends a sentence or closes a bracket around it."""
    left = Counter(url)
    end = len(url)
    while (last := url[end - 1]) in _TAIL and left[_OPENED.get(last, "\n")] < max(1, left[last]):
        left[last] -= 1
        end -= 1
    return url[:end]


def read_target(url: str) -> str:
    """Return a link with its host in ASCII. Raises LinkRefused if it does not lead to a public host."""
    if len(url) > MAX_URL:
        raise LinkRefused(f"A link may have at most {MAX_URL} characters.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise LinkRefused("A link of the body is not a valid URL.") from None
    if set("@{%") & set(parts.netloc) or port == 0:
        raise LinkRefused("The host of a link must be a plain name, without a user, a password or a variable.")
    if not is_public_host(host):
        raise LinkRefused("The host of a link must be a public name, such as cohortlabs.co.")
    plain = parts.netloc if parts.netloc.isascii() else _in_ascii(host, port)
    if not _host.fullmatch(plain.removesuffix(f":{port}").removesuffix(":")):
        raise LinkRefused("The host of a link must be a public name, such as cohortlabs.co.")
    return url.replace(parts.netloc, plain, 1)


def _in_ascii(host: str, port: int | None) -> str:
    name = URL.build(scheme="https", host=host).raw_host or ""
    return name if port is None else f"{name}:{port}"


def _tagged(url: str, tags: tuple[Tag, ...]) -> str:
    """Return a URL with the tags that its query does not have yet."""
    bare, hash, fragment = url.partition("#")
    before, _, query = bare.partition("?")
    known = {part.partition("=")[0] for part in query.split("&")}
    added = [f"{quote(tag.name, safe='')}={quote(tag.value, safe='')}" for tag in tags if tag.name not in known]
    joined = "&".join([*([query] if query else []), *added])
    return f"{before}{'?' if joined else ''}{joined}{hash}{fragment}"


_LETTERS = frozenset(ALPHABET)


def is_code(text: str) -> bool:
    """Return whether a text may be the code of a short link."""
    return len(text) == CODE_LENGTH and set(text) <= _LETTERS


def new_codes(number: int) -> list[str]:
    """Return so many new codes that cannot be guessed: 64 bits each from the system's source of secrets."""
    found = secrets.token_bytes(number * CODE_BYTES)
    return [_spell(int.from_bytes(found[at : at + CODE_BYTES])) for at in range(0, len(found), CODE_BYTES)]


def _spell(number: int) -> str:
    letters = []
    for _ in range(CODE_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[digit])
    return "".join(letters)
