"""An index of the events of campaigns, by campaign."""

from tortoise import migrations

from msvs.migrations._indexes import CreateIndexConcurrently


class Migration(migrations.Migration):
    """Adds the index. Events of messages, of which there are most by far, are not in it."""

    atomic = False

    dependencies = [("msvs", "0065_top_up_limits")]
    initial = False

    operations = [
        CreateIndexConcurrently("events_campaigns", "events", "(resource_id, id) WHERE type LIKE 'campaign.%'"),
    ]
