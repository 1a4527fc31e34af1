"""What is posted to an endpoint: an event or a batch of them, and the headers that say which it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from msvs.api.resources import EventBatchResource, event_resource
from msvs.api.webhooks.deliveries import ClaimedDelivery
from msvs.api.webhooks.sequences import numbered_event_resource

BATCH_PREFIX = "bat_"


@dataclass(frozen=True, slots=True)
class Content:
    """The body of a post, its id, and the headers that do not depend on its time."""

    id: str
    body: bytes
    headers: Mapping[str, str]


def content_of(claimed: Sequence[ClaimedDelivery]) -> Content:
    """Return what deliveries to one endpoint say: one event, or a batch where its endpoint takes batches.

    The same events make the same body and id at every attempt.
    """
    claimed = sorted(claimed, key=lambda row: row.sequence)
    events = [numbered_event_resource(row) for row in claimed]
    first = claimed[0]
    if first.batch_size is None:
        event = event_resource(first)
        id, body = event.id, msgspec.json.encode(event)
    else:
        id = BATCH_PREFIX + sha256(" ".join(event.id for event in events).encode()).hexdigest()[:32]
        body = msgspec.json.encode(EventBatchResource(id=id, livemode=first.livemode, data=events))
    headers = {
        "MSVS-Event-Id": ",".join(event.id for event in events),
        "MSVS-Delivery-Attempt": str(max(row.attempt_count for row in claimed)),
        "MSVS-Sequence": ",".join(str(row.sequence) for row in claimed),
    }
    if first.replay:
        headers["MSVS-Replay"] = "true"
    return Content(id, body, headers)
