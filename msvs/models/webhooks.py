"""Webhook endpoints, the outbox of deliveries, and the log of attempts."""

from __future__ import annotations

from enum import StrEnum

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id
from msvs.models.moments import DatetimeField


class DeliveryState(StrEnum):
    """The state of a delivery of one event to one endpoint."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    EXHAUSTED = "exhausted"
    DROPPED = "dropped"


class WebhookEndpoint(Model):
    """A subscription. Secrets are sealed; the previous one counts until `previous_secret_until`."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    url = fields.CharField(max_length=2048)
    events: fields.Field[list[str]] = fields.JSONField()
    description = fields.CharField(max_length=200, default="")
    enabled = fields.BooleanField(default=True)
    disabled_reason = fields.CharField(max_length=30, null=True)
    secret_sealed = fields.TextField()
    previous_secret_sealed = fields.TextField(null=True)
    previous_secret_until = fields.DatetimeField(null=True)
    failing_since = fields.DatetimeField(null=True)
    # Since when its URL has answered nothing, so that one delivery must succeed before others are made; null in the
    # sandbox. A test takes the place of the oldest event.
    unverified_since = fields.DatetimeField(null=True)
    tested_by = fields.UUIDField(null=True)
    # Since when what it misses is replayed once it answers again; null if it is not.
    auto_replay_since = fields.DatetimeField(null=True)
    standard_webhooks = fields.BooleanField(default=False, db_default=False)
    # The most events of a delivery; null for one that is not in a batch.
    batch_size = fields.SmallIntField(null=True)
    # What its events must match beside their types, as `matches_webhook_filter` of the database reads it.
    event_filter: fields.Field[dict[str, object] | None] = fields.JSONField(null=True)
    created_by = fields.CharField(max_length=40, null=True)
    created_at = DatetimeField(auto_now_add=True)

    class Meta:
        table = "webhook_endpoints"
        indexes = (("workspace_id", "livemode", "id"),)


class WebhookDelivery(Model):
    """One event on its way to one endpoint."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    endpoint_id = fields.UUIDField()
    event_id = fields.UUIDField()
    state = fields.CharEnumField(DeliveryState, max_length=10, default=DeliveryState.PENDING)
    # Its place among all that was ever sent to its endpoint, from its first attempt on.
    sequence = fields.BigIntField(null=True)
    # Whether it was opened again, and how often by the service itself.
    replay = fields.BooleanField(default=False, db_default=False)
    replay_count = fields.SmallIntField(default=0, db_default=0)
    attempt_count = fields.SmallIntField(default=0)
    next_attempt_at = fields.DatetimeField()
    lease_until = fields.DatetimeField(null=True)
    created_at = DatetimeField(auto_now_add=True)
    ended_at = fields.DatetimeField(null=True)

    class Meta:
        table = "webhook_deliveries"
        unique_together = (("endpoint_id", "event_id"),)
        indexes = (("event_id",),)


class WebhookAttempt(Model):
    """One POST to an endpoint and what came of it."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    endpoint_id = fields.UUIDField()
    event_id = fields.UUIDField()
    number = fields.SmallIntField()
    replay = fields.BooleanField(default=False, db_default=False)
    status_code = fields.SmallIntField(null=True)
    error = fields.CharField(max_length=200, null=True)
    response_head = fields.TextField(default="")
    elapsed_ms = fields.IntField()
    created_at = DatetimeField(auto_now_add=True)

    class Meta:
        table = "webhook_attempts"
        indexes = (("endpoint_id", "id"),)
