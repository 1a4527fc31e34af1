"""Cards that are forgotten here and have yet to be removed at Stripe."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Adds the table."""

    dependencies = [("msvs", "0054_handed_late_index")]

    initial = False

    operations = [
        ops.CreateModel(
            name="ForgottenCard",
            fields=[
                ("payment_method", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=255)),
                ("takes_money", fields.BooleanField()),
                ("attempt_count", fields.IntField(default=0)),
                ("next_attempt_at", fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "forgotten_cards",
                "app": "msvs",
                "pk_attr": "payment_method",
                "table_description": "A card that is no longer kept here and has yet to be removed at Stripe; the row goes once it is.",
            },
            bases=["Model"],
        ),
    ]
