"""Caps on the messages to one contact, and the local hour at which a campaign is sent."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Adds the columns, null where there is no cap and no hour."""

    dependencies = [("msvs", "0055_forgotten_cards")]
    initial = False

    operations = [
        ops.AddField(model_name="Workspace", name="contact_daily_cap", field=fields.IntField(null=True)),
        ops.AddField(model_name="Workspace", name="contact_weekly_cap", field=fields.IntField(null=True)),
        ops.AddField(
            model_name="Workspace",
            name="contact_caps_cover_all",
            field=fields.BooleanField(default=False, db_default=False),
        ),
        ops.AddField(model_name="Campaign", name="contact_daily_cap", field=fields.IntField(null=True)),
        ops.AddField(model_name="Campaign", name="contact_weekly_cap", field=fields.IntField(null=True)),
        ops.AddField(model_name="Campaign", name="send_at_local", field=fields.CharField(null=True, max_length=5)),
    ]
