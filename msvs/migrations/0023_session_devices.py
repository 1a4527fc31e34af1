"""Where sessions were opened, so that their user can tell them apart."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Adds the columns; null in every row, so that nothing is rewritten."""

    # All that nothing depends on yet, so that one migration is the newest again.
    dependencies = [
        ("msvs", "0020_carrier_event_names"),
        ("msvs", "0021_key_limits"),
        ("msvs", "0022_known_contacts_index"),
    ]
    initial = False

    operations = [
        ops.AddField(model_name="Session", name="ip", field=fields.CharField(null=True, max_length=45)),
        ops.AddField(model_name="Session", name="network", field=fields.CharField(null=True, max_length=45)),
        ops.AddField(model_name="Session", name="device", field=fields.CharField(null=True, max_length=200)),
    ]
