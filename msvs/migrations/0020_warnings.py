"""Keep the warnings that a message was accepted with, and those about a campaign."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Adds the columns; null in every row, so that nothing is rewritten."""

    dependencies = [("msvs", "0019_renewed_evidence")]
    initial = False

    operations = [
        ops.AddField(model_name=model, name="warnings", field=fields.JSONField(null=True))
        for model in ("Message", "Campaign")
    ]
