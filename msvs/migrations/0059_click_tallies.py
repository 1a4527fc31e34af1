"""Tallies of the clicks on the links of campaigns, which outlive the links."""

from tortoise import migrations
from tortoise.migrations import operations as ops

TABLE = """
CREATE TABLE click_tallies (
    campaign_id uuid NOT NULL,
    position smallint NOT NULL,
    clicks bigint NOT NULL,
    unique_clicks bigint NOT NULL,
    first_clicks bigint NOT NULL,
    PRIMARY KEY (campaign_id, position)
)
"""
# A row a link of the body: all clicks on it, the messages in which it was clicked, and those in which it was clicked
# before any other link, so that these add up to the messages with a click. Rows are taken in their order, for which
# two writers wait, never for each other.
TALLY = """
CREATE FUNCTION tally_clicks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO click_tallies AS tally (campaign_id, position, clicks, unique_clicks, first_clicks)
    SELECT campaign_id, position, sum(added), count(*) FILTER (WHERE is_first),
        count(*) FILTER (WHERE is_first AND place = 1 AND NOT EXISTS (
            SELECT FROM short_links AS other LEFT JOIN old_rows AS was ON was.code = other.code
            WHERE other.message_id = clicked.message_id AND coalesce(was.clicks, other.clicks) > 0
        ))
    FROM (
        SELECT new_rows.campaign_id, new_rows.position, new_rows.message_id, new_rows.clicks - old_rows.clicks AS added,
            old_rows.clicks = 0 AS is_first, row_number() OVER (
                PARTITION BY new_rows.message_id ORDER BY new_rows.first_clicked_at, new_rows.position
            ) AS place
        FROM new_rows JOIN old_rows ON old_rows.code = new_rows.code
        WHERE new_rows.campaign_id IS NOT NULL AND new_rows.clicks > old_rows.clicks
    ) AS clicked
    GROUP BY campaign_id, position ORDER BY campaign_id, position
    ON CONFLICT (campaign_id, position) DO UPDATE SET clicks = tally.clicks + excluded.clicks,
        unique_clicks = tally.unique_clicks + excluded.unique_clicks,
        first_clicks = tally.first_clicks + excluded.first_clicks;
    RETURN NULL;
END $$
"""
TRIGGER = """
CREATE TRIGGER short_links_clicked AFTER UPDATE ON short_links
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tally_clicks()
"""
# The trigger's lock keeps clicks out until what there is has been counted.
COUNT = """
INSERT INTO click_tallies (campaign_id, position, clicks, unique_clicks, first_clicks)
SELECT campaign_id, position, sum(clicks), count(*), count(*) FILTER (WHERE place = 1) FROM (
    SELECT campaign_id, position, clicks,
        row_number() OVER (PARTITION BY message_id ORDER BY first_clicked_at, position) AS place
    FROM short_links WHERE campaign_id IS NOT NULL AND clicks > 0
) AS clicked GROUP BY campaign_id, position
"""
DROP = "DROP TRIGGER short_links_clicked ON short_links; DROP FUNCTION tally_clicks()"


class Migration(migrations.Migration):
    """Adds the tallies and the trigger that keeps them, and counts the clicks there are."""

    dependencies = [("msvs", "0058_short_links")]

    initial = False

    operations = [
        ops.RunSQL(TABLE, "DROP TABLE click_tallies"),
        ops.RunSQL(TALLY, "SELECT 1"),
        ops.RunSQL(TRIGGER, DROP),
        ops.RunSQL(COUNT, "SELECT 1"),
    ]
