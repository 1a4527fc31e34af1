"""Find the messages that a contact was sent since a time."""

from __future__ import annotations

from datetime import datetime, timedelta

from msvs import present
from msvs.api.dispatch.open_months import IdRange
from msvs.api.ids import id_at

# What is handed over later than this after it was made is found by an index of its own (messages_handed_late).
PROMPT = timedelta(days=1)
# Clocks differ by less.
MARGIN = timedelta(days=1)

# The contact's messages that a carrier has, or may have. An automatic answer counts as none. Each part reads its own
# index: what was made lately, by its id, and what waited long, which is little.
SINCE = """
SELECT m.kind, m.handed_at FROM messages AS m
WHERE m.contact_id = {contact} AND {recent} AND m.handed_at >= {since} AND m.kind <> 'auto'
    AND (m.sent_at IS NOT NULL OR m.status = 'sending')
UNION ALL
SELECT m.kind, m.handed_at FROM messages AS m
WHERE m.contact_id = {contact} AND {older} AND m.handed_at >= {since} AND m.kind <> 'auto'
    AND m.handed_at - m.created_at > interval '1 day' AND (m.sent_at IS NOT NULL OR m.status = 'sending')
"""


def messages_since(contact: str, since: datetime, parameter: str) -> str:
    """Return a query for the kind and time of each message that was handed over to a contact since a time.

    `contact` is the column or value of its id, and `parameter` stands for the time.
    """
    if present.moment() is not None:
        # Ids are made by the real time, which that of a sandbox with a clock runs ahead of.
        return SINCE.format(contact=contact, since=parameter, recent="true", older="false")
    day = (since - PROMPT - MARGIN).replace(hour=0, minute=0, second=0, microsecond=0)
    return SINCE.format(
        contact=contact, since=parameter, recent=IdRange(day).of("m"), older=f"m.id < '{id_at(day)}'::uuid"
    )
