"""Keep what a service's settings can be set to, such as its tags."""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Adds the column."""

    dependencies = [("msvs", "0056_tries")]

    initial = False

    operations = [
        ops.AddField(
            model_name="ListSource",
            name="choices",
            field=fields.JSONField(
                default=dict, db_default={}, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
            ),
        ),
    ]
