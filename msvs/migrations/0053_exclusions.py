"""Who of an audience a campaign excludes."""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Adds the column, null for campaigns that exclude nobody."""

    dependencies = [("msvs", "0052_bulk_actions")]
    initial = False

    operations = [
        ops.AddField(
            model_name="Campaign",
            name="exclusions",
            field=fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
        ),
    ]
