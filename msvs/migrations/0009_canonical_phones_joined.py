"""Contacts and suppressions that are one phone's under two spellings become one.

The oldest contact stays, under its number, with the strictest consent of all of them; what it lacks it gets from the
others, and their lists, messages, threads and places in audiences are its own from then on. The history of consent is
not touched: it is found by every spelling. Of suppressions the oldest stays.
"""

from collections.abc import Sequence
from uuid import UUID

import structlog
from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.constraints import UniqueConstraint

from msvs.database import execute, fetch
from msvs.models.identity import new_id

log = structlog.get_logger(__name__)

FILL = [
    # Reads go on; who writes waits until nothing is double.
    "LOCK TABLE contacts, suppressions, list_members IN SHARE ROW EXCLUSIVE MODE",
    "UPDATE contacts SET canonical = canonical_phone(phone) WHERE canonical <> canonical_phone(phone)",
    "UPDATE suppressions SET canonical = canonical_phone(phone) WHERE canonical <> canonical_phone(phone)",
]

FIND = """
CREATE TEMPORARY TABLE joined_contacts ON COMMIT DROP AS
SELECT * FROM (
    SELECT id, workspace_id, livemode, first_value(id) OVER whole AS winner_id,
        first_value(phone) OVER whole AS winner_phone
    FROM contacts WHERE (workspace_id, livemode, canonical) IN (
        SELECT workspace_id, livemode, canonical FROM contacts GROUP BY 1, 2, 3 HAVING count(*) > 1
    )
    WINDOW whole AS (PARTITION BY workspace_id, livemode, canonical ORDER BY created_at, id)
) AS doubles WHERE id <> winner_id
"""

# What is not known of the oldest is taken from the next.
UNITE = """
WITH members AS (
    SELECT DISTINCT winner_id, winner_id AS id FROM joined_contacts UNION SELECT winner_id, id FROM joined_contacts
), said AS (
    SELECT winner_id, {first} FROM members JOIN contacts USING (id) GROUP BY winner_id
), kept AS (
    SELECT winner_id, jsonb_object_agg(attribute.key, attribute.value ORDER BY created_at DESC, id DESC) AS attributes
    FROM members JOIN contacts USING (id), jsonb_each(attributes) AS attribute GROUP BY winner_id
), strictest AS (
    SELECT DISTINCT ON (winner_id) winner_id, opt_in_status, opt_in_source, opt_in_ip, opt_in_at
    FROM members JOIN contacts USING (id)
    ORDER BY winner_id, array_position(ARRAY['opted_out', 'pending', 'unknown', 'opted_in'], opt_in_status::text),
        opt_in_at DESC NULLS LAST, created_at, id
)
UPDATE contacts SET {values}, attributes = coalesce(kept.attributes, contacts.attributes),
    opt_in_status = strictest.opt_in_status, opt_in_source = strictest.opt_in_source,
    opt_in_ip = strictest.opt_in_ip, opt_in_at = strictest.opt_in_at, updated_at = now()
FROM said JOIN strictest USING (winner_id) LEFT JOIN kept USING (winner_id) WHERE contacts.id = said.winner_id
"""
FIELDS = ("first_name", "last_name", "email", "timezone")
UNITED = UNITE.format(
    first=", ".join(
        f"(array_agg({name} ORDER BY created_at, id) FILTER (WHERE {name} IS NOT NULL))[1] AS {name}" for name in FIELDS
    ),
    values=", ".join(f"{name} = said.{name}" for name in FIELDS),
)

# A STOP under one spelling is a STOP of the phone. Who is pending awaits an answer while suppressed, as ever.
STOP = """
UPDATE contacts SET opt_in_status = 'opted_out', opt_in_source = stop.source, opt_in_ip = NULL,
    opt_in_at = stop.created_at, updated_at = now()
FROM (
    SELECT DISTINCT ON (workspace_id, livemode, canonical) * FROM suppressions
    ORDER BY workspace_id, livemode, canonical, created_at, id
) AS stop
WHERE contacts.workspace_id = stop.workspace_id AND contacts.livemode = stop.livemode
    AND contacts.canonical = stop.canonical AND contacts.opt_in_status IN ('unknown', 'opted_in') AND EXISTS (
        SELECT FROM suppressions AS other WHERE other.workspace_id = stop.workspace_id
            AND other.livemode = stop.livemode AND other.canonical = stop.canonical AND other.phone <> contacts.phone
    )
"""

# The head of each list's count is kept by triggers.
MOVE = [
    "INSERT INTO list_members (id, list_id, contact_id, created_at)"
    " SELECT DISTINCT ON (list_id, winner_id) gen_random_uuid(), list_id, winner_id, list_members.created_at"
    " FROM list_members JOIN joined_contacts ON joined_contacts.id = contact_id"
    " ORDER BY list_id, winner_id, list_members.created_at ON CONFLICT DO NOTHING",
    "DELETE FROM list_members USING joined_contacts WHERE contact_id = joined_contacts.id",
    "UPDATE messages SET contact_id = winner_id FROM joined_contacts WHERE contact_id = joined_contacts.id",
    "UPDATE inbound_messages SET contact_id = winner_id FROM joined_contacts WHERE contact_id = joined_contacts.id",
    # Of the places that one person has in the audience of a campaign that has begun, one stays.
    """
    WITH places AS (
        DELETE FROM campaign_recipients WHERE contact_id IN (
            SELECT id FROM joined_contacts UNION SELECT winner_id FROM joined_contacts
        ) RETURNING campaign_id, phone, contact_id
    )
    INSERT INTO campaign_recipients (campaign_id, phone, contact_id)
    SELECT DISTINCT campaign_id, coalesce(winner_phone, phone), coalesce(winner_id, contact_id)
    FROM places LEFT JOIN joined_contacts ON joined_contacts.id = contact_id
    """,
]

# A contact's own number goes before the other that was suppressed at the same time.
SUPPRESSIONS = """
DELETE FROM suppressions USING (
    SELECT suppressions.id, row_number() OVER (
        PARTITION BY suppressions.workspace_id, suppressions.livemode, suppressions.canonical
        ORDER BY suppressions.created_at, contacts.id IS NULL, suppressions.id
    ) AS place
    FROM suppressions LEFT JOIN contacts ON contacts.workspace_id = suppressions.workspace_id
        AND contacts.livemode = suppressions.livemode AND contacts.phone = suppressions.phone
) AS placed WHERE suppressions.id = placed.id AND placed.place > 1
"""

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def _public(id: UUID) -> str:
    """Return the public id of a contact."""
    return "con_" + "".join(ALPHABET[id.int >> shift & 31] for shift in range(125, -5, -5))


async def _rename(workspace_id: UUID, livemode: bool, others: Sequence[UUID], winner: UUID) -> None:
    """Put a contact in the place of others in the audiences of campaigns, and write down that they were joined."""
    names, name = [_public(id) for id in others], _public(winner)
    for row in await fetch(
        "SELECT id, audience FROM campaigns WHERE workspace_id = $1 AND livemode = $2"
        " AND audience -> 'contact_ids' ?| $3::text[] ORDER BY id FOR NO KEY UPDATE",
        workspace_id,
        livemode,
        names,
    ):
        audience: dict[str, list[str]] = dict(row.audience)
        audience["contact_ids"] = list(dict.fromkeys(name if id in names else id for id in audience["contact_ids"]))
        await execute("UPDATE campaigns SET audience = $2::jsonb WHERE id = $1", row.id, audience)
    await execute(
        "INSERT INTO audit_entries (id, workspace_id, actor, action, resource_id, changes, created_at)"
        " VALUES ($1, $2, 'migration', 'contact.joined', $3, $4::jsonb, now())",
        new_id(),
        workspace_id,
        name,
        {"livemode": livemode, "joined": names},
    )


async def join(*_: object) -> None:
    """Fill the column and join what is double, in the current transaction; again, it changes nothing."""
    for statement in FILL:
        await execute(statement)
    await execute(FIND)
    await execute(UNITED)
    await execute(STOP)
    for statement in MOVE:
        await execute(statement)
    contacts = 0
    for row in await fetch(
        "SELECT workspace_id, livemode, winner_id, array_agg(id ORDER BY id) AS others FROM joined_contacts"
        " GROUP BY 1, 2, 3 ORDER BY 3"
    ):
        await _rename(row.workspace_id, row.livemode, row.others, row.winner_id)
        contacts += len(row.others)
    await execute("DELETE FROM contacts USING joined_contacts WHERE contacts.id = joined_contacts.id")
    await execute(SUPPRESSIONS)
    await execute("DROP TABLE joined_contacts")
    if contacts:
        log.warning("contacts of one phone joined", contacts=contacts)


class Migration(migrations.Migration):
    """Fills the numbers in, joins doubles, and lets no new one be made."""

    dependencies = [("msvs", "0009_canonical_phones")]
    initial = False

    operations = [
        ops.RunPython(join),
        *(
            ops.AddConstraint(model, UniqueConstraint(fields=("workspace_id", "livemode", "canonical"), name=None))
            for model in ("Contact", "Suppression")
        ),
    ]
