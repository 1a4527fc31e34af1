from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from msvs.api.text.rendering import NotRenderable, given_values, read_template, render

# A request may bring ten times as much. The emoji has Python keep four bytes a character.
LARGE = "\U0001f600" + "a" * 100_000
FEW_BYTES = 4_000_000


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_a_body_that_holds_a_long_value_often_takes_no_memory_for_it(traced: None) -> None:
    template = read_template("{a}" * 533)
    with pytest.raises(NotRenderable) as refused:
        render(template, given_values({"a": LARGE}))
    assert refused.value.code == "body_too_long"
    assert tracemalloc.get_traced_memory()[1] < FEW_BYTES


def test_a_name_that_no_placeholder_can_have_is_neither_read_nor_remembered(traced: None) -> None:
    for number in range(20):
        assert given_values({f"{number}{LARGE}": "x", "firstName": "Maria"}) == {"first_name": "Maria"}
    assert tracemalloc.get_traced_memory()[0] < FEW_BYTES


@pytest.mark.parametrize("name", ["a" * 64, "aB" * 32, "ﬃ" * 64])
def test_the_longest_name_is_found_however_it_is_spelled(name: str) -> None:
    template = read_template(f"{{{name}}}")
    for spelled in (name, *template.names):
        assert render(template, given_values({spelled: "Maria"})).body == "Maria"
