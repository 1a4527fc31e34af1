"""Approval of campaigns by a second person."""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Adds the columns."""

    dependencies = [("msvs", "0077_order_hooks")]

    initial = False

    operations = [
        ops.AddField(
            model_name="Campaign",
            name="approval",
            field=fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
        ),
        ops.AddField(model_name="Campaign", name="launched_by", field=fields.CharField(null=True, max_length=40)),
        ops.AddField(model_name="MessageSequence", name="changed_by", field=fields.CharField(null=True, max_length=40)),
        ops.AddField(model_name="Workspace", name="approval_threshold", field=fields.IntField(null=True)),
    ]
