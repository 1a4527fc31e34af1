"""Add the last seven digits of a phone, which find its messages in every spelling of the number.

No spelling of a number, former or foreign, with or without plus, zeros and punctuation, differs there. Two phones that
have them in common wait for each other, which hurts neither.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops

from msvs.migrations._indexes import CreateIndexConcurrently

TAIL = r"""
CREATE OR REPLACE FUNCTION phone_tail(written varchar) RETURNS varchar LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(nullif(right(regexp_replace(
        regexp_replace(normalize(written, NFKC), '(@|;|/TYPE=).*$', '', 'i'), '[^0-9]', '', 'g'
    ), 7), ''), written)
$$
"""


class Migration(migrations.Migration):
    """Adds the function and its indexes."""

    atomic = False

    dependencies = [("msvs", "0020_warnings")]
    initial = False

    operations = [
        ops.RunSQL(TAIL, "DROP FUNCTION phone_tail(varchar)"),
        CreateIndexConcurrently(
            "virtual_signals_tail",
            "virtual_signals",
            "(workspace_id, livemode, phone_tail(phone), due_at, id) WHERE kind = 'inbound'",
        ),
        CreateIndexConcurrently(
            "carrier_signals_tail",
            "carrier_signals",
            "(phone_tail(from_phone), received_at, id) WHERE kind = 'inbound'",
        ),
    ]
