"""Hash passwords with argon2id in threads, with the same work whether or not the user exists."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
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
    return bool(zxcvbn(password[:GUESSED_LENGTH], user_inputs=own)["guesses"] < TOO_FEW_GUESSES)


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
