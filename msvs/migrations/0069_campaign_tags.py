"""Tags of campaigns, and campaigns that are put away."""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Adds the columns."""

    dependencies = [("msvs", "0068_tested_index")]

    initial = False

    operations = [
        ops.AddField(
            model_name="Campaign",
            name="tags",
            field=fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
        ),
        ops.AddField(model_name="Campaign", name="archived_at", field=fields.DatetimeField(null=True)),
    ]
