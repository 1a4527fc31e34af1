"""Cursor pages on every list: both directions to the end, and what cursors may be."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.accounts.keys import create_key
from msvs.api.context import Context
from msvs.api.dispatch import senders
from msvs.api.pages import PageQuery
from msvs.models import ListSource, ListSync, SyncStatus, SyncTrigger
from msvs.rest_compat.endpoints import ENDPOINTS
from tests.rest_compat.conftest import Client
from tests.rest_compat.making import EVERY, WEBHOOK_URL, get, make_checkout, post
from tests.services import SERVICES

PATHS = sorted(endpoint.path for endpoint in ENDPOINTS if issubclass(endpoint.query, PageQuery))
COUNT = 5


async def fill(api: httpx.AsyncClient, path: str, ctx: Context) -> str:
    """Make COUNT resources for a list to hold; the list's path with its ids."""
    if path in ("/v1/credits/ledger", "/v1/credits/purchases"):
        await db.execute(
            "INSERT INTO ledger_entries (id, workspace_id, kind, reference, amount, note, created_at)"
            " SELECT gen_random_uuid(), $1, 'grant', 'top-up-' || n, n, '', now() FROM generate_series(1, $2) AS n",
            ctx.workspace_id,
            COUNT - 1,
        )
    elif path == "/v1/credits/checkouts":
        for _ in range(COUNT):
            await make_checkout(ctx.workspace_id)
    elif path == "/v1/senders":
        for number in range(COUNT):
            await senders.add_sender(SERVICES, ctx.workspace_id, f"1234{number}", is_shared=True)
    elif path.startswith("/v1/webhooks/"):
        webhook = await post(api, "/v1/webhooks", url=WEBHOOK_URL, events=["*"])
        event = await post(api, f"/v1/webhooks/{webhook['id']}/test", 200)
        for number in range(COUNT):
            await db.execute(
                "INSERT INTO webhook_attempts (id, workspace_id, livemode, endpoint_id, event_id, number, status_code,"
                " response_head, elapsed_ms, created_at) VALUES ($1, $2, false, $3, $4, $5, 500, '', 1, now())",
                ids.new_id(),
                ctx.workspace_id,
                ids.decode_id(ids.WEBHOOK, webhook["id"]),
                ids.decode_id(ids.EVENT, event["id"]),
                number + 1,
            )
        return path.replace("{id}", webhook["id"])
    elif path == "/v1/api_keys":
        # One is the client's own.
        for _ in range(COUNT - 1):
            await create_key(ctx.workspace_id, livemode=ctx.livemode)
    elif path == "/v1/inbox/threads/{contact_id}/messages":
        replies = [await post(api, "/v1/test/inbound", from_="+12125550100", body="Thanks") for _ in range(COUNT)]
        return path.replace("{contact_id}", replies[0]["contact_id"])
    elif path == "/v1/lists/{id}/contacts":
        contact_list = (await post(api, "/v1/lists", name="Cohort 06"))["id"]
        members = [(await post(api, "/v1/contacts", phone=f"+1212555010{n}"))["id"] for n in range(COUNT)]
        # In another order than they were made in.
        await post(api, f"/v1/lists/{contact_list}/contacts", 200, contact_ids=members[::-1])
        return path.replace("{id}", contact_list)
    elif path == "/v1/lists/{id}/syncs":
        source = {"type": "hook", "settings": {}, "mapping": {"phone": "phone"}}
        contact_list = (await post(api, "/v1/lists", name="Skool", source=source))["id"]
        of_list = await ListSource.get()
        for _ in range(COUNT):
            await ListSync.create(
                workspace_id=ctx.workspace_id,
                livemode=ctx.livemode,
                source_id=of_list.id,
                list_id=of_list.list_id,
                trigger=SyncTrigger.HOOK,
                status=SyncStatus.COMPLETED,
                due_at=datetime.now(UTC),
            )
        return path.replace("{id}", contact_list)
    elif path == "/v1/sequences/{id}/enrollments":
        sequence = (await post(api, "/v1/sequences", name="Welcome", template="welcome"))["id"]
        await post(api, f"/v1/sequences/{sequence}/publish", 200)
        for number in range(COUNT):
            await post(api, f"/v1/sequences/{sequence}/enrollments", phone=f"+1212555010{number}")
        return path.replace("{id}", sequence)
    elif path == "/v1/contacts/{id}/consent":
        contact = (await post(api, "/v1/contacts", phone="+12125550100", opt_in={"source": "form"}))["id"]
        for _ in range(COUNT - 1):
            await post(api, f"/v1/contacts/{contact}", 200, opt_in={"source": "form"})
        return path.replace("{id}", contact)
    else:
        for number in range(COUNT):
            await make_one(api, path, number)
    return path


async def make_one(api: httpx.AsyncClient, path: str, number: int) -> None:
    phone = f"+1212555010{number}"
    match path:
        case "/v1/messages" | "/v1/events":
            await post(api, "/v1/messages", to=phone, body="Hi")
        case "/v1/campaigns":
            contact = await post(api, "/v1/contacts", phone=phone)
            audience = {"contact_ids": [contact["id"]]}
            await post(api, path, name="Close", body="Hi", audience=audience)
        case "/v1/contacts":
            await post(api, path, phone=phone)
        case "/v1/tags":
            contact = await post(api, "/v1/contacts", phone=phone)
            await post(api, f"/v1/contacts/{contact['id']}/tags", 200, add=[f"tag {number}"])
        case "/v1/bulk_actions":
            await post(api, path, action="delete", every=True)
        case "/v1/imports":
            await post(api, path, file_name=f"people{number}.csv")
        case "/v1/exports":
            await post(api, path, kind="ledger")
        case "/v1/lists":
            await post(api, path, name=f"List {number}")
        case "/v1/order_hooks":
            await post(api, path, type="shopify", name=f"Shop {number}")
        case "/v1/conversions":
            contact = await post(api, "/v1/contacts", phone=f"+1212555018{number}")
            await post(api, path, contact_id=contact["id"], order_id=f"order-{number}", value=100, currency="USD")
        case "/v1/sequences":
            await post(api, path, name=f"Sequence {number}")
        case "/v1/keywords":
            contact_list = await post(api, "/v1/lists", name=f"List {number}")
            await post(api, path, word=f"JOIN{number}", list_id=contact_list["id"])
        case "/v1/segments":
            await post(api, path, name=f"Segment {number}", filter=EVERY)
        case "/v1/templates":
            await post(api, path, name=f"Template {number}", body="Hi")
        case "/v1/snippets":
            await post(api, path, name=f"snippet_{number}", body="Cohort Labs")
        case "/v1/webhooks":
            await post(api, path, url=f"{WEBHOOK_URL}/{number}", events=["*"])
        case "/v1/suppressions" | "/v1/consent":
            await post(api, "/v1/suppressions", phone=phone, source="complaint")
        case "/v1/inbound" | "/v1/inbox/threads":
            await post(api, "/v1/test/inbound", from_=phone, body="Thanks")
        case _:
            raise AssertionError(f"nothing makes {path}")


def ids_of(page: dict[str, object]) -> list[str]:
    return [row["id"] for row in page["data"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", PATHS)
async def test_pages_meet_without_gap_or_overlap_in_both_directions(
    api: httpx.AsyncClient, ctx: Context, path: str
) -> None:
    path = await fill(api, path, ctx)
    whole = await get(api, path)
    everything = ids_of(whole)
    assert (whole["object"], whole["url"], whole["has_more"], len(everything)) == ("list", path, False, COUNT)
    assert everything == sorted(everything, reverse=True)
    assert len(set(everything)) == COUNT

    older: list[str] = []
    page = await get(api, path, limit=2)
    while True:
        older += ids_of(page)
        assert page["has_more"] is (len(older) < COUNT)
        if not page["has_more"]:
            break
        page = await get(api, path, limit=2, starting_after=older[-1])
    assert older == everything
    assert ids_of(await get(api, path, starting_after=everything[-1])) == []

    newer: list[str] = []
    page = await get(api, path, limit=2, ending_before=everything[-1])
    while True:
        newer = ids_of(page) + newer
        assert page["has_more"] is (len(newer) < COUNT - 1)
        if not page["has_more"]:
            break
        page = await get(api, path, limit=2, ending_before=newer[0])
    assert newer == everything[:-1]
    assert ids_of(await get(api, path, ending_before=everything[0])) == []


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ("limit=0", "parameter_out_of_range", "limit"),
        ("limit=101", "parameter_out_of_range", "limit"),
        ("limit=ten", "parameter_invalid", "limit"),
        ("starting_after=x", "cursor_invalid", "starting_after"),
        ("ending_before=req_01HYZ8K5VQAE2N0PWQ6DC9V8MP", "cursor_invalid", "ending_before"),
        ("page=2", "parameter_unknown", "page"),
    ],
)
async def test_a_bad_page_is_refused(api: httpx.AsyncClient, path: str, query: str, code: str, param: str) -> None:
    prefix = "whk" if path.startswith("/v1/webhooks") else "lst"
    path = path.replace("{id}", f"{prefix}_01HYZ8K5VQAE2N0PWQ6DC9V8MP")
    path = path.replace("{contact_id}", "con_01HYZ8K5VQAE2N0PWQ6DC9V8MP")
    response = await api.get(f"{path}?{query}")
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, code, param)


async def test_a_cursor_outlives_its_resource(api: httpx.AsyncClient) -> None:
    made = [(await post(api, "/v1/contacts", phone=f"+1212555010{n}"))["id"] for n in range(3)]
    assert (await api.delete(f"/v1/contacts/{made[1]}")).status_code == 200
    assert ids_of(await get(api, "/v1/contacts", starting_after=made[1])) == [made[0]]
    assert ids_of(await get(api, "/v1/contacts", ending_before=made[1])) == [made[2]]


async def test_a_cursor_of_another_workspace_pages_its_own_rows_alone(
    client: Client, api: httpx.AsyncClient, other_ctx: Context
) -> None:
    first = (await post(api, "/v1/contacts", phone="+12125550101"))["id"]
    stranger = await client(other_ctx)
    cursor = (await post(stranger, "/v1/contacts", phone="+12125550101"))["id"]
    assert ids_of(await get(api, "/v1/contacts", starting_after=cursor)) == [first]


async def test_a_page_holds_twenty_unless_told(api: httpx.AsyncClient, ctx: Context) -> None:
    await db.execute(
        "INSERT INTO contact_lists (id, workspace_id, livemode, name, kind, contact_count, created_at, updated_at)"
        " SELECT gen_random_uuid(), $1, false, 'List ' || n, 'static', 0, now(), now()"
        " FROM generate_series(1, 101) AS n",
        ctx.workspace_id,
    )
    assert len((await get(api, "/v1/lists"))["data"]) == 20
    page = await get(api, "/v1/lists", limit=100)
    assert (len(page["data"]), page["has_more"]) == (100, True)
    assert ids_of(page) == sorted(ids_of(page), reverse=True)
