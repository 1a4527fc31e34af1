"""What the models cannot say: partial indexes, counters kept by triggers, append-only tables."""

from tortoise import migrations
from tortoise.migrations import operations as ops

INDEXES = [
    # One message a phone in a campaign, whatever resumes or races.
    "CREATE UNIQUE INDEX messages_campaign_recipient ON messages (campaign_id, to_phone) WHERE campaign_id IS NOT NULL",
    "CREATE INDEX messages_campaign ON messages (campaign_id, id) WHERE campaign_id IS NOT NULL",
    "CREATE INDEX messages_contact ON messages (contact_id, id) WHERE contact_id IS NOT NULL",
    # The two kinds of lane that dispatch claims from.
    "CREATE INDEX messages_single_lane ON messages (workspace_id, livemode, due_at, id)"
    " WHERE status = 'queued' AND campaign_id IS NULL",
    "CREATE INDEX messages_campaign_lane ON messages (campaign_id, due_at, id)"
    " WHERE status = 'queued' AND campaign_id IS NOT NULL",
    "CREATE INDEX messages_scheduled ON messages (due_at) WHERE status = 'scheduled'",
    "CREATE INDEX messages_leased ON messages (lease_until) WHERE status = 'sending'",
    "CREATE INDEX messages_unreported ON messages (sent_at) WHERE status = 'sent' AND delivery IS NULL",
    "CREATE INDEX messages_waiting_phone ON messages (to_phone) WHERE status IN ('queued', 'scheduled')",
    "CREATE INDEX messages_opted_out ON messages (campaign_id) WHERE opted_out",
    "CREATE INDEX ledger_entries_purchases ON ledger_entries (workspace_id, id) WHERE kind IN ('grant', 'purchase')",
    "CREATE INDEX campaigns_active ON campaigns (status) WHERE status IN ('scheduled', 'preparing', 'sending', 'paused')",
    "CREATE INDEX contacts_email ON contacts (workspace_id, livemode, lower(email))",
    "CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, next_attempt_at, id) WHERE state = 'pending'",
    "ALTER TABLE credit_balances ADD CONSTRAINT credit_balances_not_negative CHECK (balance >= 0)",
    "ALTER TABLE messages SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02,"
    " autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02)",
    "ALTER TABLE webhook_deliveries SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02)",
]

TABLES = [
    # Who a started campaign is yet to be expanded to: deleting a row and making its message are one transaction.
    """
    CREATE TABLE campaign_recipients (
        campaign_id uuid NOT NULL,
        phone varchar(16) NOT NULL,
        contact_id uuid NOT NULL,
        PRIMARY KEY (campaign_id, phone)
    )
    """,
    # Credits used a day, so that the runway costs 30 rows and not a month of ledger.
    """
    CREATE TABLE credit_usage (
        workspace_id uuid NOT NULL,
        day date NOT NULL,
        credits bigint NOT NULL,
        PRIMARY KEY (workspace_id, day)
    )
    """,
]

# Deltas are only ever inserted, so that workers never wait for each other on a counter; maintenance folds them.
TALLIES = [
    """
    CREATE TABLE campaign_tallies (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        campaign_id uuid NOT NULL,
        status varchar(10) NOT NULL,
        messages bigint NOT NULL,
        credits bigint NOT NULL
    )
    """,
    "CREATE INDEX campaign_tallies_campaign ON campaign_tallies (campaign_id)",
    # A message whose report never came is terminal, and counted apart from one whose report may yet come.
    """
    CREATE FUNCTION tally_status(status varchar, delivery varchar) RETURNS varchar LANGUAGE sql IMMUTABLE AS $$
        SELECT CASE WHEN status = 'sent' AND delivery = 'unknown' THEN 'unreported' ELSE status END
    $$
    """,
    """
    CREATE FUNCTION tally_messages_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO campaign_tallies (campaign_id, status, messages, credits)
        SELECT campaign_id, tally_status(status, delivery), count(*), sum(credits_used)
        FROM new_rows WHERE campaign_id IS NOT NULL GROUP BY 1, 2;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION tally_messages_updated() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO campaign_tallies (campaign_id, status, messages, credits)
        SELECT campaign_id, status, sum(messages), sum(credits)
        FROM (
            SELECT campaign_id, tally_status(status, delivery) AS status, 1 AS messages, credits_used AS credits
            FROM new_rows WHERE campaign_id IS NOT NULL
            UNION ALL
            SELECT campaign_id, tally_status(status, delivery), -1, -credits_used
            FROM old_rows WHERE campaign_id IS NOT NULL
        ) AS moved
        GROUP BY campaign_id, status HAVING sum(messages) <> 0 OR sum(credits) <> 0;
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER messages_inserted AFTER INSERT ON messages REFERENCING NEW TABLE AS new_rows"
    " FOR EACH STATEMENT EXECUTE FUNCTION tally_messages_inserted()",
    "CREATE TRIGGER messages_updated AFTER UPDATE ON messages REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows"
    " FOR EACH STATEMENT EXECUTE FUNCTION tally_messages_updated()",
]

LIST_COUNTS = [
    """
    CREATE FUNCTION count_members_added() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE contact_lists SET contact_count = contact_count + added.n
        FROM (SELECT list_id, count(*) AS n FROM new_rows GROUP BY list_id ORDER BY list_id) AS added
        WHERE contact_lists.id = added.list_id;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION count_members_removed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE contact_lists SET contact_count = contact_count - removed.n
        FROM (SELECT list_id, count(*) AS n FROM old_rows GROUP BY list_id ORDER BY list_id) AS removed
        WHERE contact_lists.id = removed.list_id;
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER list_members_added AFTER INSERT ON list_members REFERENCING NEW TABLE AS new_rows"
    " FOR EACH STATEMENT EXECUTE FUNCTION count_members_added()",
    "CREATE TRIGGER list_members_removed AFTER DELETE ON list_members REFERENCING OLD TABLE AS old_rows"
    " FOR EACH STATEMENT EXECUTE FUNCTION count_members_removed()",
]

APPEND_ONLY = [
    """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
    END $$
    """,
    *(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        for table in ("ledger_entries", "consent_events", "virtual_submissions")
    ),
]


class Migration(migrations.Migration):
    """Adds the guards."""

    dependencies = [("msvs", "0001_initial")]
    initial = False

    operations = [ops.RunSQL([*INDEXES, *TABLES, *TALLIES, *LIST_COUNTS, *APPEND_ONLY])]
