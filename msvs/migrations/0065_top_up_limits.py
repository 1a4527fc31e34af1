"""When the owners were last told that a limit of automatic top-up is reached."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Adds the column."""

    dependencies = [("msvs", "0064_saved_views")]

    initial = False

    operations = [
        ops.AddField(model_name="AutoTopUp", name="limited_until", field=fields.DatetimeField(null=True)),
    ]
