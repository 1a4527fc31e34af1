"""Remember which months hold open messages, so that dispatch opens no other partition; an index for retention."""

from tortoise import migrations
from tortoise.migrations import operations as ops

from msvs.migrations._indexes import CreateIndexConcurrently

# One row, written by maintenance: open messages are none older than `since`, and none newer than `until` or tomorrow.
# Without the row they may be anywhere.
OPEN_MONTHS = """
CREATE TABLE IF NOT EXISTS open_months (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    since timestamptz NOT NULL,
    until timestamptz
)
"""


class Migration(migrations.Migration):
    """Adds the table, and the index by which retention finds what is old."""

    atomic = False

    dependencies = [("msvs", "0015_suspensions")]
    initial = False

    operations = [
        ops.RunSQL(OPEN_MONTHS, "DROP TABLE open_months"),
        CreateIndexConcurrently("prefix_usage_hour", "prefix_usage", "(hour)"),
    ]
