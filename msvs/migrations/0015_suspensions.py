"""Let an operator suspend a workspace."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Adds the column; null in every row, so that nothing is rewritten."""

    dependencies = [("msvs", "0014_load_indexes")]
    initial = False

    operations = [
        ops.AddField(
            model_name="Workspace",
            name="suspended_at",
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.RunSQL(
            "CREATE INDEX workspaces_suspended ON workspaces (id) WHERE suspended_at IS NOT NULL",
            "DROP INDEX workspaces_suspended",
        ),
    ]
