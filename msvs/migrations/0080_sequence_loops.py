"""An answer to a message of a sequence lets nobody in who was in the sequence before.

Phones answer by themselves, and scanners follow links: with `may_reenter`, such an answer would bring the next message,
and so on without an end. Of two sequences that lead to each other, too.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops

ENTER = """
CREATE OR REPLACE FUNCTION enter_by_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sequence_entries (workspace_id, livemode, sequence_id, contact_id, entered_by)
    SELECT allowed.workspace_id, allowed.livemode, allowed.sequence_id, named.contact_id, 'event'
    FROM sequence_triggers AS allowed CROSS JOIN LATERAL (
        SELECT NEW.resource_id AS contact_id{no_campaign} WHERE NEW.type LIKE 'contact.%'
        UNION ALL
        SELECT contact_id{campaign} FROM messages WHERE NEW.type LIKE 'message.%' AND messages.id = NEW.resource_id
    ) AS named
    WHERE allowed.kind = 'event' AND allowed.value = NEW.type AND allowed.workspace_id = NEW.workspace_id
        AND allowed.livemode = NEW.livemode AND named.contact_id IS NOT NULL{but};
    RETURN NULL;
END $$;
"""
BUT = """
        AND NOT (
            EXISTS (SELECT FROM campaigns WHERE campaigns.id = named.campaign_id AND campaigns.sequence_id IS NOT NULL)
            AND EXISTS (
                SELECT FROM sequence_enrollments AS past
                WHERE past.sequence_id = allowed.sequence_id AND past.contact_id = named.contact_id
            )
        )"""
GUARDED = ENTER.format(no_campaign=", NULL::uuid AS campaign_id", campaign=", messages.campaign_id", but=BUT)
BEFORE = ENTER.format(no_campaign="", campaign="", but="")


class Migration(migrations.Migration):
    """Replaces the function."""

    dependencies = [("msvs", "0079_traces")]

    initial = False

    operations = [ops.RunSQL(GUARDED, BEFORE)]
