"""Find senders that look alike: fold names, and detect those that imitate the platform's own."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from msvs.api.text.phones import canonical

# The longest that a skeleton is: no longer than its sender.
MAX_SKELETON = 16

_NUMBER = re.compile(r"\+?[0-9]+")
_SPACING = re.compile(r"[^0-9a-z]+")


@dataclass(frozen=True, slots=True)
class _Names:
    platform: Sequence[str]
    sequences: Mapping[str, str]
    characters: Mapping[int, str]
    digits: Mapping[int, str]


@cache
def _names() -> _Names:
    table = tomllib.loads(files("msvs.api").joinpath("data/sender_names.toml").read_text())
    return _Names(
        tuple(table["platform"]),
        table["sequences"],
        str.maketrans(table["characters"]),
        str.maketrans(table["digits"]),
    )


def platform_names() -> Sequence[str]:
    """Return the names that are the platform's own (msvs/api/data/sender_names.toml), the default one first."""
    return _names().platform


@lru_cache(maxsize=4096)
def skeleton(sender: str) -> str:
    """Return the text that all senders have in common that a reader takes for this one.

    Of a number it is the digits of its canonical form; of a name its letters, once case, spaces, punctuation
    and look-alike characters are folded. A name that differs in nothing but them has the same.
    """
    if _NUMBER.fullmatch(sender):
        return canonical(sender if sender.startswith("+") else f"+{sender}").removeprefix("+")
    return _SPACING.sub("", _joined(sender).lower()).translate(_names().characters)


@lru_cache(maxsize=4096)
def skeletons(sender: str) -> tuple[str, ...]:
    """Return the skeletons of the senders that this one may be taken for.

    Its own, and that of the number it reads as.
    """
    own = skeleton(sender)
    if _NUMBER.fullmatch(sender) or not re.search("[0-9]", sender):
        return (own,)
    read = _SPACING.sub("", sender.lower()).translate(_names().digits)
    return (own, read) if read.isdigit() else (own,)


@lru_cache(maxsize=4096)
def resembles_platform(sender: str) -> bool:
    """Return whether a sender passes for one of the platform's names.

    The same skeleton, or one character away from it.
    """
    own = skeleton(sender)
    return any(_is_near(own, skeleton(name)) for name in platform_names())


def _joined(sender: str) -> str:
    for pair, letter in _names().sequences.items():
        sender = sender.replace(pair, letter)
    return sender


def _is_near(one: str, other: str) -> bool:
    """Return whether at most one character is changed, left out or put in."""
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    if len(long) - len(short) > 1:
        return False
    at = next((index for index, letter in enumerate(short) if letter != long[index]), len(short))
    return short[at + (len(short) == len(long)) :] == long[at + 1 :]
