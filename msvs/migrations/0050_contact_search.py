r"""Index contacts for search: parts of names, e-mail addresses and phones, attributes, status and time of change.

`contact_grams` returns a hash of each three-letter part of a contact's names and e-mail address, and of each four-digit
part of its phone. The hashes are seeded with workspace and mode, so that one index is selective even for a small
workspace, without an extension. `contact_attributes` nests attributes under workspace and mode for the same reason.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops

from msvs.migrations._indexes import CreateIndexConcurrently

# VACUUM and ANALYZE run these functions without a search path, so none of them may call another.
FOLD = r"""
    IF octet_length(folded) <> char_length(folded) THEN
        folded := regexp_replace(normalize(folded, NFKD), '[\u0300-\u036f]', '', 'g');
    END IF;
    folded := lower(folded);
"""
GRAMS = """
    FOREACH word IN ARRAY string_to_array({written}, ' ') LOOP
        FOR place IN 1 .. length(word) - {size} + 1 LOOP
            found := found || hashtextextended(substr(word, place, {size}), seed);
        END LOOP;
    END LOOP;
"""
NAMES = "coalesce(first_name, '') || ' ' || coalesce(last_name, '') || ' ' || coalesce(email, '')"
SEED = "hashtextextended(workspace_id::text, livemode::int)"
FUNCTIONS = [
    f"""
CREATE OR REPLACE FUNCTION search_fold(written text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    folded text := written;
BEGIN
    {FOLD}
    RETURN folded;
END $$
""",
    f"""
CREATE OR REPLACE FUNCTION contact_text(first_name varchar, last_name varchar, email varchar) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    folded text := {NAMES};
BEGIN
    {FOLD}
    RETURN folded;
END $$
""",
    f"""
CREATE OR REPLACE FUNCTION search_grams(written text, size int, workspace_id uuid, livemode bool) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    found bigint[] := '{{}}';
    seed bigint := {SEED};
    word text;
BEGIN
    {GRAMS.format(written="written", size="size")}
    RETURN found;
END $$
""",
    f"""
CREATE OR REPLACE FUNCTION contact_grams(
    workspace_id uuid, livemode bool, first_name varchar, last_name varchar, email varchar, phone varchar,
    canonical varchar
) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 2000 AS $$
DECLARE
    found bigint[] := '{{}}';
    seed bigint := {SEED};
    folded text := {NAMES};
    digits text := substr(phone, 2);
    word text;
BEGIN
    {FOLD}
    {GRAMS.format(written="folded", size=3)}
    IF canonical <> phone THEN
        digits := digits || ' ' || substr(canonical, 2);
    END IF;
    {GRAMS.format(written="digits", size=4)}
    RETURN found;
END $$
""",
    """
CREATE OR REPLACE FUNCTION contact_attributes(workspace_id uuid, livemode bool, attributes jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 500 AS $$
BEGIN
    RETURN jsonb_build_object(workspace_id::text || livemode::text, attributes);
END $$
""",
]
DROP = [
    "DROP FUNCTION contact_attributes(uuid, bool, jsonb)",
    "DROP FUNCTION contact_grams(uuid, bool, varchar, varchar, varchar, varchar, varchar)",
    "DROP FUNCTION search_grams(text, int, uuid, bool)",
    "DROP FUNCTION contact_text(varchar, varchar, varchar)",
    "DROP FUNCTION search_fold(text)",
]


class Migration(migrations.Migration):
    """Adds the search functions and indexes."""

    atomic = False

    dependencies = [("msvs", "0049_syncs")]
    initial = False

    operations = [
        ops.RunSQL(FUNCTIONS, DROP),
        CreateIndexConcurrently(
            "contacts_search",
            "contacts",
            "USING gin (contact_grams(workspace_id, livemode, first_name, last_name, email, phone, canonical),"
            " contact_attributes(workspace_id, livemode, attributes) jsonb_path_ops)",
        ),
        CreateIndexConcurrently("contacts_status", "contacts", "(workspace_id, livemode, opt_in_status, id)"),
        CreateIndexConcurrently("contacts_updated", "contacts", "(workspace_id, livemode, updated_at, id)"),
    ]
