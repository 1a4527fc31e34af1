"""The Protocols of rows: they follow the models, and rows and models satisfy them."""

from __future__ import annotations

from typing import get_type_hints

from msvs.models import Message, rows
from scripts import build_rows


def test_rows_follow_the_models() -> None:
    made = {}
    exec(compile(build_rows.source(), "rows.py", "exec"), made)
    protocols = {name for name in made if name.endswith("Row")}
    assert protocols == {name for name in vars(rows) if name.endswith("Row")}, "run python -m scripts.build_rows"
    for name in protocols:
        assert _columns(made[name]) == _columns(getattr(rows, name)), f"{name}: run python -m scripts.build_rows"


def test_a_row_has_every_column_of_its_table() -> None:
    assert _columns(rows.MessageRow).keys() == Message._meta.fields_map.keys()
    assert _columns(rows.MessageRow)["campaign_id"] == "UUID | None"
    assert _columns(rows.MessageRow)["to_phone"] == "str"


def test_types_of_columns_are_known_at_run_time() -> None:
    for name in (name for name in vars(rows) if name.endswith("Row")):
        for column in _columns(getattr(rows, name)):
            assert "return" in get_type_hints(vars(getattr(rows, name))[column].fget, vars(rows))


def _columns(protocol: type) -> dict[str, str]:
    return {
        name: value.fget.__annotations__["return"]
        for name, value in vars(protocol).items()
        if isinstance(value, property)
    }
