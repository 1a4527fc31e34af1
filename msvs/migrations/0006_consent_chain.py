"""The chain of consent: each row sealed as it is written, and changed by nothing but its own erasure."""

from tortoise import migrations
from tortoise.migrations import operations as ops

HASHING = [
    # Each part with its length in bytes, so that no two lists of parts have the same text; `-` stands for null.
    """
    CREATE FUNCTION canonical_text(VARIADIC parts text[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$
        SELECT string_agg(coalesce(octet_length(part) || ':' || part, '-'), ',' ORDER BY place)
        FROM unnest(parts) WITH ORDINALITY AS listed (part, place)
    $$
    """,
    """
    CREATE FUNCTION consent_hash(entry consent_events) RETURNS text LANGUAGE sql IMMUTABLE AS $$
        SELECT encode(sha256(convert_to(canonical_text(
            entry.previous_hash, entry.sequence::text, entry.id::text, entry.workspace_id::text,
            CASE WHEN entry.livemode THEN 'live' ELSE 'test' END, entry.phone_hash, entry.contact_id::text,
            entry.status, entry.source, entry.actor, ((extract(epoch FROM entry.created_at) * 1000000)::bigint)::text,
            entry.version, entry.details_hash
        ), 'UTF8')), 'hex')
    $$
    """,
]

# What stood before the chain: its phones have no keyed hash, because the key is not in the database.
ADOPTION = """
    DO $$
    DECLARE
        entry consent_events%ROWTYPE;
        head consent_chains%ROWTYPE;
    BEGIN
        FOR entry IN SELECT * FROM consent_events WHERE hash IS NULL ORDER BY workspace_id, livemode, id LOOP
            IF head.workspace_id IS DISTINCT FROM entry.workspace_id OR head.livemode IS DISTINCT FROM entry.livemode
            THEN
                INSERT INTO consent_chains (id, workspace_id, livemode, sequence, hash)
                    SELECT head.id, head.workspace_id, head.livemode, head.sequence, head.hash
                    WHERE head.id IS NOT NULL;
                head.id := gen_random_uuid();
                head.workspace_id := entry.workspace_id;
                head.livemode := entry.livemode;
                head.sequence := 0;
                head.hash := repeat('0', 64);
            END IF;
            entry.sequence := head.sequence + 1;
            entry.previous_hash := head.hash;
            entry.hash := consent_hash(entry);
            UPDATE consent_events
                SET sequence = entry.sequence, previous_hash = entry.previous_hash, hash = entry.hash
                WHERE id = entry.id;
            head.sequence := entry.sequence;
            head.hash := entry.hash;
        END LOOP;
        INSERT INTO consent_chains (id, workspace_id, livemode, sequence, hash)
            SELECT head.id, head.workspace_id, head.livemode, head.sequence, head.hash WHERE head.id IS NOT NULL;
    END $$
"""

CHAIN = [
    # The head is locked until the writer commits: after contacts and suppressions, before messages and credits.
    """
    CREATE FUNCTION chain_consent() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        head consent_chains%ROWTYPE;
    BEGIN
        LOOP
            SELECT * INTO head FROM consent_chains
                WHERE workspace_id = NEW.workspace_id AND livemode = NEW.livemode FOR UPDATE;
            EXIT WHEN FOUND;
            INSERT INTO consent_chains (id, workspace_id, livemode, sequence, hash)
                VALUES (gen_random_uuid(), NEW.workspace_id, NEW.livemode, 0, repeat('0', 64))
                ON CONFLICT (workspace_id, livemode) DO NOTHING;
        END LOOP;
        -- A process from before the chain may write without hashes until the first that has them.
        IF NEW.phone IS NULL OR NEW.erased_at IS NOT NULL OR (
            (NEW.phone_hash IS NULL OR NEW.details_hash IS NULL) AND EXISTS (
                SELECT FROM consent_events WHERE workspace_id = NEW.workspace_id AND livemode = NEW.livemode
                    AND phone_hash IS NOT NULL
            )
        ) THEN
            RAISE EXCEPTION 'consent_events needs phone, phone_hash and details_hash'
                USING ERRCODE = 'not_null_violation';
        END IF;
        NEW.sequence := head.sequence + 1;
        NEW.previous_hash := head.hash;
        NEW.hash := consent_hash(NEW);
        UPDATE consent_chains SET sequence = NEW.sequence, hash = NEW.hash WHERE id = head.id;
        RETURN NEW;
    END $$
    """,
    "ALTER TABLE consent_chains SET (fillfactor = 50)",
    "DROP TRIGGER consent_events_append_only ON consent_events",
    ADOPTION,
    "CREATE TRIGGER consent_events_chained BEFORE INSERT ON consent_events"
    " FOR EACH ROW EXECUTE FUNCTION chain_consent()",
    "CREATE TRIGGER consent_events_append_only BEFORE DELETE OR TRUNCATE ON consent_events"
    " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
]

# The one change that an append-only row admits: that whom it speaks of is forgotten.
ERASURE = [
    """
    CREATE FUNCTION admit_consent_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        erasable text[] := '{phone,ip,user_agent,text,erased_at}';
    BEGIN
        IF OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL AND NEW.phone IS NULL AND NEW.ip IS NULL
            AND NEW.user_agent IS NULL AND NEW.text IS NULL
            AND to_jsonb(NEW) - erasable = to_jsonb(OLD) - erasable
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
    END $$
    """,
    "CREATE TRIGGER consent_events_erasure BEFORE UPDATE ON consent_events"
    " FOR EACH ROW EXECUTE FUNCTION admit_consent_erasure()",
    """
    CREATE FUNCTION admit_phone_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.to_phone NOT LIKE 'erased:%' AND NEW.to_phone LIKE 'erased:%'
            AND to_jsonb(NEW) - 'to_phone' = to_jsonb(OLD) - 'to_phone'
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
    END $$
    """,
    "DROP TRIGGER virtual_submissions_append_only ON virtual_submissions",
    "CREATE TRIGGER virtual_submissions_append_only BEFORE DELETE ON virtual_submissions"
    " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER virtual_submissions_erasure BEFORE UPDATE ON virtual_submissions"
    " FOR EACH ROW EXECUTE FUNCTION admit_phone_erasure()",
]


class Migration(migrations.Migration):
    """Adds the chain, and erasure to the tables that are append-only."""

    dependencies = [("msvs", "0005_carriers_and_consent")]
    initial = False

    operations = [ops.RunSQL([*HASHING, *CHAIN, *ERASURE])]
