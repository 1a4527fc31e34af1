"""Times that rows are given as they are saved: the present ones of the work at hand."""

from __future__ import annotations

from datetime import datetime

from tortoise import fields
from tortoise.fields.data import DatetimeFieldQueryValueType
from tortoise.models import Model

from msvs import present


class DatetimeField(fields.DatetimeField[datetime]):
    """A time that is set when a row is saved; in a sandbox with a clock it is the clock's."""

    def to_db_value(
        self, value: DatetimeFieldQueryValueType | None, instance: type[Model] | Model
    ) -> DatetimeFieldQueryValueType | None:
        """Return what is written, which the instance then has, too."""
        at = present.moment()
        if at is None or not hasattr(instance, "_saved_in_db"):
            return super().to_db_value(value, instance)
        if self.auto_now or (self.auto_now_add and getattr(instance, self.model_field_name) is None):
            setattr(instance, self.model_field_name, at)
            return at  # type: ignore[return-value]
        return super().to_db_value(value, instance)
