"""Public ids of rows, as the API document says how they are written."""

from __future__ import annotations

from uuid import UUID

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def public_id(prefix: str, value: UUID) -> str:
    """The public id of a row."""
    number, characters = value.int, []
    for _ in range(26):
        characters.append(ALPHABET[number & 31])
        number >>= 5
    return f"{prefix}_{''.join(reversed(characters))}"


def row_id(text: str) -> UUID:
    """The row's id behind a public id."""
    number = 0
    for character in text.partition("_")[2]:
        number = number << 5 | ALPHABET.index(character)
    return UUID(int=number)
