"""Write msvs/models/rows.py: a Protocol a table, from the fields of the models."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tortoise import fields
from tortoise.fields import Field
from tortoise.fields.data import CharEnumFieldInstance
from tortoise.models import Model

from msvs import models

PATH = Path(__file__).resolve().parents[1] / "msvs" / "models" / "rows.py"

HEAD = '''"""Shapes of rows: a Protocol a table, which a model's instance and a row of `database.fetch` both satisfy.

Generated from the models by scripts.build_rows; do not edit.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from msvs.json_types import JSON, JSONObject
from msvs.models.campaigns import AbTest, Approval, Audience, Exclusions, GuardRails
from msvs.models.messages import KeptWarning, MetadataValue

'''

# How the value of a field is declared where its class does not say: by the annotation on the model.
TYPES: tuple[tuple[type, str], ...] = (
    (CharEnumFieldInstance, "str"),
    (fields.UUIDField, "UUID"),
    (fields.BooleanField, "bool"),
    (fields.DatetimeField, "datetime"),
    (fields.DateField, "date"),
    (fields.FloatField, "float"),
    (fields.DecimalField, "Decimal"),
    (fields.BinaryField, "bytes"),
    (fields.SmallIntField, "int"),
    (fields.IntField, "int"),
    (fields.BigIntField, "int"),
    (fields.CharField, "str"),
    (fields.TextField, "str"),
)


def row_name(model: type[Model]) -> str:
    """Return the name of the Protocol of a model's table."""
    return f"{model.__name__}Row"


def column_type(model: type[Model], name: str, field: Field[object]) -> str:
    """Return the type of a column's values, as source text."""
    declared = str(model.__annotations__.get(name, ""))
    if declared and not isinstance(field, CharEnumFieldInstance):
        text = declared.removeprefix("fields.Field[").removesuffix("]")
    else:
        text = next((text for kind, text in TYPES if isinstance(field, kind)), "")
    if not text:
        raise TypeError(f"{model.__name__}.{name} needs an annotation")
    return f"{text} | None" if field.null and "None" not in text else text


def source() -> str:
    """Return the source of msvs/models/rows.py."""
    found = sorted(
        (each for each in vars(models).values() if isinstance(each, type) and issubclass(each, Model)),
        key=lambda model: model.__name__,
    )
    return HEAD + "\n\n".join(_protocol(model) for model in found)


def _protocol(model: type[Model]) -> str:
    lines = [f"class {row_name(model)}(Protocol):", f'    """A row of `{model._meta.db_table}`."""', ""]
    for name, field in model._meta.fields_map.items():
        lines += ["    @property", f"    def {name}(self) -> {column_type(model, name, field)}: ...", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    PATH.write_text(source())
    for command in (["check", "--fix"], ["format"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, "--quiet", str(PATH)], check=True)
