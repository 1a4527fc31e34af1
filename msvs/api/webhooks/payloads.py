"""What is posted to an endpoint: an event or a batch of them, and the headers that say which it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

import msgspec

from msvs.api.resources import EventBatchResource, event_resource
from msvs.api.webhooks.deliveries import ClaimedDelivery
from msvs.api.webhooks.sequences import numbered_event_resource

BATCH_PREFIX = "bat_"
# An event goes to a few endpoints at about the same time.
MOST_MADE = 1000

# Id and data of an event → its id as it is told, and its body.
MadeEvents = dict[tuple[UUID, str], tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Content:
    """The body of a post, its id, and the headers that do not depend on its time."""

    id: str
    body: bytes
    headers: Mapping[str, str]


def content_of(claimed: Sequence[ClaimedDelivery], made: MadeEvents) -> Content:
    """Return what deliveries to one endpoint say: one event, or a batch where its endpoint takes batches.

    The same events make the same body and id at every attempt. `made` keeps what other endpoints are told too.
    """
    if claimed[0].batch_size is None:
        (first,) = claimed
        id, body = _event(first, made)
        event_ids = [id]
    else:
        claimed = sorted(claimed, key=lambda row: row.sequence)
        first = claimed[0]
        events = [numbered_event_resource(row) for row in claimed]
        event_ids = [event.id for event in events]
        id = BATCH_PREFIX + sha256(" ".join(event_ids).encode()).hexdigest()[:32]
        body = msgspec.json.encode(EventBatchResource(id=id, livemode=first.livemode, data=events))
    headers = {
        "MSVS-Event-Id": ",".join(event_ids),
        "MSVS-Delivery-Attempt": str(max(row.attempt_count for row in claimed)),
        "MSVS-Sequence": ",".join(str(row.sequence) for row in claimed),
    }
    if first.replay:
        headers["MSVS-Replay"] = "true"
    return Content(id, body, headers)


def _event(row: ClaimedDelivery, made: MadeEvents) -> tuple[str, bytes]:
    key = (row.id, row.data)
    told = made.get(key)
    if told is None:
        event = event_resource(row)
        if len(made) >= MOST_MADE:
            made.clear()
        told = made[key] = (event.id, msgspec.json.encode(event))
    return told
