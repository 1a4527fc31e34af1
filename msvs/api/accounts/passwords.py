"""Hash passwords with argon2id in threads, with the same work whether or not the user exists."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.resources import files
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn

from msvs.api.errors import ErrorCode, InvalidRequest

T = TypeVar("T")

MIN_LENGTH = 10
MAX_LENGTH = 256
# What throttled guessing might try in a year, and how much of a password is judged by it.
TOO_FEW_GUESSES = 1_000_000
GUESSED_LENGTH = 32

# What may stand around common words: so many characters, or any that are found by fewer guesses, such as a year.
MAX_AROUND, FEW_AROUND = 5, 1_000_000
# Digits and signs in the place of letters; 1 and ! stand for two.
_SIGNS = dict(zip("0345789@$€+", "oeastbgaset", strict=True))
_LOOKALIKES = tuple(str.maketrans(_SIGNS | {"1": each, "!": each, "|": each}) for each in "il")

# OWASP's parameters for argon2id: 19 MiB, two passes, one lane.
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Bounds the memory that logins take at one moment, however many there are.
_threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="passwords")


def check_password(password: str, *, email: str, param: str = "password") -> str:
    """Return a password fit to be set: 10 to 256 characters, not the e-mail address and none that is soon guessed.

    Raises InvalidRequest with `param`.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise InvalidRequest(
            f"{param} must have from {MIN_LENGTH} to {MAX_LENGTH} characters.",
            param=param,
            code=ErrorCode.PASSWORD_LENGTH,
        )
    if _is_guessable(password, email):
        raise InvalidRequest(f"{param} is too easy to guess.", param=param, code=ErrorCode.PASSWORD_WEAK)
    return password


def _is_guessable(password: str, email: str) -> bool:
    """Return whether a million guesses, by lists of leaked passwords, names and words, find a password."""
    folded = password.casefold()
    if len(set(password)) == 1 or folded in (email, email.partition("@")[0]):
        return True
    own = [part for part in re.split(r"[^0-9a-z]+", email) if len(part) > 2]
    return _is_common(password[:GUESSED_LENGTH], own) or _guesses(password[:GUESSED_LENGTH], own) < TOO_FEW_GUESSES


def _guesses(password: str, own: Sequence[str] = ()) -> int:
    return int(zxcvbn(password, user_inputs=list(own))["guesses"])


def _is_common(password: str, own: Sequence[str]) -> bool:
    """Return whether a password is one or two common words, of any language or the user's own, with little around them.

    Letters may be written as digits and signs that look like them.
    """
    words = _common_words() | {_fold(each) for each in own}
    return any(
        _is_of_words(core.translate(letters), words) for core in _cores(_fold(password)) for letters in _LOOKALIKES
    )


def _cores(folded: str) -> Iterator[str]:
    """Yield what a password may be made of: it without the little that stands around, or between, its letters."""
    letters = [at for at, each in enumerate(folded) if each.isalpha()]
    if not letters:
        return
    first, last = letters[0], letters[-1] + 1
    around = folded[:first] + folded[last:]
    if not around or _guesses(around) < FEW_AROUND:
        yield folded[first:last]
    for start in range(min(first, MAX_AROUND) + 1):
        for end in range(max(last, len(folded) - MAX_AROUND + start), len(folded) + 1):
            yield folded[start:end]
    if len(folded) - len(letters) <= MAX_AROUND:
        yield "".join(folded[at] for at in letters)


def _is_of_words(text: str, words: Set[str]) -> bool:
    return text in words or any(text[:at] in words and text[at:] in words for at in range(2, len(text) - 1))


def _fold(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", "".join(each for each in decomposed if not unicodedata.combining(each)))


@cache
def _common_words() -> frozenset[str]:
    lines = files("msvs.api.accounts").joinpath("common_words.txt").read_text("utf-8").splitlines()
    return frozenset(_fold(word) for line in lines if not line.startswith("#") for word in line.split())


async def hash_password(password: str) -> str:
    """Return the hash to keep."""
    return await _in_thread(lambda: HASHER.hash(_bytes(password)))


async def verify_password(password_hash: str | None, password: str) -> bool:
    """Return whether the password has this hash.

    Without one (no such user) the same work is done, and the answer is no.
    """
    matches = await _in_thread(lambda: _matches(password_hash, password))
    return matches and password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Return whether the hash was made with other parameters than today's."""
    return HASHER.check_needs_rehash(password_hash)


def _matches(password_hash: str | None, password: str) -> bool:
    # Made for everyone, so that the first of all logins does not tell by its time.
    dummy = _dummy_hash()
    try:
        return HASHER.verify(dummy if password_hash is None else password_hash, _bytes(password[: MAX_LENGTH + 1]))
    except (VerificationError, InvalidHashError):
        return False


@cache
def _dummy_hash() -> str:
    return HASHER.hash(b"nobody has this password")


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


async def _in_thread(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_threads, work)
