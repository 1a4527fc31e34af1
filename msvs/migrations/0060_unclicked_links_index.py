"""An index of the links that nobody clicked, by when they expire."""

from tortoise import migrations
from tortoise.migrations.operations import RunSQL

from msvs.migrations._indexes import CreateIndexConcurrently


class Migration(migrations.Migration):
    """Puts it in the place of the index of all: a link that was clicked is kept for as long as its message."""

    atomic = False

    dependencies = [("msvs", "0059_click_tallies")]
    initial = False

    operations = [
        CreateIndexConcurrently("short_links_unclicked", "short_links", "(expires_at) WHERE clicks = 0"),
        RunSQL("DROP INDEX CONCURRENTLY IF EXISTS short_links_expires", "SELECT 1"),
    ]
