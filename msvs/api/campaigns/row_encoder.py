"""Encode a campaign's message rows and events for COPY; only what differs is encoded for each recipient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from struct import Struct
from uuid import uuid4

import msgspec

from msvs.api import ids
from msvs.api.dispatch.new_messages import NewMessage
from msvs.api.resources import message_resource
from msvs.api.webhooks.events import EVENT_COLUMNS, EventType
from msvs.database import encode_json
from msvs.postgres_values import FieldValue, encode_field, encode_row_head

# What differs from one recipient to the next comes first, so that the rest is one piece.
MESSAGE_COLUMNS = (
    "id",
    "contact_id",
    "to_phone",
    "body",
    "workspace_id",
    "livemode",
    "kind",
    "campaign_id",
    "sender",
    "encoding",
    "segments",
    "credits_used",
    "price",
    "status",
    "error_code",
    "metadata",
    "due_at",
    "expires_at",
    "created_at",
    "on_unknown",
    "opted_out",
    "attempt_count",
)

# Of a campaign with variants; others have one column less to write.
VARIANT_COLUMNS = (*MESSAGE_COLUMNS, "variant")

_length = Struct("!i").pack
_UUID_LENGTH = _length(16)
_LENGTHS = [_length(size) for size in range(65)]


class Text:
    """A body as its row and its event hold it."""

    __slots__ = ("json", "row", "urls")

    def __init__(self, body: str, urls: tuple[str, ...] = ()) -> None:
        """`urls` are where the marked links of the body lead: see `linked`."""
        data = body.encode()
        self.row = _length(len(data)) + data
        self.json = msgspec.json.encode(body)
        self.urls = urls

    def linked(self, marks: Sequence[str], codes: Sequence[str]) -> Text:
        """Return the text with codes in place of the marks, which are as long, so that the rest of the row stands."""
        made = Text.__new__(Text)
        made.row, made.json, made.urls = self.row, self.json, ()
        for mark, code in zip(marks, codes, strict=True):
            old, new = mark.encode(), code.encode()
            made.row = made.row.replace(old, new)
            made.json = made.json.replace(old, new)
        return made


class RowEncoder:
    """The shared parts of a campaign's messages, which differ only in id, contact, phone and body."""

    __slots__ = (
        *("_data", "_data_length", "_event", "_event_head", "_event_tail", "_head", "_tail"),
        *("code", "cost", "due_at", "type"),
    )

    def __init__(self, message: NewMessage, type: EventType, now: datetime) -> None:
        """Prepare the encoder of a new message whose id, contact, phone and body are left aside.

        `type` is its event's.
        """
        self.type = type
        self.code = message.error_code
        self.due_at = message.due_at
        self.cost = message.segments * message.price if message.error_code is None else 0
        row: tuple[FieldValue, ...] = (
            message.workspace_id,
            message.livemode,
            message.kind,
            message.campaign_id,
            message.sender,
            message.encoding,
            message.segments,
            message.credits_used,
            message.price,
            message.status,
            message.error_code,
            b"\x01" + encode_json(dict(message.metadata)).encode(),
            message.due_at,
            message.expires_at,
            message.created_at,
            message.on_unknown,
            False,
            0,
        )
        columns: tuple[str, ...] = MESSAGE_COLUMNS
        if message.variant is not None:
            row, columns = (*row, message.variant), VARIANT_COLUMNS
        self._head = encode_row_head(columns) + _UUID_LENGTH
        self._tail = b"".join(map(encode_field, row))
        self._event_head = encode_row_head(EVENT_COLUMNS) + _UUID_LENGTH
        event: tuple[FieldValue, ...] = (message.workspace_id, message.livemode, type.value)
        self._event = b"".join(map(encode_field, event)) + _UUID_LENGTH
        self._event_tail = encode_field(now)
        self._data = _cut(message)
        self._data_length = sum(map(len, self._data)) + 2 * ids.LENGTH

    def row(self, id: bytes, contact_id: bytes, phone: bytes, text: Text) -> tuple[bytes, ...]:
        """Return the pieces of a message's row."""
        return (
            self._head,
            id,
            _UUID_LENGTH,
            contact_id,
            _LENGTHS[len(phone)],
            phone,
            text.row,
            self._tail,
        )

    def event(
        self, event_id: bytes, id: bytes, public_id: str, contact_id: str, phone: bytes, text: Text
    ) -> tuple[bytes, ...]:
        """Return the pieces of its event's row; `public_id` and `contact_id` without their prefixes."""
        before_id, before_phone, before_body, before_contact, rest = self._data
        json = text.json
        return (
            self._event_head,
            event_id,
            self._event,
            id,
            _length(self._data_length + len(phone) + len(json)),
            before_id,
            public_id.encode(),
            before_phone,
            phone,
            before_body,
            json,
            before_contact,
            contact_id.encode(),
            rest,
            self._event_tail,
        )


def _cut(message: NewMessage) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    """Return the JSON of a message, without its id, phone, body and contact."""
    id, phone, body, contact_id = (uuid4() for _ in range(4))
    marked = replace(message, id=id, to_phone=phone.hex, body=body.hex, contact_id=contact_id)
    data = msgspec.json.encode(message_resource(marked))
    # In the order of the resource's fields; a mark that is missing or stands twice is a ValueError.
    before_id, data = data.split(ids.encode_bare(id.int).encode())
    before_phone, data = data.split(phone.hex.encode())
    before_body, data = data.split(msgspec.json.encode(body.hex))
    before_contact, rest = data.split(ids.encode_bare(contact_id.int).encode())
    return before_id, before_phone, before_body, before_contact, rest
