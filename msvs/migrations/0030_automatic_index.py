"""Find the service's own messages among all others."""

from tortoise import migrations

from msvs.migrations._indexes import CreateIndexConcurrently


class Migration(migrations.Migration):
    """Adds the index."""

    atomic = False

    dependencies = [("msvs", "0029_on_unknown")]
    initial = False

    operations = [
        CreateIndexConcurrently("messages_automatic", "messages", "(workspace_id, livemode, id) WHERE kind = 'auto'"),
    ]
