"""An index of the contacts whose number is unreachable."""

from tortoise import migrations

from msvs.migrations._indexes import CreateIndexConcurrently


class Migration(migrations.Migration):
    """Adds the index. Few contacts are in it."""

    atomic = False

    dependencies = [("msvs", "0061_unreachable")]
    initial = False

    operations = [
        CreateIndexConcurrently(
            "contacts_unreachable", "contacts", "(workspace_id, livemode, id) WHERE unreachable_at IS NOT NULL"
        ),
    ]
