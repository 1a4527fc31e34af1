"""Indexes for what carriers brought and nobody has applied yet."""

from tortoise import migrations
from tortoise.migrations import operations as ops

INDEXES = [
    "CREATE INDEX carrier_signals_kind_due ON carrier_signals (kind, due_at, id)",
    "CREATE INDEX carrier_signals_parts ON carrier_signals (carrier, part_ref, from_phone) WHERE part_ref IS NOT NULL",
]


class Migration(migrations.Migration):
    """Adds the indexes."""

    dependencies = [("msvs", "0006_consent_chain")]
    initial = False

    operations = [ops.RunSQL(INDEXES)]
