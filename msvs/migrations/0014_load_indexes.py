"""Indexes by which a claim finds what each sender may send, and what is in doubt."""

from tortoise import migrations

from msvs.migrations._indexes import CreateIndexConcurrently


class Migration(migrations.Migration):
    """Adds the indexes."""

    atomic = False

    dependencies = [("msvs", "0014_load")]
    initial = False

    # Senders with a limit are claimed from one by one. The time is written in a way that the lanes' indexes have not, or
    # the planner may take one of them, and read all that another sender has waiting.
    operations = [
        CreateIndexConcurrently(
            "messages_single_sender",
            "messages",
            "(workspace_id, livemode, sender, (due_at AT TIME ZONE 'UTC'), id)"
            " WHERE status = 'queued' AND campaign_id IS NULL",
        ),
        CreateIndexConcurrently(
            "messages_campaign_sender",
            "messages",
            "(campaign_id, sender, (due_at AT TIME ZONE 'UTC'), id)"
            " WHERE status = 'queued' AND campaign_id IS NOT NULL",
        ),
        CreateIndexConcurrently(
            "messages_in_doubt",
            "messages",
            "(coalesce(handed_at, '-infinity'::timestamptz)) WHERE status = 'sending' AND lease_until IS NULL",
        ),
    ]
