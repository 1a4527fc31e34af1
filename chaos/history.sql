-- What the checker holds the events against: every change of a message and a campaign, noted by the database itself.
-- `began` and `at` are PostgreSQL's own clock: when the changing transaction began, and when it changed the row.

CREATE TABLE chaos_messages (
    id bigint GENERATED ALWAYS AS IDENTITY,
    message_id uuid NOT NULL,
    was varchar,
    became varchar NOT NULL,
    claim_token uuid,
    delivered boolean NOT NULL,
    began timestamptz NOT NULL DEFAULT transaction_timestamp(),
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE chaos_campaigns (
    id bigint GENERATED ALWAYS AS IDENTITY,
    campaign_id uuid NOT NULL,
    was varchar,
    became varchar NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE FUNCTION chaos_message_made() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_messages (message_id, became, claim_token, delivered)
    SELECT id, status, claim_token, delivered_at IS NOT NULL FROM new_rows;
    RETURN NULL;
END $$;

CREATE FUNCTION chaos_message_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_messages (message_id, was, became, claim_token, delivered)
    SELECT fresh.id, earlier.status, fresh.status, fresh.claim_token,
        fresh.delivered_at IS NOT NULL AND earlier.delivered_at IS NULL
    FROM new_rows AS fresh JOIN old_rows AS earlier USING (id)
    WHERE earlier.status <> fresh.status OR earlier.claim_token IS DISTINCT FROM fresh.claim_token
        OR earlier.delivered_at IS DISTINCT FROM fresh.delivered_at;
    RETURN NULL;
END $$;

CREATE FUNCTION chaos_campaign_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_campaigns (campaign_id, was, became)
    VALUES (NEW.id, CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, NEW.status);
    RETURN NULL;
END $$;

CREATE TRIGGER chaos_made AFTER INSERT ON messages REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION chaos_message_made();
CREATE TRIGGER chaos_changed AFTER UPDATE ON messages REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION chaos_message_changed();
CREATE TRIGGER chaos_campaign_made AFTER INSERT ON campaigns
    FOR EACH ROW EXECUTE FUNCTION chaos_campaign_changed();
CREATE TRIGGER chaos_campaign_changed AFTER UPDATE ON campaigns
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION chaos_campaign_changed();
