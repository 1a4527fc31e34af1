"""Which contacts made themselves, by a send or a message, and the ids that contacts have elsewhere."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Adds the columns; nothing is rewritten."""

    dependencies = [("msvs", "0023_key_limits")]
    initial = False

    operations = [
        ops.AddField(
            model_name="Contact", name="is_automatic", field=fields.BooleanField(default=False, db_default=False)
        ),
        ops.AddField(model_name="Contact", name="external_id", field=fields.CharField(null=True, max_length=100)),
    ]
