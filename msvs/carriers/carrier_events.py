"""Store carrier events at once; the reports queue applies them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from msvs.carriers.protocol import CarrierEvent, Inbound, Report
from msvs.database import execute
from msvs.models import CARRIER_GARBLED, CARRIER_OPTED_OUT, CarrierEventKind
from msvs.models.identity import new_id

# The same report or message brought again changes nothing.
KEEP = """
INSERT INTO carrier_signals (id, carrier, kind, dedupe_key, message_id, carrier_ref, is_delivered, error_code,
    from_phone, to_sender, text, part_ref, part_number, part_count, tries, received_at, due_at)
SELECT incoming.id, $1, incoming.kind, incoming.dedupe_key, incoming.message_id, incoming.carrier_ref,
    incoming.is_delivered, incoming.error_code, incoming.from_phone, incoming.to_sender, incoming.text,
    incoming.part_ref, incoming.part_number, incoming.part_count, 0, clock_timestamp(), clock_timestamp()
FROM unnest($2::uuid[], $3::varchar[], $4::varchar[], $5::uuid[], $6::varchar[], $7::bool[], $8::varchar[],
    $9::varchar[], $10::varchar[], $11::text[], $12::varchar[], $13::smallint[], $14::smallint[])
    AS incoming (id, kind, dedupe_key, message_id, carrier_ref, is_delivered, error_code, from_phone, to_sender, text,
        part_ref, part_number, part_count)
ON CONFLICT (carrier, dedupe_key) DO NOTHING
"""


MAX_KEY = 200
MAX_REF = 100
MAX_PART_REF = 40
MAX_ADDRESS = 40
MAX_CODE = 40


def fit(text: str, most: int) -> str:
    """Return a carrier's own name for something, as it can be kept.

    What is longer than `most` gets a digest for its end.

    The same name is always kept as the same, and two different ones as different.
    """
    clean = keepable(text)
    if len(clean) <= most:
        return clean
    return clean[: most - 33] + "~" + hashlib.blake2b(clean.encode(), digest_size=16).hexdigest()


def keepable(text: str) -> str:
    """Return a text without what PostgreSQL cannot hold: NUL is left out, and half a surrogate pair is replaced."""
    return text.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _code(incoming: CarrierEvent) -> str | None:
    if isinstance(incoming, Inbound):
        return CARRIER_OPTED_OUT if incoming.is_opt_out else CARRIER_GARBLED if incoming.is_garbled else None
    return incoming.error_code and incoming.error_code[:MAX_CODE]


async def keep_carrier_events(carrier: str, carrier_events: Sequence[CarrierEvent]) -> int:
    """Write what a carrier brought, once by its key.

    Return how many were new. Notify the reports queue after COMMIT.
    """
    if not carrier_events:
        return 0
    reports = [carrier_event if isinstance(carrier_event, Report) else None for carrier_event in carrier_events]
    inbound = [carrier_event if isinstance(carrier_event, Inbound) else None for carrier_event in carrier_events]
    return await execute(
        KEEP,
        carrier,
        [new_id() for _ in carrier_events],
        [
            CarrierEventKind.REPORT if isinstance(carrier_event, Report) else CarrierEventKind.INBOUND
            for carrier_event in carrier_events
        ],
        [fit(carrier_event.dedupe_key, MAX_KEY) for carrier_event in carrier_events],
        [report and report.message_id for report in reports],
        [report and report.carrier_ref and fit(report.carrier_ref, MAX_REF) for report in reports],
        [report and report.is_delivered for report in reports],
        [_code(carrier_event) for carrier_event in carrier_events],
        [message and fit(message.from_phone, MAX_ADDRESS) for message in inbound],
        [message and fit(message.to_sender, MAX_ADDRESS) for message in inbound],
        [keepable(message.text) if message else "" for message in inbound],
        [message and message.part_ref and fit(message.part_ref, MAX_PART_REF) for message in inbound],
        [message and message.part_number for message in inbound],
        [carrier_event.part_count for carrier_event in carrier_events],
    )
