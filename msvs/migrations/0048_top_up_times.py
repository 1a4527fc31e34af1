"""Add when automatic top-up was turned off and when its card changed, so that earlier purchases undo neither."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Adds two times to a table with a row a workspace."""

    dependencies = [("msvs", "0047_export_tries")]

    initial = False

    operations = [
        ops.AddField(
            model_name="AutoTopUp",
            name="off_at",
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddField(
            model_name="AutoTopUp",
            name="card_at",
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
    ]
