"""Words of names, and the cases in which languages write them."""

from __future__ import annotations

import re

_words = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")


def words(name: str) -> list[str]:
    """Split a name of any case into its words, in small letters."""
    return [word.lower() for word in _words.findall(name)]


def snake(name: str) -> str:
    """Write a name as `two_words`."""
    return "_".join(words(name))


def pascal(name: str) -> str:
    """Write a name as `TwoWords`."""
    return "".join(word.capitalize() for word in words(name))


def camel(name: str) -> str:
    """Write a name as `twoWords`."""
    whole = pascal(name)
    return whole[:1].lower() + whole[1:]


def constant(name: str) -> str:
    """Write a name as `TWO_WORDS`."""
    return snake(name).upper()


def singular(noun: str) -> str:
    """Return the singular of a resource's noun."""
    return noun[:-1] if noun.endswith("s") else noun
