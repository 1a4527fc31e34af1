"""RowEncoders: what they print is what the slow way encodes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from msvs.api import ids
from msvs.api.campaigns.row_encoder import MESSAGE_COLUMNS, RowEncoder, Text
from msvs.api.dispatch.new_messages import NewMessage
from msvs.api.resources import FAILURES, message_resource
from msvs.api.webhooks.events import EVENT_COLUMNS, EventType
from msvs.postgres_values import encode_field, encode_row_head

# PostgreSQL's text holds no NUL and no lone surrogates.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
moments = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
new_messages = st.builds(
    NewMessage,
    id=st.uuids(),
    workspace_id=st.uuids(),
    livemode=st.booleans(),
    kind=st.just("campaign"),
    campaign_id=st.uuids(),
    contact_id=st.uuids(),
    to_phone=st.from_regex(r"\+[1-9][0-9]{1,14}", fullmatch=True),
    sender=texts,
    metadata=st.dictionaries(texts, texts, max_size=3),
    created_at=moments,
    due_at=moments,
    expires_at=st.none() | moments,
    body=texts,
    encoding=st.sampled_from(["gsm7", "ucs2"]),
    segments=st.integers(0, 11),
    status=st.sampled_from(["queued", "skipped"]),
    error_code=st.none() | st.sampled_from(sorted(FAILURES)),
)


@given(new_messages, st.sampled_from(EventType), st.uuids())
def test_a_row_encoder_prints_what_a_draft_and_its_resource_encode_to(
    message: NewMessage, type: EventType, event_id: UUID
) -> None:
    now = message.created_at
    encoder = RowEncoder(message, type, now)
    contact_id, phone, text = message.contact_id, message.to_phone.encode(), Text(message.body)
    assert contact_id is not None
    data = msgspec.json.encode(message_resource(message))
    event = (event_id, message.workspace_id, message.livemode, type.value, message.id, data, now)
    printed = encoder.event(
        event_id.bytes, message.id.bytes, ids.encode_bare(message.id.int), ids.encode_bare(contact_id.int), phone, text
    )
    assert b"".join(printed) == _row(EVENT_COLUMNS, event)
    columns: dict[str, Any] = {name: getattr(message, name, None) for name in MESSAGE_COLUMNS}
    columns |= {"metadata": b"\x01" + msgspec.json.encode(message.metadata), "opted_out": False, "attempt_count": 0}
    printed = encoder.row(message.id.bytes, contact_id.bytes, phone, text)
    assert b"".join(printed) == _row(MESSAGE_COLUMNS, tuple(columns.values()))


def _row(columns: tuple[str, ...], values: tuple[Any, ...]) -> bytes:
    return encode_row_head(columns) + b"".join(map(encode_field, values))


@given(st.uuids())
def test_a_public_id_is_its_prefix_and_its_bare_characters(value: UUID) -> None:
    bare = ids.encode_bare(value.int)
    assert len(bare) == ids.LENGTH
    assert ids.encode_id(ids.MESSAGE, value) == f"msg_{bare}"
    assert ids.decode_id(ids.MESSAGE, f"msg_{bare}") == value
