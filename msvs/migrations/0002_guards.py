"""What the models cannot say: partitions, partial indexes, counters kept by triggers, append-only tables."""

from tortoise import migrations
from tortoise.migrations import operations as ops

# Parent → storage of its partitions. Ids are UUIDv7, so a range of ids is a range of time.
PARTITIONED = {
    "messages": "fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02,"
    " autovacuum_vacuum_insert_scale_factor = 0.05",
    "message_attempts": "fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05",
    "events": "autovacuum_vacuum_insert_scale_factor = 0.1",
    "webhook_attempts": "autovacuum_vacuum_insert_scale_factor = 0.1",
}
PARTITION_INDEXES = [
    "CREATE INDEX messages_scope ON messages (workspace_id, livemode, id)",
    "CREATE INDEX message_attempts_message ON message_attempts (message_id)",
    "CREATE INDEX events_scope ON events (workspace_id, livemode, id)",
    "CREATE INDEX webhook_attempts_endpoint ON webhook_attempts (endpoint_id, id)",
]


def _partition(table: str, storage: str) -> list[str]:
    """Replace a table, still empty, by one partitioned by id, with a default partition for rows outside every month."""
    return [
        f"ALTER TABLE {table} RENAME TO {table}_plain",
        f"CREATE TABLE {table} (LIKE {table}_plain INCLUDING DEFAULTS INCLUDING COMMENTS) PARTITION BY RANGE (id)",
        f"DROP TABLE {table}_plain",
        f"ALTER TABLE {table} ADD PRIMARY KEY (id)",
        f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT WITH ({storage})",
    ]


PARTITION_FUNCTIONS = [
    """
    CREATE FUNCTION id_floor(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
        SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
    $$
    """,
    """
    CREATE FUNCTION ensure_partition(parent text, storage text, month timestamptz) RETURNS boolean
    LANGUAGE plpgsql SET timezone TO 'UTC' AS $$
    DECLARE
        first timestamptz := date_trunc('month', month);
        child text := parent || to_char(first, '"_"YYYY"_"MM');
    BEGIN
        IF to_regclass(child) IS NOT NULL THEN
            RETURN false;
        END IF;
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L) WITH (%s)',
            child, parent, id_floor(first), id_floor(first + interval '1 month'), storage
        );
        RETURN true;
    END $$
    """,
    "CREATE FUNCTION ensure_partitions() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FILTER (WHERE made) FROM ("
    " SELECT ensure_partition(parent, storage, now() + make_interval(months => ahead)) AS made FROM (VALUES "
    + ", ".join(f"('{table}', '{storage}')" for table, storage in PARTITIONED.items())
    + ") AS tables (parent, storage), generate_series(0, 2) AS ahead) AS months $$",
    """
    CREATE FUNCTION drop_partitions(parent text, kept_months int) RETURNS bigint
    LANGUAGE plpgsql SET timezone TO 'UTC' AS $$
    DECLARE
        child text;
        dropped bigint := 0;
        oldest text := parent || to_char(date_trunc('month', now()) - make_interval(months => kept_months),
                                         '"_"YYYY"_"MM');
    BEGIN
        FOR child IN
            SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = parent::regclass
                AND inhrelid::regclass::text ~ ('^' || parent || '_[0-9]{4}_[0-9]{2}$')
                AND inhrelid::regclass::text < oldest
        LOOP
            EXECUTE format('DROP TABLE %I', child);
            dropped := dropped + 1;
        END LOOP;
        RETURN dropped;
    END $$
    """,
    "SELECT ensure_partitions()",
]

INDEXES = [
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
    # Token buckets of carriers and senders, shared by all workers.
    """
    CREATE TABLE throughput_buckets (
        name varchar(60) PRIMARY KEY,
        tokens double precision NOT NULL,
        refilled_at timestamptz NOT NULL
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

    operations = [
        ops.RunSQL(
            [
                *(statement for table, storage in PARTITIONED.items() for statement in _partition(table, storage)),
                *PARTITION_INDEXES,
                *PARTITION_FUNCTIONS,
                *INDEXES,
                *TABLES,
                *TALLIES,
                *LIST_COUNTS,
                *APPEND_ONLY,
            ]
        )
    ]
