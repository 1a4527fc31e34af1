"""Count the attempts of an export."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Adds the column."""

    dependencies = [("msvs", "0046_exports")]

    initial = False

    operations = [
        ops.AddField(model_name="Export", name="tries", field=fields.SmallIntField(default=0, db_default=0)),
    ]
