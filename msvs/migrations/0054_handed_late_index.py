"""An index of the messages that waited for more than a day before they were handed over."""

from tortoise import migrations

from msvs.migrations._indexes import CreateIndexConcurrently


class Migration(migrations.Migration):
    """Adds the index. Few messages are in it: most are handed over on the day they are made."""

    atomic = False

    dependencies = [("msvs", "0053_exclusions")]
    initial = False

    operations = [
        CreateIndexConcurrently(
            "messages_handed_late",
            "messages",
            "(contact_id, handed_at) WHERE handed_at - created_at > interval '1 day'",
        ),
    ]
