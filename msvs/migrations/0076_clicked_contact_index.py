"""An index of the links that a contact clicked, by the last click."""

from tortoise import migrations

from msvs.migrations._indexes import CreateIndexConcurrently


class Migration(migrations.Migration):
    """Builds it, for the attribution of conversions."""

    atomic = False

    dependencies = [("msvs", "0075_conversions")]
    initial = False

    operations = [
        CreateIndexConcurrently(
            "short_links_clicked_contact",
            "short_links",
            "(contact_id, last_clicked_at) WHERE clicks > 0 AND contact_id IS NOT NULL",
        ),
    ]
