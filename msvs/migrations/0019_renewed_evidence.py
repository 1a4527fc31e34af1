"""Whether evidence was renewed, as a part of the chain of consent."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

# Of a row that does not say it, the hash is what it was: a time is never one of these words.
HASH = """
    CREATE OR REPLACE FUNCTION consent_hash(entry consent_events) RETURNS text LANGUAGE sql IMMUTABLE AS $$
        SELECT encode(sha256(convert_to(canonical_text(VARIADIC ARRAY[
            entry.previous_hash, entry.sequence::text, entry.id::text, entry.workspace_id::text,
            CASE WHEN entry.livemode THEN 'live' ELSE 'test' END, entry.phone_hash, entry.contact_id::text,
            entry.status, entry.source, entry.actor, ((extract(epoch FROM entry.created_at) * 1000000)::bigint)::text,
            entry.version, entry.details_hash
        ]::text[] || CASE WHEN entry.given_at IS NULL THEN ARRAY[]::text[]
            ELSE ARRAY[((extract(epoch FROM entry.given_at) * 1000000)::bigint)::text] END
        || CASE WHEN entry.is_renewed IS NULL THEN ARRAY[]::text[] ELSE ARRAY[entry.is_renewed::text] END
        ), 'UTF8')), 'hex')
    $$
"""


class Migration(migrations.Migration):
    """Adds the column; null in every row, so that nothing is rewritten."""

    dependencies = [("msvs", "0018_inbound_order")]
    initial = False

    operations = [
        ops.AddField(model_name="ConsentEvent", name="is_renewed", field=fields.BooleanField(null=True)),
        ops.RunSQL([HASH]),
    ]
