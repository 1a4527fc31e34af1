"""When evidence was given, as a part of the chain of consent, and what is left to put right in it."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

# Of a row without the time, the hash is what it was: one list of parts is not the beginning of another's text.
HASH = """
    CREATE OR REPLACE FUNCTION consent_hash(entry consent_events) RETURNS text LANGUAGE sql IMMUTABLE AS $$
        SELECT encode(sha256(convert_to(canonical_text(VARIADIC ARRAY[
            entry.previous_hash, entry.sequence::text, entry.id::text, entry.workspace_id::text,
            CASE WHEN entry.livemode THEN 'live' ELSE 'test' END, entry.phone_hash, entry.contact_id::text,
            entry.status, entry.source, entry.actor, ((extract(epoch FROM entry.created_at) * 1000000)::bigint)::text,
            entry.version, entry.details_hash
        ]::text[] || CASE WHEN entry.given_at IS NULL THEN ARRAY[]::text[]
            ELSE ARRAY[((extract(epoch FROM entry.given_at) * 1000000)::bigint)::text] END
        ), 'UTF8')), 'hex')
    $$
"""

# Opt-outs that old evidence undid are put back by `msvs migrate`: an entry of the chain takes the key, which the
# database has not.
DUE = """
    INSERT INTO repairs (name, requested_at)
    SELECT 'opt_outs_undone', now() WHERE EXISTS (SELECT FROM consent_events)
"""


class Migration(migrations.Migration):
    """Adds the column and the table, and notes that opt-outs are to be put back."""

    dependencies = [("msvs", "0007_signal_indexes")]
    initial = False

    operations = [
        ops.AddField(
            model_name="ConsentEvent",
            name="given_at",
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.CreateModel(
            name="Repair",
            fields=[
                ("name", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=40)),
                ("requested_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("done_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("changed_count", fields.IntField(null=True)),
            ],
            options={
                "table": "repairs",
                "app": "msvs",
                "pk_attr": "name",
                "table_description": "A repair that a migration asks for, and what came of it; `done_at` is null while it is due.",
            },
            bases=["Model"],
        ),
        ops.RunSQL([HASH, DUE]),
    ]
