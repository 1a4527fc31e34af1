"""Let one contact alone have an id from elsewhere, in its workspace and mode."""

from tortoise import migrations

from msvs.migrations._indexes import CreateIndexConcurrently


class Migration(migrations.Migration):
    """Adds the index."""

    atomic = False

    dependencies = [("msvs", "0024_known_contacts")]
    initial = False

    operations = [
        CreateIndexConcurrently(
            "contacts_external_id",
            "contacts",
            "(workspace_id, livemode, external_id) WHERE external_id IS NOT NULL",
            is_unique=True,
        ),
    ]
