"""Conversions, what they are attributed to, and the tallies of campaigns."""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from msvs.models.conversions import AttributedBy, ConversionSource
from msvs.models.exports import ExportKind
from msvs.models.identity import new_id

# The table is new and empty, so building its indexes blocks nothing. The one by time holds what totals sum up.
INDEXES = """
CREATE INDEX conversions_campaign ON conversions (campaign_id, id) WHERE campaign_id IS NOT NULL;
CREATE INDEX conversions_contact ON conversions (contact_id, id) WHERE contact_id IS NOT NULL;
CREATE INDEX conversions_message ON conversions (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX conversions_occurred ON conversions (workspace_id, livemode, occurred_at)
INCLUDE (currency, value, refunded_value, attributed_by);
ALTER TABLE conversions ADD CONSTRAINT conversions_refunded
CHECK (value >= 0 AND refunded_value >= 0 AND refunded_value <= value);
"""
# A row a variant and currency of a campaign, 0 for campaigns without variants: they outlive what they count.
TALLIES = """
CREATE TABLE conversion_tallies (
    campaign_id uuid NOT NULL,
    variant smallint NOT NULL,
    currency varchar(3) NOT NULL,
    conversions bigint NOT NULL,
    messages bigint NOT NULL,
    value bigint NOT NULL,
    refunded_value bigint NOT NULL,
    PRIMARY KEY (campaign_id, variant, currency)
)
"""
# Its contact is held while a conversion is recorded, so that of two of one message the later finds the earlier.
TALLY = """
CREATE FUNCTION tally_conversion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        UPDATE conversion_tallies SET refunded_value = refunded_value + NEW.refunded_value - OLD.refunded_value
        WHERE campaign_id = NEW.campaign_id AND variant = coalesce(NEW.variant, 0) AND currency = NEW.currency;
        RETURN NULL;
    END IF;
    INSERT INTO conversion_tallies AS tally (campaign_id, variant, currency, conversions, messages, value,
        refunded_value)
    SELECT NEW.campaign_id, coalesce(NEW.variant, 0), NEW.currency, 1, CASE WHEN EXISTS (
        SELECT FROM conversions AS other WHERE other.message_id = NEW.message_id AND other.id <> NEW.id
    ) THEN 0 ELSE 1 END, NEW.value, NEW.refunded_value
    ON CONFLICT (campaign_id, variant, currency) DO UPDATE SET conversions = tally.conversions + 1,
        messages = tally.messages + excluded.messages, value = tally.value + excluded.value,
        refunded_value = tally.refunded_value + excluded.refunded_value;
    RETURN NULL;
END $$;
CREATE TRIGGER conversions_made AFTER INSERT ON conversions FOR EACH ROW
WHEN (NEW.campaign_id IS NOT NULL) EXECUTE FUNCTION tally_conversion();
CREATE TRIGGER conversions_refunded AFTER UPDATE ON conversions FOR EACH ROW
WHEN (NEW.campaign_id IS NOT NULL AND NEW.refunded_value <> OLD.refunded_value) EXECUTE FUNCTION tally_conversion();
"""
# The sums of a campaign would be wrong otherwise.
SEAL = """
CREATE FUNCTION refuse_new_attribution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'A conversion keeps its value and its message.' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER conversions_sealed BEFORE UPDATE ON conversions FOR EACH ROW
WHEN (OLD.value IS DISTINCT FROM NEW.value OR OLD.currency IS DISTINCT FROM NEW.currency
    OR OLD.message_id IS DISTINCT FROM NEW.message_id OR OLD.campaign_id IS DISTINCT FROM NEW.campaign_id
    OR OLD.variant IS DISTINCT FROM NEW.variant OR NEW.refunded_value < OLD.refunded_value)
EXECUTE FUNCTION refuse_new_attribution();
"""
DROP = """
DROP TRIGGER conversions_sealed ON conversions; DROP FUNCTION refuse_new_attribution();
DROP TRIGGER conversions_made ON conversions; DROP TRIGGER conversions_refunded ON conversions;
DROP FUNCTION tally_conversion();
"""


class Migration(migrations.Migration):
    """Adds the tables, the triggers, and the windows to workspaces."""

    dependencies = [("msvs", "0074_templates")]

    initial = False

    operations = [
        ops.CreateModel(
            name="Conversion",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("order_id", fields.CharField(max_length=200)),
                ("contact_id", fields.UUIDField(null=True)),
                ("value", fields.BigIntField()),
                ("currency", fields.CharField(max_length=3)),
                ("refunded_value", fields.BigIntField(default=0, db_default=0)),
                (
                    "source",
                    fields.CharEnumField(
                        description="API: api\nSHOPIFY: shopify\nSTRIPE: stripe",
                        enum_type=ConversionSource,
                        max_length=10,
                    ),
                ),
                (
                    "metadata",
                    fields.JSONField(
                        default=dict, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                (
                    "attributed_by",
                    fields.CharEnumField(
                        null=True,
                        description="CLICK: click\nMESSAGE: message",
                        enum_type=AttributedBy,
                        max_length=10,
                    ),
                ),
                ("attributed_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("message_id", fields.UUIDField(null=True)),
                ("campaign_id", fields.UUIDField(null=True)),
                ("variant", fields.SmallIntField(null=True)),
                ("sequence_id", fields.UUIDField(null=True)),
                ("sequence_step", fields.CharField(null=True, max_length=60)),
                ("occurred_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("refunded_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "conversions",
                "app": "msvs",
                "unique_together": (("workspace_id", "livemode", "order_id"),),
                "indexes": [Index(fields=["workspace_id", "livemode", "id"])],
                "pk_attr": "id",
                "table_description": "An order of a contact. What it was attributed to when it was recorded never changes.",
            },
            bases=["Model"],
        ),
        ops.AddField(
            model_name="Workspace", name="click_window_hours", field=fields.IntField(default=120, db_default=120)
        ),
        ops.AddField(
            model_name="Workspace", name="message_window_hours", field=fields.IntField(default=24, db_default=24)
        ),
        ops.AlterField(
            model_name="Export",
            name="kind",
            field=fields.CharEnumField(
                description="CONTACTS: contacts\nMESSAGES: messages\nCAMPAIGN_RESULTS: campaign_results\nSUPPRESSIONS: suppressions\nLEDGER: ledger\nEVENTS: events\nCONVERSIONS: conversions",
                enum_type=ExportKind,
                max_length=20,
            ),
        ),
        ops.RunSQL(INDEXES, "SELECT 1"),
        ops.RunSQL(TALLIES, "DROP TABLE conversion_tallies"),
        ops.RunSQL(TALLY, "SELECT 1"),
        ops.RunSQL(SEAL, DROP),
    ]
