"""Sequence numbers of deliveries, replays, and what a webhook is sent and how."""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

# Only ever inserted to, so that the claim of a delivery changes no index of its own table.
SEQUENCES = """
CREATE TABLE webhook_sequences (
    endpoint_id uuid NOT NULL,
    sequence bigint NOT NULL,
    event_id uuid NOT NULL,
    PRIMARY KEY (endpoint_id, sequence)
)
"""
AGES = "CREATE INDEX webhook_sequences_age ON webhook_sequences (event_id)"
# The last number of each endpoint, apart from its row, which operations hold for longer than a claim may wait.
POSITIONS = "CREATE TABLE webhook_positions (endpoint_id uuid PRIMARY KEY, sequence bigint NOT NULL)"
MATCHES = """
CREATE FUNCTION matches_webhook_filter(filter jsonb, data text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(
        (
            NOT (filter ? 'campaign_ids')
            OR (filter -> 'campaign_ids') ? CASE
                WHEN (data::jsonb ->> 'object') = 'campaign' THEN data::jsonb ->> 'id'
                ELSE data::jsonb ->> 'campaign_id'
            END
        ) AND (NOT (filter ? 'metadata') OR (data::jsonb -> 'metadata') @> (filter -> 'metadata')),
        false
    )
$$
"""


class Migration(migrations.Migration):
    """Adds the columns and tables. Webhooks that are there already go on as they did."""

    dependencies = [("msvs", "0069_campaign_tags")]

    initial = False

    operations = [
        ops.RunSQL(SEQUENCES, "DROP TABLE webhook_sequences"),
        ops.RunSQL(AGES, "SELECT 1"),
        ops.RunSQL(POSITIONS, "DROP TABLE webhook_positions"),
        ops.RunSQL(MATCHES, "DROP FUNCTION matches_webhook_filter(jsonb, text)"),
        ops.AddField(model_name="WebhookEndpoint", name="auto_replay_since", field=fields.DatetimeField(null=True)),
        ops.AddField(
            model_name="WebhookEndpoint",
            name="standard_webhooks",
            field=fields.BooleanField(default=False, db_default=False),
        ),
        ops.AddField(model_name="WebhookEndpoint", name="batch_size", field=fields.SmallIntField(null=True)),
        ops.AddField(
            model_name="WebhookEndpoint",
            name="event_filter",
            field=fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
        ),
        ops.AddField(model_name="WebhookDelivery", name="sequence", field=fields.BigIntField(null=True)),
        ops.AddField(
            model_name="WebhookDelivery", name="replay", field=fields.BooleanField(default=False, db_default=False)
        ),
        ops.AddField(
            model_name="WebhookDelivery", name="replay_count", field=fields.SmallIntField(default=0, db_default=0)
        ),
        ops.AddField(
            model_name="WebhookAttempt", name="replay", field=fields.BooleanField(default=False, db_default=False)
        ),
    ]
