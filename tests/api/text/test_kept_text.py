"""Texts that the database can keep."""

from __future__ import annotations

import pytest

from msvs.api.errors import InvalidRequest
from msvs.api.text.kept_text import check_kept


@pytest.mark.parametrize("text", ["", "Olá 👋", "\x01"])
def test_a_text_that_is_kept_comes_back(text: str) -> None:
    assert check_kept(text, param="body") == text


@pytest.mark.parametrize("text", ["Doors\0open", "\ud83d", "ok \udc4b"])
def test_a_text_that_no_row_keeps_is_refused_at_its_parameter(text: str) -> None:
    with pytest.raises(InvalidRequest, match="body must not contain NUL") as refusal:
        check_kept(text, param="body")
    assert refusal.value.param == "body"
