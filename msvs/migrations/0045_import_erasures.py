"""Who was erased while the file of an import came or was read."""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Adds the column."""

    dependencies = [("msvs", "0044_credit_rates")]

    initial = False

    operations = [
        ops.AddField(
            model_name="ContactImport",
            name="erased",
            field=fields.JSONField(
                default=list, db_default=[], encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
            ),
        ),
    ]
