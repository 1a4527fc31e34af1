"""Let a pause or a cancellation of a campaign take hold before any further claim."""

from tortoise import migrations
from tortoise.migrations import operations as ops

# Advisory locks queue in order: a shared request waits behind an earlier exclusive one, which row locks do not ensure.
# Each statement of a volatile function sees what is committed by then, so it reads the status under the lock.
SHARE = """
CREATE FUNCTION share_campaign(campaign uuid)
RETURNS TABLE (moment timestamptz, runs boolean, halted boolean) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('campaign:' || campaign, 0));
    RETURN QUERY SELECT clock_timestamp(), status IN ('preparing', 'sending'),
        status = 'canceled' OR (status = 'paused' AND pause_reason = 'manual')
    FROM campaigns WHERE id = campaign;
END $$
"""

HALT = """
CREATE FUNCTION halt_campaign(campaign uuid) RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('campaign:' || campaign, 0));
    RETURN clock_timestamp();
END $$
"""


class Migration(migrations.Migration):
    """Adds the functions."""

    dependencies = [("msvs", "0011_secret_keys")]
    initial = False

    operations = [
        ops.RunSQL(SHARE, "DROP FUNCTION share_campaign(uuid)"),
        ops.RunSQL(HALT, "DROP FUNCTION halt_campaign(uuid)"),
    ]
