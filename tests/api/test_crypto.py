from __future__ import annotations

import pytest

from msvs.api.crypto import SecretBox, SecretUnreadable

SECRET = "a secret of the installation"
TEXT = "whsec_Zm9vYmFy ção 🔑"


@pytest.mark.parametrize("text", [TEXT, "", "x" * 10_000, "line\nline\x00"])
def test_what_is_sealed_opens_again(text: str) -> None:
    assert SecretBox(SECRET).open(SecretBox(SECRET).seal(text)) == text


def test_sealing_twice_gives_two_texts_that_hide_the_first() -> None:
    box = SecretBox(SECRET)
    first, second = box.seal(TEXT), box.seal(TEXT)
    assert first != second
    assert first.isascii()
    assert "whsec_" not in first


def test_another_secret_cannot_open_it() -> None:
    sealed = SecretBox(SECRET).seal(TEXT)
    with pytest.raises(SecretUnreadable) as caught:
        SecretBox(SECRET + " ").open(sealed)
    assert sealed not in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("sealed", ["", "whsec_plain", "é", "\ud800", "gAAAAA"])
def test_what_was_never_sealed_is_unreadable(sealed: str) -> None:
    with pytest.raises(SecretUnreadable):
        SecretBox(SECRET).open(sealed)


def test_an_altered_text_is_unreadable() -> None:
    box = SecretBox(SECRET)
    sealed = box.seal(TEXT)
    middle = len(sealed) // 2
    other = "A" if sealed[middle] != "A" else "B"
    with pytest.raises(SecretUnreadable):
        box.open(sealed[:middle] + other + sealed[middle + 1 :])


def test_a_previous_secret_still_opens_but_no_longer_seals() -> None:
    old, both = SecretBox("old"), SecretBox("new", "old")
    assert both.open(old.seal(TEXT)) == TEXT
    with pytest.raises(SecretUnreadable):
        old.open(both.seal(TEXT))


def test_repr_holds_nothing_of_the_secret() -> None:
    assert repr(SecretBox(SECRET, "older")) == "SecretBox()"


@pytest.mark.parametrize("secrets", [("",), ("new", "")])
def test_an_empty_secret_is_refused(secrets: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        SecretBox(*secrets)
