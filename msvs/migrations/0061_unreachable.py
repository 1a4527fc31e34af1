"""What tells a number to which messages fail again and again."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Adds the columns. No contact is unreachable until its number fails from now on."""

    dependencies = [("msvs", "0060_unclicked_links_index")]
    initial = False

    operations = [
        ops.AddField(model_name="Contact", name="unreachable_at", field=fields.DatetimeField(null=True)),
        ops.AddField(model_name="Contact", name="unreachable_code", field=fields.CharField(max_length=40, null=True)),
        ops.AddField(model_name="Contact", name="reached_at", field=fields.DatetimeField(null=True)),
        ops.AddField(
            model_name="Workspace", name="unreachable_after", field=fields.IntField(null=True, default=3, db_default=3)
        ),
    ]
