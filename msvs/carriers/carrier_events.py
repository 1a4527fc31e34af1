"""What carriers bring is kept at once, and applied by the reports queue."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from msvs.carriers.protocol import Inbound, Report, Signal
from msvs.database import execute
from msvs.models import SIGNAL_GARBLED, SIGNAL_OPTED_OUT, SignalKind
from msvs.models.identity import new_id

# The same report or message brought again changes nothing.
KEEP = """
INSERT INTO carrier_signals (id, carrier, kind, dedupe_key, message_id, carrier_ref, is_delivered, error_code,
    from_phone, to_sender, text, part_ref, part_number, part_count, tries, received_at, due_at)
SELECT signal.id, $1, signal.kind, signal.dedupe_key, signal.message_id, signal.carrier_ref, signal.is_delivered,
    signal.error_code, signal.from_phone, signal.to_sender, signal.text, signal.part_ref, signal.part_number,
    signal.part_count, 0, clock_timestamp(), clock_timestamp()
FROM unnest($2::uuid[], $3::varchar[], $4::varchar[], $5::uuid[], $6::varchar[], $7::bool[], $8::varchar[],
    $9::varchar[], $10::varchar[], $11::text[], $12::varchar[], $13::smallint[], $14::smallint[])
    AS signal (id, kind, dedupe_key, message_id, carrier_ref, is_delivered, error_code, from_phone, to_sender, text,
        part_ref, part_number, part_count)
ON CONFLICT (carrier, dedupe_key) DO NOTHING
"""


MAX_KEY = 200
MAX_REF = 100
MAX_PART_REF = 40
MAX_ADDRESS = 40
MAX_CODE = 40


def fit(text: str, most: int) -> str:
    """A carrier's own name for something, as it can be kept: what is longer than `most` gets a digest for its end.

    The same name is always kept as the same, and two different ones as different.
    """
    clean = keepable(text)
    if len(clean) <= most:
        return clean
    return clean[: most - 33] + "~" + hashlib.blake2b(clean.encode(), digest_size=16).hexdigest()


def keepable(text: str) -> str:
    """A text without what PostgreSQL cannot hold: NUL is left out, and half a surrogate pair is replaced."""
    return text.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _code(signal: Signal) -> str | None:
    if isinstance(signal, Inbound):
        return SIGNAL_OPTED_OUT if signal.is_opt_out else SIGNAL_GARBLED if signal.is_garbled else None
    return signal.error_code and signal.error_code[:MAX_CODE]


async def keep_signals(carrier: str, signals: Sequence[Signal]) -> int:
    """Write what a carrier brought, once by its key; how many were new. Notify the reports queue after COMMIT."""
    if not signals:
        return 0
    reports = [signal if isinstance(signal, Report) else None for signal in signals]
    inbound = [signal if isinstance(signal, Inbound) else None for signal in signals]
    return await execute(
        KEEP,
        carrier,
        [new_id() for _ in signals],
        [SignalKind.REPORT if isinstance(signal, Report) else SignalKind.INBOUND for signal in signals],
        [fit(signal.dedupe_key, MAX_KEY) for signal in signals],
        [report and report.message_id for report in reports],
        [report and report.carrier_ref and fit(report.carrier_ref, MAX_REF) for report in reports],
        [report and report.is_delivered for report in reports],
        [_code(signal) for signal in signals],
        [message and fit(message.from_phone, MAX_ADDRESS) for message in inbound],
        [message and fit(message.to_sender, MAX_ADDRESS) for message in inbound],
        [keepable(message.text) if message else "" for message in inbound],
        [message and message.part_ref and fit(message.part_ref, MAX_PART_REF) for message in inbound],
        [message and message.part_number for message in inbound],
        [signal.part_count for signal in signals],
    )
