"""Add the indexes that tell whether a phone wrote something before what is applied next."""

from tortoise import migrations

from msvs.migrations._indexes import CreateIndexConcurrently


class Migration(migrations.Migration):
    """Adds the indexes."""

    atomic = False

    dependencies = [("msvs", "0017_message_totals")]
    initial = False

    operations = [
        CreateIndexConcurrently(
            "virtual_signals_phone",
            "virtual_signals",
            "(workspace_id, livemode, phone, due_at, id) WHERE kind = 'inbound'",
        ),
        CreateIndexConcurrently(
            "carrier_signals_phone", "carrier_signals", "(from_phone, received_at, id) WHERE kind = 'inbound'"
        ),
    ]
