"""Where sessions were opened, so that their user can tell them apart."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Adds the columns; null in every row, so that nothing is rewritten."""

    dependencies = [("msvs", "0025_known_contacts_index")]
    initial = False

    operations = [
        ops.AddField(model_name="Session", name="ip", field=fields.CharField(null=True, max_length=45)),
        ops.AddField(model_name="Session", name="network", field=fields.CharField(null=True, max_length=45)),
        ops.AddField(model_name="Session", name="device", field=fields.CharField(null=True, max_length=200)),
    ]
