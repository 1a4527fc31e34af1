"""Which search texts name a person: those that match nobody else, or few."""

from __future__ import annotations

import pytest

from msvs.api.privacy.naming import Person

MARIA = Person(["+12125550123"], "Maria.Silva@example.com", "Maria", "da Silva", "crm-7")


@pytest.mark.parametrize(
    "text",
    [
        *("+12125550123", "(212) 555-0123", "555 0123 ", "0012125550123", "call +1 212 555 0123"),
        *("maria.silva@EXAMPLE.com", "maria.silva", "<maria.silva@example.com>", "CRM-7"),
        *("Maria da Silva", "da silva, maria", "dona MARIA da Silva"),
    ],
)
def test_what_names_her(text: str) -> None:
    assert MARIA.is_named_by(text)


@pytest.mark.parametrize(
    "text", ["", "maria", "silva", "Maria Silva", "example.com", "212555", "+12125550124", "crm", "João", "555"]
)
def test_what_names_others_too(text: str) -> None:
    assert not MARIA.is_named_by(text)


def test_of_whom_little_is_known() -> None:
    nobody = Person([])
    assert not any(nobody.is_named_by(text) for text in ("", "maria", "+12125550123", "@"))
    assert not Person([], "maria@example.com", first_name="Maria").is_named_by("Maria")
