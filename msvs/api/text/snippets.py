"""Snippets in bodies: find the references `{snippet.name}`, and put the texts in their place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msvs.api.text.templates import TOKENS, TemplateError

# No name of a variable has a dot, so that no body that was valid without snippets has a reference.
PREFIX = "snippet."
MAX_SNIPPET_NAME = 40
SNIPPET_NAME = f"^[a-z0-9](?:[a-z0-9_-]{{0,{MAX_SNIPPET_NAME - 1}}})$"

is_snippet_name = re.compile(SNIPPET_NAME.removesuffix("$")).fullmatch


def may_have_snippets(text: str) -> bool:
    """Return whether a text may refer to a snippet: fast, for texts that do not."""
    return PREFIX in text


def snippet_names(text: str) -> tuple[str, ...]:
    """Return the names of the snippets that a text refers to, each once. Raises TemplateError."""
    return tuple(dict.fromkeys(name for _, name in _references(text)))


def put_snippets(text: str, texts: Mapping[str, str]) -> str:
    """Return a text with snippets in place of their references; `texts` has each by its name.

    What a snippet says is not looked at again: it cannot refer to another. Raises TemplateError, and KeyError for a
    name that is not among them.
    """
    parts: list[str] = []
    end = 0
    for token, name in _references(text):
        parts += (text[end : token.start()], texts[name])
        end = token.end()
    return "".join((*parts, text[end:]))


def _references(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """Yield each reference of a text with its name. Escaped braces are text. Raises TemplateError."""
    for token in TOKENS.finditer(text):
        written = token["name"]
        if written is None or not written.startswith(PREFIX):
            continue
        at = f"at character {token.start() + 1}"
        name = written.removeprefix(PREFIX)
        if not is_snippet_name(name):
            raise TemplateError(
                f"The snippet {at} has no valid name: use lower case letters, digits, '-' and '_', at most"
                f" {MAX_SNIPPET_NAME}."
            )
        if token["fallback"] is not None:
            raise TemplateError(f"The snippet '{name}' {at} takes no fallback: write '{{{PREFIX}{name}}}'.")
        yield token, name
