"""Body templates: `{name}` and `{name|fallback}` replaced by values, which are never expanded again."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

MAX_NAME_LENGTH = 64

TOKENS = re.compile(r"\{\{|\}\}|\{(?P<name>[^{}|]*)(?:\|(?P<fallback>[^{}]*))?\}|[{}]")
_INVISIBLE = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp", "Zs"))
# Characters of visible categories that print as nothing all the same.
_FILLERS = frozenset(("\u034f", "\u115f", "\u1160", "\u2800", "\u3164", "\uffa0", *map(chr, range(0xFE00, 0xFE10))))
# Beyond these a float is written with an exponent; between them in plain digits.
_PLAIN_FROM, _PLAIN_TO = 1e-6, 1e21


class TemplateError(ValueError):
    """A template is malformed; the message says what is wrong and where."""


class MissingVariable(LookupError):
    """A variable has no value, or a blank one, and no fallback: its canonical name, and the name as it was written."""

    def __init__(self, name: str, written: str, *, is_blank: bool) -> None:
        super().__init__(f"The variable '{written}' {'is blank' if is_blank else 'has no value'} and has no fallback.")
        self.name = name
        self.written = written
        self.is_blank = is_blank


class Template:
    """A compiled body template; `compile_template` makes it."""

    __slots__ = ("_head", "_slots", "_written", "is_literal", "names")

    def __init__(
        self, head: str, slots: tuple[tuple[str, str | None, str], ...] = (), written: tuple[str, ...] = ()
    ) -> None:
        """`head`, then for each slot its canonical name, its fallback and the text that follows; `written` are the
        names of the slots as the body spells them."""
        self._head = head
        self._slots = slots
        self._written = written
        self.names: tuple[str, ...] = tuple(dict.fromkeys(name for name, _, _ in slots))
        self.is_literal: bool = not slots

    @property
    def text(self) -> str:
        """The body with its placeholders, and with short links in place of those that they replace."""
        if not self._slots:
            return self._head
        parts = [self._head]
        for name, (_, fallback, tail) in zip(self._written, self._slots, strict=True):
            parts.append(f"{{{name}}}{tail}" if fallback is None else f"{{{name}|{fallback}}}{tail}")
        return "".join(parts)

    @property
    def leading(self) -> str | None:
        """The name, as it was written, of a variable without fallback that the body begins with; None elsewhere."""
        begins = bool(self._slots) and not self._head.strip() and self._slots[0][1] is None
        return self._written[0] if begins else None

    def render(self, values: Mapping[str, str]) -> str:
        """Render the body for one recipient; `values` is keyed by canonical name. Raises MissingVariable."""
        parts = [self._head]
        for name, fallback, tail in self._slots:
            value = values.get(name)
            if not value or not ((value[0].isalnum() and value[0] not in _FILLERS) or is_visible(value)):
                if fallback is None:
                    # Two parts a slot before this one, and the head.
                    raise MissingVariable(name, self._written[len(parts) // 2], is_blank=value is not None)
                value = fallback
            parts.append(value)
            parts.append(tail)
        return "".join(parts)


@lru_cache(maxsize=1024)
def compile_template(body: str) -> Template:
    """Compile the template of a body, compiled once. Raises TemplateError."""
    texts: list[str] = [""]
    slots: list[tuple[str, str | None]] = []
    written: list[str] = []
    end = 0
    for token in TOKENS.finditer(body):
        texts[-1] += body[end : token.start()]
        end = token.end()
        text = token.group()
        if text in ("{{", "}}"):
            texts[-1] += text[0]
        elif text in ("{", "}"):
            raise TemplateError(_stray_brace(body, text, token.start()))
        else:
            slots.append((_checked_name(token["name"], token.start()), token["fallback"]))
            written.append(token["name"])
            texts.append("")
    texts[-1] += body[end:]
    return Template(
        texts[0],
        tuple((name, fallback, tail) for (name, fallback), tail in zip(slots, texts[1:], strict=True)),
        tuple(written),
    )


@lru_cache(maxsize=4096)
def canonical(name: str) -> str:
    """Return the snake_case spelling of a field's name, so `firstName` and `first_name` are one field."""
    name = unicodedata.normalize("NFKC", name)
    letters: list[str] = []
    for position, character in enumerate(name):
        if character.isupper() and position:
            before, after = name[position - 1], name[position + 1 : position + 2]
            starts_word = before.islower() or before.isdecimal()
            ends_acronym = before.isupper() and after.islower()
            if starts_word or ends_acronym:
                letters.append("_")
        letters.append(character.lower())
    return unicodedata.normalize("NFKC", "".join(letters))


def value_text(value: object) -> str | None:
    """Return how a JSON scalar is written in a body, or None for null, arrays, objects, NaN and infinities."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return _float_text(value)
    return None


def is_visible(text: str) -> bool:
    """Return whether any character of a text prints; spaces, controls and zero-width characters do not."""
    first = text[:1]
    if first.isalnum() and first not in _FILLERS:
        return True
    return any(character not in _FILLERS and unicodedata.category(character) not in _INVISIBLE for character in text)


def _float_text(value: float) -> str:
    size = abs(value)
    if value.is_integer() and size < _PLAIN_TO:
        return str(int(value))
    return format(Decimal(repr(value)), "f") if _PLAIN_FROM <= size < _PLAIN_TO else repr(value)


def _checked_name(name: str, position: int) -> str:
    at = f"at character {position + 1}"
    if not name:
        raise TemplateError(f"The placeholder {at} has no name.")
    if len(name) > MAX_NAME_LENGTH:
        raise TemplateError(f"The name of the placeholder {at} is longer than {MAX_NAME_LENGTH} characters.")
    if not unicodedata.normalize("NFKC", name).isidentifier():
        shown = "".join(character if character.isprintable() else "�" for character in name)
        raise TemplateError(f"'{shown}' {at} is not a valid name: use letters, digits and underscores, no digit first.")
    return canonical(name)


def _stray_brace(body: str, brace: str, position: int) -> str:
    at = f"at character {position + 1}"
    if brace == "}":
        return f"The brace '}}' {at} closes nothing; write '}}}}' for a literal brace."
    if "}" in body[position:]:
        return f"The placeholder {at} holds another brace; write '{{{{' for a literal brace."
    return f"The brace '{{' {at} is never closed; write '{{{{' for a literal brace."
