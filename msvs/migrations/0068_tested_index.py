"""An index of the recipients of tests, whose messages come before the others'."""

from tortoise import migrations

from msvs.migrations._indexes import CreateIndexConcurrently


class Migration(migrations.Migration):
    """Builds it; it is empty where no test is under way."""

    atomic = False

    dependencies = [("msvs", "0067_ab_tests")]
    initial = False

    operations = [
        CreateIndexConcurrently(
            "campaign_recipients_tested", "campaign_recipients", "(campaign_id, phone) WHERE variant IS NOT NULL"
        ),
    ]
