"""What keeps the work of a claim, a start and a look for what is in doubt to their batch, however much waits."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

# What was taken before this migration has its hand-over's time of its attempts.
BACKFILL = """
UPDATE messages SET handed_at = (
    SELECT max(started_at) FROM message_attempts WHERE message_attempts.message_id = messages.id
) WHERE status = 'sending' AND handed_at IS NULL
"""

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
    """Adds the columns, and what keeps them."""

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
        ops.AddField(model_name="Campaign", name="audience_count", field=fields.BigIntField(default=0, db_default=0)),
        ops.AddField(
            model_name="Message",
            name="handed_at",
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.RunSQL([BACKFILL, FOLLOW, FOLLOWS]),
    ]
