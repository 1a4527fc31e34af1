"""Redaction and deletion: the text is forgotten everywhere, the books stay."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from msvs import database as db
from msvs.api import ids
from msvs.api.context import Context
from msvs.models import AuditEntry, CreditBalance, Event, LedgerEntry, Message
from tests.rest_compat.making import work
from tests.services import SERVICES
from tests.twilio_compat.conftest import Account, Accounts
from tests.twilio_compat.test_messages import refusal

TEXT = "Your code is 481516"


async def where_it_stands(text: str) -> list[str]:
    """Every table that holds a text."""
    tables = await db.fetch(
        "SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    found = []
    for table in tables:
        statement = f'SELECT EXISTS (SELECT FROM "{table.name}" AS row WHERE strpos(row::text, $1) > 0)'
        if await db.fetch_value(statement, text):
            found.append(table.name)
    return found


async def send_and_work(account: Account) -> dict[str, str]:
    response = await account.http.post(
        f"{account.path}/Messages.json",
        data={"To": "+12125550111", "Body": TEXT},
        headers={"I-Twilio-Idempotency-Token": "c0ffee"},
        auth=account.auth,
    )
    assert response.status_code == 201
    await work()
    return response.json()  # type: ignore[no-any-return]


async def test_a_redacted_text_stands_nowhere(account: Account, ctx: Context) -> None:
    sent = await send_and_work(account)
    other = await account.send(body="Another text")
    assert await where_it_stands(TEXT)
    redacted = await account.post(f"Messages/{sent['sid']}.json", Body="")
    assert redacted.status_code == 200
    assert (redacted.json()["body"], redacted.json()["status"]) == ("", "delivered")
    assert redacted.json() == await account.get(f"Messages/{sent['sid']}.json")
    assert await where_it_stands(TEXT) == []
    assert await where_it_stands("Another text")
    assert (await account.get(f"Messages/{other['sid']}.json"))["body"] == "Another text"
    # What the events tell but for the text stays.
    name = ids.encode_id(ids.MESSAGE, UUID(hex=sent["sid"][2:]))
    events = await Event.filter(resource_id=UUID(hex=sent["sid"][2:])).order_by("id")
    assert [event.type for event in events] == ["message.queued", "message.sent", "message.delivered"]
    assert all(f'"id":"{name}"' in event.data and '"body":""' in event.data for event in events)
    entry = await AuditEntry.get(action="message.redacted")
    assert (entry.resource_id, entry.changes) == (name, {"livemode": False})
    # Again, and its retry, change nothing.
    assert (await account.post(f"Messages/{sent['sid']}.json", Body="")).json() == redacted.json()
    retried = await account.http.post(
        f"{account.path}/Messages.json",
        data={"To": "+12125550111", "Body": TEXT},
        headers={"I-Twilio-Idempotency-Token": "c0ffee"},
        auth=account.auth,
    )
    assert (retried.status_code, retried.json()["sid"], retried.json()["body"]) == (201, sent["sid"], "")


async def test_a_deleted_message_is_shown_no_more(account: Account) -> None:
    kept = await account.send()
    sent = await send_and_work(account)
    path = f"{account.path}/Messages/{sent['sid']}.json"
    response = await account.http.delete(path, auth=account.auth)
    assert (response.status_code, response.content) == (204, b"")
    assert "content-length" not in response.headers
    assert await where_it_stands(TEXT) == []
    for again in (
        await account.http.get(path, auth=account.auth),
        await account.http.delete(path, auth=account.auth),
        await account.http.get(path.replace(".json", "/Media.json"), auth=account.auth),
        await account.post(f"Messages/{sent['sid']}.json", Body=""),
        await account.post(f"Messages/{sent['sid']}.json", Status="canceled"),
    ):
        assert refusal(again) == (404, 20404, "Sid")
    assert [row["sid"] for row in (await account.get("Messages.json"))["messages"]] == [kept["sid"]]
    page = await account.get("Messages.json", PageSize="1")
    assert page["messages"] == []
    following = await account.http.get(page["next_page_uri"], auth=account.auth)
    assert [row["sid"] for row in following.json()["messages"]] == [kept["sid"]]
    entry = await AuditEntry.get(action="message.deleted")
    assert entry.resource_id == ids.encode_id(ids.MESSAGE, UUID(hex=sent["sid"][2:]))


async def test_the_books_of_a_deleted_message_stay(account_of: Accounts, live_ctx: Context) -> None:
    live = await account_of(live_ctx)
    carriers, SERVICES.carriers.live = SERVICES.carriers.live, "virtual"
    try:
        sent = await live.send()
        await work()
    finally:
        SERVICES.carriers.live = carriers
    before = await CreditBalance.get(workspace_id=live_ctx.workspace_id)
    entries = await LedgerEntry.all().count()
    response = await live.http.delete(f"{live.path}/Messages/{sent['sid']}.json", auth=live.auth)
    assert response.status_code == 204
    row = await Message.get(id=UUID(hex=sent["sid"][2:]))
    assert (row.body, row.to_phone, row.credits_used, row.segments) == ("", "+12125550111", 1, 1)
    assert (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance == before.balance
    assert await LedgerEntry.all().count() == entries


async def test_another_workspace_and_mode_delete_and_redact_nothing(
    account: Account, account_of: Accounts, other_ctx: Context, live_ctx: Context
) -> None:
    sent = await send_and_work(account)
    for other in (await account_of(other_ctx), await account_of(live_ctx)):
        path = f"{other.path}/Messages/{sent['sid']}.json"
        assert refusal(await other.http.delete(path, auth=other.auth))[:2] == (404, 20404)
        assert refusal(await other.post(f"Messages/{sent['sid']}.json", Body=""))[:2] == (404, 20404)
    assert (await account.get(f"Messages/{sent['sid']}.json"))["body"] == TEXT
    assert await AuditEntry.filter(action__startswith="message.").count() == 0


async def test_a_key_that_may_not_send_deletes_nothing(account: Account, account_of: Accounts, ctx: Context) -> None:
    sent, reader = await send_and_work(account), await account_of(ctx)
    await db.execute("UPDATE api_keys SET scopes = '[\"messages:read\"]'")
    response = await reader.http.delete(f"{reader.path}/Messages/{sent['sid']}.json", auth=reader.auth)
    assert (response.status_code, response.json()["details"]["code"]) == (403, "scope_missing")
    row = await Message.get()
    assert (row.body, row.created_at < datetime.now(UTC)) == (TEXT, True)
