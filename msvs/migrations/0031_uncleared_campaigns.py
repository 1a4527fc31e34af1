"""Find canceled campaigns that have something left among all that ended."""

from tortoise import migrations
from tortoise.migrations import operations as ops

INDEX = """
CREATE INDEX campaigns_uncleared ON campaigns (canceled_at) WHERE status = 'canceled' AND completed_at IS NULL
"""


class Migration(migrations.Migration):
    """Adds the index. The table has a row a campaign, so that it is built at once."""

    dependencies = [("msvs", "0030_automatic_index")]
    initial = False

    operations = [ops.RunSQL(INDEX, "DROP INDEX campaigns_uncleared")]
