"""Sends through Twilio's own library: BASE_URL as the argument, the key in API_KEY."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

TWILIO = "https://api.twilio.com"
DELIVERED_SECONDS = 30.0


class MassiveSmsHttpClient(TwilioHttpClient):
    """Twilio's HTTP client, sending elsewhere what it would send to api.twilio.com."""

    def __init__(self, base_url: str, **options: Any) -> None:
        super().__init__(**options)
        self.base_url = base_url

    def request(self, method: str, url: str, *args: Any, **options: Any) -> Response:
        """Make a request."""
        return super().request(method, url.replace(TWILIO, self.base_url, 1), *args, **options)


def main() -> None:
    """Find the account, send, fetch, page, cancel, and be refused."""
    base_url, key = sys.argv[1], os.environ["API_KEY"]
    http_client = MassiveSmsHttpClient(base_url)
    [account] = Client(key, key, http_client=http_client).api.accounts.list()
    client = Client(account.sid, key, http_client=http_client)
    assert client.api.accounts(account.sid).fetch().friendly_name == account.friendly_name

    message = client.messages.create(to="+12125550164", from_="COHORT", body="Doors open, {name}.")
    assert (message.status, message.body, message.num_segments) == ("queued", "Doors open, {name}.", "1")
    found = client.messages(message.sid).fetch()
    deadline = time.monotonic() + DELIVERED_SECONDS
    while found.status != "delivered" and time.monotonic() < deadline:
        time.sleep(0.2)
        found = found.fetch()
    assert (found.sid, found.status, found.error_code) == (message.sid, "delivered", None), found.status
    assert found.date_created is not None
    assert found.date_sent is not None
    assert found.date_created <= found.date_sent <= datetime.now(UTC)
    assert found.media.list() == []

    more = [client.messages.create(to="+12125550164", body=f"No. {number}") for number in range(3)]
    sids = [each.sid for each in reversed([message, *more])]
    listed = client.messages.list(to="+12125550164", page_size=2)
    assert [each.sid for each in listed][:4] == sids
    assert [each.sid for each in client.messages.list(to="+12125550164", limit=1)] == sids[:1]
    today = datetime.now(UTC) - timedelta(hours=1)
    assert message.sid in [each.sid for each in client.messages.list(to="+12125550164", date_sent_after=today)]

    later = client.messages.create(
        to="+12125550164", body="Later", schedule_type="fixed", send_at=datetime.now(UTC) + timedelta(hours=1)
    )
    assert later.status == "scheduled"
    assert client.messages(later.sid).update(status="canceled").status == "canceled"

    for options, number in (
        ({"to": "+1abc", "body": "Doors open"}, 21211),
        ({"to": "+12125550164"}, 21602),
        ({"to": "+14155550113", "body": "Doors open"}, 21408),
        ({"to": "+12125550164", "body": "Doors open", "media_url": ["https://cohortlabs.co/a.png"]}, 21620),
        ({"to": "+12125550164", "body": "Doors open", "status_callback": "https://cohortlabs.co/hook"}, 21609),
    ):
        refuse(lambda options=options: client.messages.create(**options), 400, number)
    refuse(lambda: client.messages(message.sid).update(status="canceled"), 400, 30409)
    refuse(lambda: client.messages(message.sid).update(body=""), 400, 20001)
    refuse(lambda: client.messages(message.sid).delete(), 405, 20004)
    refuse(lambda: client.messages("SM" + "0" * 32).fetch(), 404, 20404)
    refuse(lambda: Client(account.sid, "wrong", http_client=http_client).messages("SM" + "0" * 32).fetch(), 401, 20003)
    print(f"twilio sent {message.sid}")


def refuse(call: Any, status: int, number: int) -> None:
    """Assert that a call is refused with this status and this number of Twilio's."""
    met = None
    try:
        call()
    except TwilioRestException as error:
        met = (error.status, error.code)
    assert met == (status, number), met


if __name__ == "__main__":
    main()
