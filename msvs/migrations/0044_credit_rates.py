"""What a segment costs by its destination, and the price that a message was accepted at."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

from msvs.models.identity import new_id

# So that a segment's credits fit a message's, and nothing is free by mistake.
SQL = ["ALTER TABLE credit_rates ADD CONSTRAINT credit_rates_credits CHECK (credits BETWEEN 1 AND 100)"]


class Migration(migrations.Migration):
    """Adds the table and the column, whose default writes no row."""

    dependencies = [("msvs", "0043_auto_top_ups")]

    initial = False

    operations = [
        ops.CreateModel(
            name="CreditRate",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("region", fields.CharField(max_length=2)),
                ("credits", fields.SmallIntField()),
                ("effective_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "credit_rates",
                "app": "msvs",
                "unique_together": (("region", "effective_at"),),
                "pk_attr": "id",
                "table_description": "What a segment to a region costs from a time on, until the next such time; one where a region has none.",
            },
            bases=["Model"],
        ),
        ops.AddField(
            model_name="Message",
            name="price",
            field=fields.SmallIntField(default=1, db_default=1),
        ),
        ops.RunSQL(SQL),
    ]
