"""Sends through Twilio's own library: BASE_URL as the argument, the key in API_KEY."""

from __future__ import annotations

import http.server
import os
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.request_validator import RequestValidator
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
    """Find the account, send, fetch, page, cancel, be refused, be told, forget and count."""
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
        ({"to": "+12125550164", "body": "Doors open", "status_callback": "http://cohortlabs.co/hook"}, 21609),
        ({"to": "+12125550164", "body": "Doors open", "messaging_service_sid": "MG1"}, 21701),
        *(
            ({"to": "+12125550164", "body": "Doors open", "from_": f"+1500555000{digit}"}, number)
            for digit, number in ((1, 21212), (7, 21606), (8, 21611))
        ),
        *(
            ({"to": f"+1500555000{digit}", "body": "Doors open", "from_": "+15005550006"}, number)
            for digit, number in ((1, 21211), (2, 21612), (3, 21408), (4, 21610), (9, 21614))
        ),
    ):
        refuse(lambda options=options: client.messages.create(**options), 400, number)
    refuse(lambda: client.messages(message.sid).update(status="canceled"), 400, 30409)
    refuse(lambda: client.messages(message.sid).update(body="Other words"), 400, 20001)
    told(client, key)
    forget(client, message.sid)
    count(client)
    refuse(lambda: client.messages("SM" + "0" * 32).fetch(), 404, 20404)
    refuse(lambda: Client(account.sid, "wrong", http_client=http_client).messages("SM" + "0" * 32).fetch(), 401, 20003)
    print(f"twilio sent {message.sid}")


class Callbacks(http.server.BaseHTTPRequestHandler):
    """Keeps what is posted: the form and its signature."""

    received: ClassVar[list[tuple[dict[str, str], str]]] = []

    def do_POST(self) -> None:
        """Take a callback."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.received.append((dict(parse_qsl(body)), self.headers["X-Twilio-Signature"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def told(client: Client, key: str) -> None:
    """Send from the workspace's senders, and be told of each status by signed callbacks."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Callbacks) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/sms?cohort=06"
        service = "MG" + "0" * 32
        sent = client.messages.create(
            to="+12125550165", body="Doors open", messaging_service_sid=service, status_callback=url
        )
        assert sent.messaging_service_sid == service
        deadline = time.monotonic() + DELIVERED_SECONDS
        while len(Callbacks.received) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        server.shutdown()
    assert [form["MessageStatus"] for form, _ in Callbacks.received] == ["sent", "delivered"], Callbacks.received
    for form, signature in Callbacks.received:
        assert (form["MessageSid"], form["To"], form["AccountSid"]) == (sent.sid, "+12125550165", sent.account_sid)
        assert RequestValidator(key).validate(url, form, signature)
        assert not RequestValidator(key).validate(url, {**form, "MessageStatus": "failed"}, signature)


def forget(client: Client, sid: str) -> None:
    """Redact a message, then delete it."""
    assert client.messages(sid).update(body="").body == ""
    assert client.messages(sid).fetch().body == ""
    assert client.messages(sid).delete() is True
    refuse(lambda: client.messages(sid).fetch(), 404, 20404)


def count(client: Client) -> None:
    """Read the balance and what was sent."""
    assert int(client.balance.fetch().balance) > 0
    records = client.usage.records
    [sent] = records.list(category="sms-outbound")
    [today] = records.today.list(category="sms-outbound")
    assert int(sent.count) >= int(today.count) >= 0
    assert int(sent.usage) >= int(sent.count) >= 2
    for period in (records.daily, records.monthly, records.yearly, records.all_time, records.this_month):
        assert {each.category for each in period.list(limit=4)} == {"sms", "sms-inbound", "sms-outbound", "totalprice"}
    assert records.last_month.list(start_date=None)
    assert records.yesterday.list()


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
