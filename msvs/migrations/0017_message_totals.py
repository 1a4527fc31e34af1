"""Keep totals of what became of messages, for operators' metrics."""

from tortoise import migrations
from tortoise.migrations import operations as ops

# Maintenance counts events up to `until`, and adds them to the totals in the same transaction.
TOTALS = [
    """
    CREATE TABLE IF NOT EXISTS message_totals (
        livemode boolean NOT NULL,
        status varchar(10) NOT NULL,
        messages bigint NOT NULL,
        PRIMARY KEY (livemode, status)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS message_totals_until (
        is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
        until timestamptz NOT NULL
    )
    """,
]


class Migration(migrations.Migration):
    """Adds the tables."""

    dependencies = [("msvs", "0016_open_months")]
    initial = False

    operations = [ops.RunSQL(TOTALS, ["DROP TABLE message_totals_until", "DROP TABLE message_totals"])]
