"""A message that an operation is about to write."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from msvs.api.resources import MessageResource
from msvs.api.text.sms import Encoding
from msvs.models import MessageStatus, OnUnknown
from msvs.models.messages import KeptWarning, MetadataValue


class NewLink(NamedTuple):
    """A short link of a message that is about to be written: its code, its place in the body, and where it leads."""

    code: str
    position: int
    url: str


@dataclass(slots=True)
class NewMessage:
    """A message that is about to be written; it has the attributes of its row."""

    id: UUID
    workspace_id: UUID
    livemode: bool
    kind: str
    campaign_id: UUID | None
    contact_id: UUID | None
    to_phone: str
    sender: str
    metadata: dict[str, MetadataValue]
    created_at: datetime
    due_at: datetime
    scheduled_at: datetime | None = None
    expires_at: datetime | None = None
    body: str = ""
    encoding: str = Encoding.GSM7.value
    segments: int = 0
    price: int = 1
    credits_used: int = 0
    status: str = MessageStatus.QUEUED.value
    error_code: str | None = None
    delivery: str | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    failed_at: datetime | None = None
    canceled_at: datetime | None = None
    replied_at: datetime | None = None
    warnings: list[KeptWarning] | None = None
    on_unknown: str = OnUnknown.NEVER.value
    is_by_user: bool = False
    variant: int | None = None
    links: tuple[NewLink, ...] = ()
    # The traceparent of its request, where that is traced.
    trace: str | None = None
    # What its event shows of it, once that is written.
    shown: MessageResource | None = None

    @property
    def cost(self) -> int:
        """What it costs, in credits."""
        return self.segments * self.price
