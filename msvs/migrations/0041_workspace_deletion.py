"""When a workspace is to be deleted."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Adds columns that may be null; the few workspaces that are to be deleted are found without an index."""

    dependencies = [("msvs", "0040_notifications")]
    initial = False

    operations = [
        ops.AddField(
            model_name="Workspace",
            name="deletes_at",
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddField(
            model_name="Workspace",
            name="deletion_asked_at",
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddField(
            model_name="Workspace",
            name="erased_at",
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
    ]
