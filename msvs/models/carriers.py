"""Carriers: their state, the owners of their binds, carrier events, and parts of messages."""

from __future__ import annotations

from enum import StrEnum

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id


class CarrierState(Model):
    """The circuit breaker of a carrier.

    `state` is `closed` (in use), `open` (paused until `retry_at`) or `half_open` (one batch tries it).
    """

    name = fields.CharField(max_length=30, primary_key=True)
    state = fields.CharField(max_length=10, default="closed")
    failures = fields.IntField(default=0)
    trips = fields.IntField(default=0)
    reason = fields.CharField(max_length=100, null=True)
    opened_at = fields.DatetimeField(null=True)
    retry_at = fields.DatetimeField(null=True)
    updated_at = fields.DatetimeField()

    class Meta:
        table = "carrier_states"


class CarrierSession(Model):
    """Which process holds the sessions of a carrier, and where workers reach it.

    `token` opens the connection to it; `bound` of `wanted` sessions stand. A row older than a few seconds is of a
    process that is gone.
    """

    name = fields.CharField(max_length=30, primary_key=True)
    address = fields.CharField(max_length=100)
    token = fields.CharField(max_length=64)
    bound = fields.SmallIntField(default=0)
    wanted = fields.SmallIntField(default=0)
    detail = fields.CharField(max_length=100, null=True)
    updated_at = fields.DatetimeField()

    class Meta:
        table = "carrier_sessions"


# As an inbound carrier event's code: the carrier itself took the message for an opt-out.
CARRIER_OPTED_OUT = "recipient_opted_out"
# As an inbound carrier event's code: the text could not surely be read.
CARRIER_GARBLED = "garbled"


class CarrierEventKind(StrEnum):
    """The kind of a carrier event."""

    REPORT = "report"
    INBOUND = "inbound"
    UNREAD = "unread"
    OPT_OUT = "opt_out"
    REACH = "reach"


class StoredCarrierEvent(Model):
    """A delivery report or an inbound message that a carrier brought and nobody has applied yet.

    An opt-out that the carrier tells of by itself is one, too. It is committed before the carrier is told that it
    arrived, and unique by the carrier's own id of it. A report names its message by `message_id` or by `carrier_ref`;
    one that comes before its message's reference is known is tried again at `due_at`; with a `part_count` it is of one
    part of its message. Parts of a long inbound message wait for each other, and stay without their texts for a day,
    so that one that is brought again is not taken for a message.

    An inbound message whose sender is no number that can be read becomes `unread`, due when it is forgotten: it opts
    nobody out by itself, so that somebody must look at it.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    carrier = fields.CharField(max_length=30)
    kind = fields.CharField(max_length=10)
    dedupe_key = fields.CharField(max_length=200)
    message_id = fields.UUIDField(null=True)
    carrier_ref = fields.CharField(max_length=100, null=True)
    is_delivered = fields.BooleanField(null=True)
    error_code = fields.CharField(max_length=40, null=True)
    from_phone = fields.CharField(max_length=40, null=True)
    to_sender = fields.CharField(max_length=40, null=True)
    text = fields.TextField(default="")
    part_ref = fields.CharField(max_length=40, null=True)
    part_number = fields.SmallIntField(null=True)
    part_count = fields.SmallIntField(null=True)
    tries = fields.SmallIntField(default=0)
    received_at = fields.DatetimeField()
    due_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "carrier_signals"
        unique_together = (("carrier", "dedupe_key"),)


class MessagePart(Model):
    """One part of a message that a carrier took in several; `state` is what its own report said, or null.

    `hand_over` is the claim token of one that was learned of after another was made: its parts count by themselves.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    message_id = fields.UUIDField(db_index=True)
    carrier = fields.CharField(max_length=30)
    ref = fields.CharField(max_length=100)
    number = fields.SmallIntField()
    hand_over = fields.UUIDField(null=True)
    state = fields.CharField(max_length=10, null=True)
    error_code = fields.CharField(max_length=40, null=True)
    created_at = fields.DatetimeField()

    class Meta:
        table = "message_parts"
        indexes = (("carrier", "ref"),)
