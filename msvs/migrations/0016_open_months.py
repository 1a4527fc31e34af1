"""Remember which months hold open messages, so that the statements of dispatch open no other partition."""

from tortoise import migrations
from tortoise.migrations import operations as ops

# One row, written by maintenance: open messages are none older than `since`, and none newer than `until` or tomorrow.
# Without the row they may be anywhere.
OPEN_MONTHS = """
CREATE TABLE open_months (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    since timestamptz NOT NULL,
    until timestamptz
)
"""


class Migration(migrations.Migration):
    """Adds the table."""

    dependencies = [("msvs", "0012_campaign_halts")]
    initial = False

    operations = [ops.RunSQL(OPEN_MONTHS, "DROP TABLE open_months")]
