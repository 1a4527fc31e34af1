"""Count the attempts of imports, synced lists and bulk actions, and let bulk actions erase."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

from msvs.models.bulk_actions import BulkKind


class Migration(migrations.Migration):
    """Adds the columns."""

    dependencies = [("msvs", "0055_forgotten_cards")]

    initial = False

    operations = [
        ops.AlterField(
            model_name="BulkAction",
            name="kind",
            field=fields.CharEnumField(
                description="OPT_OUT: opt_out\nDELETE: delete\nERASE: erase\nTAG: tag\nUNTAG: untag\nADD_TO_LIST: add_to_list\nREMOVE_FROM_LIST: remove_from_list",
                enum_type=BulkKind,
                max_length=20,
            ),
        ),
        ops.AddField(model_name="BulkAction", name="postponed", field=fields.IntField(default=0, db_default=0)),
        ops.AddField(model_name="BulkAction", name="tries", field=fields.SmallIntField(default=0, db_default=0)),
        ops.AddField(model_name="ContactImport", name="tries", field=fields.SmallIntField(default=0, db_default=0)),
        ops.AddField(model_name="ListSource", name="tries", field=fields.SmallIntField(default=0, db_default=0)),
    ]
