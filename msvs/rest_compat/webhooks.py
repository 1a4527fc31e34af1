"""/v1/webhooks."""

from __future__ import annotations

from datetime import UTC
from uuid import UUID

from msvs.api import ids
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.pages import PageQuery
from msvs.api.resources import (
    EventResource,
    RedeliveryResource,
    WebhookAttemptResource,
    WebhookHealthResource,
    WebhookResource,
    event_resource,
    webhook_attempt_resource,
    webhook_resource,
)
from msvs.api.webhooks import endpoints, health
from msvs.api.webhooks.endpoints import CreateWebhook, RecoverWebhook, UpdateWebhook
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import Deleted, ListOf, NoBody, NoQuery, list_of


async def create(call: Call[CreateWebhook, NoQuery]) -> WebhookResource:
    """Create a webhook subscription."""
    row, secret = await endpoints.create_webhook(call.ctx, call.body)
    return webhook_resource(row, secret=secret)


async def retrieve(call: Call[NoBody, NoQuery]) -> WebhookResource:
    """Retrieve a webhook subscription."""
    return webhook_resource(await endpoints.get_webhook(call.ctx, _id(call.params["id"])))


async def update(call: Call[UpdateWebhook, NoQuery]) -> WebhookResource:
    """Update a webhook subscription."""
    return webhook_resource(await endpoints.update_webhook(call.ctx, _id(call.params["id"]), call.body))


async def delete(call: Call[NoBody, NoQuery]) -> Deleted:
    """Delete a webhook subscription."""
    id = _id(call.params["id"])
    await endpoints.delete_webhook(call.ctx, id)
    return Deleted(id=ids.encode_id(ids.WEBHOOK, id), object="webhook")


async def list_(call: Call[NoBody, PageQuery]) -> ListOf[WebhookResource]:
    """List webhook subscriptions."""
    page = await endpoints.list_webhooks(call.ctx, call.query.page(ids.WEBHOOK))
    return list_of(call.path, page, webhook_resource)


async def rotate_secret(call: Call[NoBody, NoQuery]) -> WebhookResource:
    """Rotate the secret of a webhook; the old secret also signs for 24 hours."""
    row, secret = await endpoints.rotate_secret(call.ctx, _id(call.params["id"]))
    return webhook_resource(row, secret=secret)


async def test(call: Call[NoBody, NoQuery]) -> EventResource:
    """Send a test event to a webhook subscription."""
    return event_resource(await endpoints.send_test(call.ctx, _id(call.params["id"])))


async def retrieve_health(call: Call[NoBody, NoQuery]) -> WebhookHealthResource:
    """Retrieve the health of a webhook."""
    return health.webhook_health_resource(await health.get_health(call.ctx, _id(call.params["id"])))


async def attempts(call: Call[NoBody, PageQuery]) -> ListOf[WebhookAttemptResource]:
    """List the delivery attempts of a webhook."""
    page = await endpoints.list_attempts(call.ctx, _id(call.params["id"]), call.query.page(ids.ATTEMPT))
    return list_of(call.path, page, webhook_attempt_resource)


async def recover(call: Call[RecoverWebhook, NoQuery]) -> RedeliveryResource:
    """Deliver missed events to a webhook again."""
    id = _id(call.params["id"])
    try:
        since = call.body.since.astimezone(UTC)
    except OverflowError:
        raise InvalidRequest(
            "since is not a time we know.", param="since", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        ) from None
    count = await endpoints.recover(call.ctx, id, since=since)
    return RedeliveryResource(id=ids.encode_id(ids.WEBHOOK, id), delivery_count=count)


def _id(text: str) -> UUID:
    return ids.find_id(ids.WEBHOOK, text, "webhook")
