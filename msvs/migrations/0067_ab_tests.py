"""A/B tests of campaigns, and books a variant."""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

# Null for all but the recipients of a test that wait for their message.
RECIPIENTS = "ALTER TABLE campaign_recipients ADD COLUMN variant smallint"
# Null for campaigns without variants.
TALLIES = "ALTER TABLE campaign_tallies ADD COLUMN variant smallint"
COUNT_INSERTED = """
CREATE OR REPLACE FUNCTION tally_messages_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO campaign_tallies (campaign_id, status, variant, messages, credits)
    SELECT campaign_id, tally_status(status, delivery), variant, count(*), sum(credits_used)
    FROM new_rows WHERE campaign_id IS NOT NULL GROUP BY 1, 2, 3;
    RETURN NULL;
END $$
"""
COUNT_UPDATED = """
CREATE OR REPLACE FUNCTION tally_messages_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO campaign_tallies (campaign_id, status, variant, messages, credits)
    SELECT campaign_id, status, variant, sum(messages), sum(credits)
    FROM (
        SELECT campaign_id, tally_status(status, delivery) AS status, variant, 1 AS messages, credits_used AS credits
        FROM new_rows WHERE campaign_id IS NOT NULL
        UNION ALL
        SELECT campaign_id, tally_status(status, delivery), variant, -1, -credits_used
        FROM old_rows WHERE campaign_id IS NOT NULL
    ) AS moved
    GROUP BY campaign_id, status, variant HAVING sum(messages) <> 0 OR sum(credits) <> 0;
    RETURN NULL;
END $$
"""
# 0 for campaigns without variants: it is part of the key.
CLICKS = """
ALTER TABLE click_tallies ADD COLUMN variant smallint NOT NULL DEFAULT 0;
ALTER TABLE click_tallies DROP CONSTRAINT click_tallies_pkey;
ALTER TABLE click_tallies ADD PRIMARY KEY (campaign_id, variant, position);
"""
COUNT_CLICKS = """
CREATE OR REPLACE FUNCTION tally_clicks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO click_tallies AS tally (campaign_id, variant, position, clicks, unique_clicks, first_clicks)
    SELECT campaign_id, coalesce(variant, 0), position, sum(added), count(*) FILTER (WHERE is_first),
        count(*) FILTER (WHERE is_first AND place = 1 AND NOT EXISTS (
            SELECT FROM short_links AS other LEFT JOIN old_rows AS was ON was.code = other.code
            WHERE other.message_id = clicked.message_id AND coalesce(was.clicks, other.clicks) > 0
        ))
    FROM (
        SELECT new_rows.campaign_id, new_rows.variant, new_rows.position, new_rows.message_id,
            new_rows.clicks - old_rows.clicks AS added, old_rows.clicks = 0 AS is_first, row_number() OVER (
                PARTITION BY new_rows.message_id ORDER BY new_rows.first_clicked_at, new_rows.position
            ) AS place
        FROM new_rows JOIN old_rows ON old_rows.code = new_rows.code
        WHERE new_rows.campaign_id IS NOT NULL AND new_rows.clicks > old_rows.clicks
    ) AS clicked
    GROUP BY campaign_id, coalesce(variant, 0), position ORDER BY 1, 2, 3
    ON CONFLICT (campaign_id, variant, position) DO UPDATE SET clicks = tally.clicks + excluded.clicks,
        unique_clicks = tally.unique_clicks + excluded.unique_clicks,
        first_clicks = tally.first_clicks + excluded.first_clicks;
    RETURN NULL;
END $$
"""
STAYS = "SELECT 1"


class Migration(migrations.Migration):
    """Adds what campaigns keep of a test, and the variant to messages, links and their tallies."""

    dependencies = [("msvs", "0066_campaign_events_index")]

    initial = False

    operations = [
        ops.AddField(
            model_name="Campaign",
            name="ab_test",
            field=fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
        ),
        ops.AddField(model_name="Campaign", name="tested_at", field=fields.DatetimeField(null=True)),
        ops.AddField(model_name="Campaign", name="test_ends_at", field=fields.DatetimeField(null=True)),
        ops.AddField(model_name="Campaign", name="winner", field=fields.SmallIntField(null=True)),
        ops.AddField(model_name="Campaign", name="winner_chosen_at", field=fields.DatetimeField(null=True)),
        ops.AddField(
            model_name="Campaign", name="is_winner_picked", field=fields.BooleanField(default=False, db_default=False)
        ),
        ops.AddField(model_name="Message", name="variant", field=fields.SmallIntField(null=True)),
        ops.AddField(model_name="ShortLink", name="variant", field=fields.SmallIntField(null=True)),
        ops.RunSQL(RECIPIENTS, "ALTER TABLE campaign_recipients DROP COLUMN variant"),
        ops.RunSQL(TALLIES, STAYS),
        ops.RunSQL(COUNT_INSERTED, STAYS),
        ops.RunSQL(COUNT_UPDATED, STAYS),
        ops.RunSQL(CLICKS, STAYS),
        ops.RunSQL(COUNT_CLICKS, STAYS),
    ]
