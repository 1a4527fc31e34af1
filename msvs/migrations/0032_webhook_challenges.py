"""Which live webhooks have yet to answer before all their events are delivered to them."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Adds the columns; null in every row, as webhooks that are there already have nothing to answer."""

    dependencies = [("msvs", "0031_uncleared_campaigns")]
    initial = False

    operations = [
        ops.AddField(model_name="WebhookEndpoint", name="unverified_since", field=fields.DatetimeField(null=True)),
        ops.AddField(model_name="WebhookEndpoint", name="tested_by", field=fields.UUIDField(null=True)),
    ]
