"""Indexes of what webhooks have missed, and of the replay of each."""

from tortoise import migrations

from msvs.migrations._indexes import CreateIndexConcurrently


class Migration(migrations.Migration):
    """Adds the indexes. Both are as small as the trouble there is."""

    atomic = False

    dependencies = [("msvs", "0070_webhook_healing")]
    initial = False

    operations = [
        CreateIndexConcurrently(
            "webhook_deliveries_missed",
            "webhook_deliveries",
            "(endpoint_id, replay_count, event_id) WHERE state IN ('exhausted', 'dropped') AND replay_count < 3",
        ),
        CreateIndexConcurrently(
            "webhook_deliveries_replayed",
            "webhook_deliveries",
            "(endpoint_id) WHERE state = 'pending' AND replay_count > 0",
        ),
    ]
