"""Automatic top-ups: a saved card, what is bought with it, and the balance below which it is."""

from uuid import uuid4

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

from msvs.models.billing import TopUpOff

# The tables have a row a workspace, or a purchase.
SQL = [
    "CREATE INDEX credit_balances_top_up ON credit_balances (top_up_at) WHERE top_up_at IS NOT NULL",
    "CREATE UNIQUE INDEX purchases_one_top_up ON purchases (workspace_id)"
    " WHERE is_automatic AND status IN ('opening', 'pending')",
    "ALTER TABLE auto_top_ups ADD CONSTRAINT auto_top_ups_amounts CHECK (day_amount >= 0 AND month_amount >= 0)",
]


class Migration(migrations.Migration):
    """Adds the table, and what the hot path notes."""

    dependencies = [("msvs", "0042_upkeep_indexes")]

    initial = False

    operations = [
        ops.CreateModel(
            name="AutoTopUp",
            fields=[
                ("workspace_id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("takes_money", fields.BooleanField()),
                ("customer", fields.CharField(null=True, max_length=255)),
                ("payment_method", fields.CharField(null=True, max_length=255)),
                ("card_brand", fields.CharField(null=True, max_length=40)),
                ("card_last4", fields.CharField(null=True, max_length=4)),
                ("is_enabled", fields.BooleanField(default=False)),
                (
                    "off_reason",
                    fields.CharEnumField(
                        null=True,
                        description="OWNER: owner\nDECLINED: declined\nAUTHENTICATION_REQUIRED: authentication_required\nCARD_MISSING: card_missing\nDISPUTE: dispute\nPACK_CHANGED: pack_changed\nREVIEW: review",
                        enum_type=TopUpOff,
                        max_length=30,
                    ),
                ),
                ("pack", fields.CharField(null=True, max_length=40)),
                ("credits", fields.BigIntField(null=True)),
                ("amount", fields.BigIntField(null=True)),
                ("currency", fields.CharField(null=True, max_length=3)),
                ("threshold", fields.BigIntField(null=True)),
                ("daily_limit", fields.BigIntField(default=0)),
                ("monthly_limit", fields.BigIntField(default=0)),
                ("day", fields.DateField(null=True)),
                ("day_amount", fields.BigIntField(default=0)),
                ("month", fields.DateField(null=True)),
                ("month_amount", fields.BigIntField(default=0)),
                ("declined_count", fields.IntField(default=0)),
                ("hard_declined_count", fields.IntField(default=0)),
                ("agreed_by", fields.CharField(null=True, max_length=40)),
                ("agreed_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "auto_top_ups",
                "app": "msvs",
                "pk_attr": "workspace_id",
                "table_description": "A workspace's saved card, and what is bought with it once the balance falls below the threshold.",
            },
            bases=["Model"],
        ),
        ops.AddField(
            model_name="CreditBalance",
            name="top_up_at",
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddField(
            model_name="CreditBalance",
            name="top_up_below",
            field=fields.BigIntField(null=True),
        ),
        ops.AddField(
            model_name="Purchase",
            name="is_automatic",
            field=fields.BooleanField(default=False, db_default=False),
        ),
        ops.AddField(
            model_name="Purchase",
            name="payment_method",
            field=fields.CharField(null=True, max_length=255),
        ),
        ops.AddField(
            model_name="Purchase",
            name="saves_card",
            field=fields.BooleanField(default=False, db_default=False),
        ),
        ops.RunSQL(SQL),
    ]
