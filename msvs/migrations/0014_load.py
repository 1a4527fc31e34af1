"""What keeps the work of a claim, a start and a look for what is in doubt to their batch, however much waits."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

# What was taken before this migration has its hand-over's time of its attempts.
BACKFILL = """
UPDATE messages SET handed_at = (
    SELECT max(started_at) FROM message_attempts WHERE message_attempts.message_id = messages.id
) WHERE status = 'sending' AND handed_at IS NULL
"""

INDEXES = [
    # Senders with a limit are claimed from one by one. The time is written in a way that the lanes' indexes have not, or
    # the planner may take one of them, and read all that another sender has waiting.
    "CREATE INDEX messages_single_sender ON messages"
    " (workspace_id, livemode, sender, (due_at AT TIME ZONE 'UTC'), id)"
    " WHERE status = 'queued' AND campaign_id IS NULL",
    "CREATE INDEX messages_campaign_sender ON messages (campaign_id, sender, (due_at AT TIME ZONE 'UTC'), id)"
    " WHERE status = 'queued' AND campaign_id IS NOT NULL",
    "CREATE INDEX messages_in_doubt ON messages (coalesce(handed_at, '-infinity'::timestamptz)) WHERE status = 'sending' AND lease_until IS NULL",
]

# Nothing but a repair by hand moves an attempt in time; then its message's hand-over moves along.
FOLLOW = """
CREATE FUNCTION follow_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE messages SET handed_at = (
        SELECT max(started_at) FROM message_attempts WHERE message_id = NEW.message_id
    ) WHERE id = NEW.message_id;
    RETURN NULL;
END $$
"""
FOLLOWS = (
    "CREATE TRIGGER message_attempts_moved AFTER UPDATE OF started_at ON message_attempts"
    " FOR EACH ROW EXECUTE FUNCTION follow_attempt()"
)


class Migration(migrations.Migration):
    """Adds the columns and the indexes."""

    dependencies = [("msvs", "0012_campaign_halts")]

    initial = False

    operations = [
        ops.AddField(
            model_name="Campaign",
            name="pause_mark",
            field=fields.CharField(null=True, max_length=60),
        ),
        ops.AddField(model_name="Campaign", name="audience_until", field=fields.UUIDField(null=True)),
        ops.AddField(model_name="Campaign", name="audience_after", field=fields.UUIDField(null=True)),
        ops.AddField(model_name="Campaign", name="audience_count", field=fields.BigIntField(default=0)),
        ops.AddField(
            model_name="Message",
            name="handed_at",
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        # Old code inserts campaigns without the count.
        ops.RunSQL("ALTER TABLE campaigns ALTER COLUMN audience_count SET DEFAULT 0"),
        ops.RunSQL([BACKFILL, *INDEXES, FOLLOW, FOLLOWS]),
    ]
