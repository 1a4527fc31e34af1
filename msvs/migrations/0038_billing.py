"""Purchases with what Stripe told of them, and the debt of who spent what was taken back."""

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from msvs.models.billing import EventState, PurchaseStatus, ReturnKind
from msvs.models.credits import LedgerKind
from msvs.models.identity import new_id

# The tables are new, so that nobody waits for their indexes.
SQL = [
    "CREATE INDEX purchases_due ON purchases (check_at) WHERE check_at IS NOT NULL",
    "CREATE INDEX stripe_events_due ON stripe_events (next_attempt_at, id) WHERE state = 'pending'",
    "ALTER TABLE credit_balances ADD CONSTRAINT credit_balances_debt CHECK (debt >= 0)",
    "ALTER TABLE purchases ADD CONSTRAINT purchases_figures"
    " CHECK (credits > 0 AND amount > 0 AND returned_credits BETWEEN 0 AND credits)",
]


class Migration(migrations.Migration):
    """Adds the tables and the debt."""

    dependencies = [("msvs", "0037_message_errors")]

    initial = False

    operations = [
        ops.CreateModel(
            name="BillingDay",
            fields=[
                ("day", fields.DateField(primary_key=True, unique=True, db_index=True)),
                ("lease_until", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("ended_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("looked_count", fields.IntField(default=0)),
                ("repaired_count", fields.IntField(default=0)),
            ],
            options={
                "table": "billing_days",
                "app": "msvs",
                "pk_attr": "day",
                "table_description": "The nightly comparison with Stripe: one a day, by which process and until when, and what it found.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Purchase",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("actor", fields.CharField(max_length=40)),
                (
                    "status",
                    fields.CharEnumField(
                        default=PurchaseStatus.OPENING,
                        description="OPENING: opening\nOPEN: open\nPENDING: pending\nPAID: paid\nEXPIRED: expired\nFAILED: failed\nREVIEW: review",
                        enum_type=PurchaseStatus,
                        max_length=10,
                    ),
                ),
                ("pack", fields.CharField(max_length=40)),
                ("label", fields.CharField(max_length=80)),
                ("credits", fields.BigIntField()),
                ("amount", fields.BigIntField()),
                ("currency", fields.CharField(max_length=3)),
                ("price", fields.CharField(null=True, max_length=110)),
                ("takes_money", fields.BooleanField()),
                ("success_url", fields.CharField(null=True, max_length=2048)),
                ("cancel_url", fields.CharField(null=True, max_length=2048)),
                ("session_id", fields.CharField(null=True, unique=True, max_length=255)),
                ("url", fields.TextField(null=True, unique=False)),
                ("payment_intent", fields.CharField(null=True, unique=True, max_length=255)),
                ("customer", fields.CharField(null=True, max_length=255)),
                ("total", fields.BigIntField(null=True)),
                ("tax", fields.BigIntField(null=True)),
                ("invoice_url", fields.TextField(null=True, unique=False)),
                ("receipt_url", fields.TextField(null=True, unique=False)),
                ("problem", fields.CharField(null=True, max_length=40)),
                ("refunded_amount", fields.BigIntField(default=0)),
                ("disputed_amount", fields.BigIntField(default=0)),
                ("returned_credits", fields.BigIntField(default=0)),
                ("version", fields.IntField(default=0)),
                ("check_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("expires_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("paid_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "purchases",
                "app": "msvs",
                "indexes": [Index(fields=["workspace_id", "id"])],
                "pk_attr": "id",
                "table_description": "A pack that somebody set out to buy, with the figures that it was sold at.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="PurchaseReturn",
            fields=[
                ("id", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=255)),
                ("purchase_id", fields.UUIDField(db_index=True)),
                ("workspace_id", fields.UUIDField()),
                (
                    "kind",
                    fields.CharEnumField(
                        description="REFUND: refund\nDISPUTE: dispute", enum_type=ReturnKind, max_length=10
                    ),
                ),
                ("amount", fields.BigIntField()),
                ("status", fields.CharField(max_length=40)),
                ("credits", fields.BigIntField(default=0)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("updated_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "purchase_returns",
                "app": "msvs",
                "pk_attr": "id",
                "table_description": "A refund or dispute of a purchase by Stripe's id, and the credits that it has taken so far.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="StripeEvent",
            fields=[
                ("id", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=255)),
                ("type", fields.CharField(max_length=80)),
                ("object_id", fields.CharField(max_length=255)),
                ("payment_intent", fields.CharField(null=True, max_length=255)),
                (
                    "state",
                    fields.CharEnumField(
                        default=EventState.PENDING,
                        description="PENDING: pending\nDONE: done\nIGNORED: ignored\nFAILED: failed",
                        enum_type=EventState,
                        max_length=10,
                    ),
                ),
                ("attempt_count", fields.IntField(default=0)),
                ("next_attempt_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("lease_until", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("error", fields.CharField(null=True, max_length=100)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("received_at", fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
                ("handled_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "stripe_events",
                "app": "msvs",
                "pk_attr": "id",
                "table_description": "An event of Stripe's, once by its id: what it is about, and nothing of the buyer. The rest is asked of Stripe.",
            },
            bases=["Model"],
        ),
        ops.AddField(
            model_name="CreditBalance",
            name="debt",
            field=fields.BigIntField(default=0, db_default=0),
        ),
        ops.AlterField(
            model_name="LedgerEntry",
            name="kind",
            field=fields.CharEnumField(
                description="GRANT: grant\nPURCHASE: purchase\nRESERVE: reserve\nCAPTURE: capture\nRELEASE: release\nREFUND: refund\nDISPUTE: dispute\nRESTORE: restore\nDEBT: debt",
                enum_type=LedgerKind,
                max_length=10,
            ),
        ),
        ops.RunSQL(SQL),
    ]
