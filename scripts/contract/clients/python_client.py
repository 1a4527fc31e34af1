"""Sends a message through openapi-python-client's client: BASE_URL as the argument, the key in API_KEY."""

from __future__ import annotations

import os
import sys

from massive_sms_api_client import AuthenticatedClient
from massive_sms_api_client.api.messages import create_message, retrieve_message
from massive_sms_api_client.api.webhooks import create_webhook, delete_webhook
from massive_sms_api_client.models import Message, MessageCreate, Webhook, WebhookCreate, WebhookCreateEventsItem


def main() -> None:
    """Send, look up, and be refused."""
    client = AuthenticatedClient(base_url=sys.argv[1], token=os.environ["API_KEY"])
    message = create_message.sync(client=client, body=MessageCreate(to="+12125550163", body="Doors open."))
    assert isinstance(message, Message), message
    found = retrieve_message.sync(id=message.id, client=client)
    assert isinstance(found, Message), found
    assert found.id == message.id
    refused = create_message.sync_detailed(client=client, body=MessageCreate(to="+1abc", body="Doors open."))
    assert refused.status_code == 400
    assert refused.parsed is not None
    assert not isinstance(refused.parsed, Message)
    assert refused.parsed.error.code == "phone_number_invalid"
    wanted = WebhookCreate(
        url="https://api.cohortlabs.co/webhooks/sms", events=[WebhookCreateEventsItem.MESSAGE_DELIVERED]
    )
    webhook = create_webhook.sync(client=client, body=wanted)
    assert isinstance(webhook, Webhook), webhook
    assert str(webhook.secret).startswith("whsec_")
    delete_webhook.sync(id=webhook.id, client=client)
    print(f"openapi-python-client sent {message.id}")


if __name__ == "__main__":
    main()
