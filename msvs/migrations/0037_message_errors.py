"""Find the messages that ended with an error, by its code."""

from tortoise import migrations

from msvs.migrations._indexes import CreateIndexConcurrently


class Migration(migrations.Migration):
    """Adds the index."""

    atomic = False

    dependencies = [("msvs", "0036_operators")]
    initial = False

    operations = [
        CreateIndexConcurrently(
            "messages_of_error",
            "messages",
            "(workspace_id, livemode, error_code, id) WHERE error_code IS NOT NULL",
        ),
    ]
