"""Subscriptions against a real server: nothing is missed, nothing crosses, and who may not is cut off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import asyncpg
import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from msvs.api import ids
from msvs.api.accounts import auth, keys
from msvs.api.accounts.clocks import delete_test_clock, get_test_clock
from msvs.api.campaigns import campaigns
from msvs.api.context import Context, Visitor
from msvs.api.inbound import replies
from msvs.api.unit_of_work import in_unit_of_work, unit_of_work
from msvs.api.webhooks import endpoints
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.app import create_app
from msvs.database import execute
from msvs.database import now as db_now
from msvs.graphql import guard, live, streams
from msvs.http.callers import Caller
from msvs.http.server import server_config
from msvs.http_client import HttpClient
from msvs.models import Membership, Role, Workspace
from msvs.present import moment, standing
from tests import factories
from tests.apps import settings_for
from tests.engines import Engines
from tests.graphql_api.browser import Browser, document, make_user
from tests.receiver import Receiver, make_endpoint
from tests.services import SERVICES
from tests.workers.clocking import Clocks

PATIENCE = 20.0
PROTOCOL = "graphql-transport-ws"
PINGS = {"types": ["TEST_PING"]}


@asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[str]:
    """The application behind a real server on loopback; its address without a scheme."""
    config = server_config(app, host="127.0.0.1", port=0, lifespan="off")
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    beating = asyncio.create_task(server.main_loop())
    try:
        yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await beating
        await server.shutdown()


@pytest.fixture
async def address(app: Starlette, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Where the application answers, with everything that it does once in a while done often."""
    monkeypatch.setattr(live, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(guard, "CHECK_SECONDS", 0.05)
    async with serving(app) as found:
        yield found


class Socket:
    """A client of graphql-transport-ws."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def hear(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(PATIENCE):
            return cast("dict[str, Any]", json.loads(await self.connection.recv()))

    async def subscribe(self, query: str, variables: dict[str, Any] | None = None, *, id: str = "1") -> None:
        await self.say(type="subscribe", id=id, payload={"query": query, "variables": variables})

    async def item(self) -> Any:
        """What the next item of a subscription holds."""
        message = await self.hear()
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        (value,) = message["payload"]["data"].values()
        return value

    async def _drain(self) -> None:
        while True:
            await self.connection.recv()

    async def closing(self) -> tuple[int, str]:
        """The code and reason with which the server closes."""
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(ConnectionClosed) as closed:
                await self._drain()
        close = closed.value.rcvd
        assert close is not None
        return close.code, close.reason


@asynccontextmanager
async def raw_socket(
    address: str, *, origin: str | None = None, protocol: str = PROTOCOL, **headers: str
) -> AsyncIterator[Socket]:
    async with connect(
        f"ws://{address}/graphql",
        subprotocols=[Subprotocol(protocol)],
        origin=None if origin is None else Origin(origin),
        additional_headers=headers,
        proxy=None,
    ) as connection:
        yield Socket(connection)


@asynccontextmanager
async def socket(address: str, payload: dict[str, Any], **options: Any) -> AsyncIterator[Socket]:
    async with raw_socket(address, **options) as client:
        await client.say(type="connection_init", payload=payload)
        assert await client.hear() == {"type": "connection_ack"}
        yield client


async def key_for(ctx: Context) -> dict[str, str]:
    """What connection_init says with a new key."""
    _, key = await keys.create_key(ctx.workspace_id, livemode=ctx.livemode, name="Dashboard")
    return {"authorization": f"Bearer {key}"}


async def ping(ctx: Context, *notes: str) -> None:
    """Write events, all in one transaction."""
    async with unit_of_work():
        await record_events(
            [
                NewEvent(EventType.TEST_PING, ctx.workspace_id, ctx.livemode, None, cast("Any", {"note": note}))
                for note in notes
            ],
            datetime.now(UTC),
        )


async def insert(connection: Any, ctx: Context, note: str, *, age: timedelta = timedelta()) -> UUID:
    """Write an event whose id was made some time ago."""
    id = UUID(int=ids.id_at(datetime.now(UTC) - age).int | ids.new_id().int & (1 << 76) - 1)
    await connection.execute(
        "INSERT INTO events (id, workspace_id, livemode, type, data, created_at)"
        " VALUES ($1, $2, $3, 'test.ping', $4, now())",
        id,
        ctx.workspace_id,
        ctx.livemode,
        json.dumps({"note": note}),
    )
    return id


async def primed(client: Socket, ctx: Context, id: str = "1") -> None:
    """Wait until a subscription takes in what happens: it has when it tells of an event."""
    while True:
        await ping(ctx, "primer")
        with_timeout = asyncio.create_task(client.hear())
        done, _ = await asyncio.wait({with_timeout}, timeout=0.2)
        if done:
            break
        with_timeout.cancel()
        await asyncio.gather(with_timeout, return_exceptions=True)


async def notes_until(client: Socket, last: str) -> list[str]:
    """The notes of the events that arrive, to the one named; primers left out."""
    notes: list[str] = []
    while last not in notes:
        notes.append((await client.item())["data"]["note"])
    return [note for note in notes if note != "primer"]


async def test_events_arrive_as_they_happen(address: str, ctx: Context) -> None:
    async with socket(address, await key_for(ctx)) as client:
        await client.subscribe(document("EventTail"), PINGS)
        await primed(client, ctx)
        await ping(ctx, "one", "two")
        await ping(ctx, "three")
        assert await notes_until(client, "three") == ["one", "two", "three"]
        await client.say(type="complete", id="1")
        await client.say(type="ping")
        assert await client.hear() == {"type": "pong"}


HEALTH_TAIL = """
subscription { eventTail(types: [TEST_PING]) { resource { ... on Webhook { health { recentAttemptCount } } } } }
"""


@pytest.mark.parametrize("by_session", [False, True])
@pytest.mark.usefixtures("loopback_webhooks")
async def test_what_happens_is_told_at_the_time_of_the_sandbox(
    address: str,
    workspace: Workspace,
    ctx: Context,
    database: str,
    http: HttpClient,
    receiver: Receiver,
    by_session: bool,
) -> None:
    """An item tells what holds when it is sent, also on a connection that was opened days of the sandbox before."""
    clocks = Clocks(database, http)
    await clocks.begin(ctx)
    endpoint = await make_endpoint(ctx, receiver.url(), ["message.sent"])
    payload, options = await key_for(ctx), dict[str, str]()
    if by_session:
        rosa = await make_user("rosa@cohortlabs.co", (workspace, Role.OWNER))
        browser = Browser(f"http://{address}")
        await browser.log_in(rosa.email)
        payload = {"csrfToken": browser.csrf or ""}
        options = {"origin": f"http://{address}", "Cookie": f"msvs_session={browser.http.cookies['msvs_session']}"}
        await browser.http.aclose()

    async def recent_attempts(client: Socket) -> int:
        with standing((await get_test_clock(ctx)).frozen_at):
            await in_unit_of_work(lambda: endpoints.send_test(ctx, endpoint.id))
        while (found := (await client.item())["resource"]) is None:
            pass
        return cast("int", found["health"]["recentAttemptCount"])

    async with socket(address, payload, **options) as client:
        await client.subscribe(HEALTH_TAIL)
        await primed(client, ctx)
        assert await recent_attempts(client) == 0
        await clocks.work()
        assert await recent_attempts(client) == 1
        await clocks.work()
        await clocks.advance(ctx, days=2)
        # What was attempted two days ago is no news.
        assert await recent_attempts(client) == 0


async def test_a_clock_that_begins_or_ends_is_known_to_open_connections(
    ctx: Context, database: str, http: HttpClient
) -> None:
    """By key: the look at whether callers may still be connected tells it too, and of nobody else."""
    _, key = await keys.create_key(ctx.workspace_id, livemode=False)
    authorization = f"Bearer {key}"
    visitor = Visitor(services=SERVICES)
    caller = Caller(visitor, ctx, authorization=authorization)
    live_caller = Caller(visitor, replace(ctx, livemode=True), livemode=True, authorization=authorization)
    watching, clocks = guard.Guard(), Clocks(database, http)
    with watching.watch(caller), watching.watch(live_caller):
        await watching.check()
        assert not watching.has_clock(caller)
        await clocks.begin(ctx)
        SERVICES.keep(auth.KnownKeys).forget()
        await watching.check()
        assert (watching.has_clock(caller), watching.has_clock(live_caller)) == (True, False)
        # The look itself goes on in real time.
        assert moment() is None
        await in_unit_of_work(lambda: delete_test_clock(ctx))
        SERVICES.keep(auth.KnownKeys).forget()
        await watching.check()
        assert not watching.has_clock(caller)
    await watching.close()


async def test_only_the_types_asked_for(address: str, ctx: Context) -> None:
    async with socket(address, await key_for(ctx)) as client:
        await client.subscribe(document("EventTail"), {"types": ["CONTACT_OPTED_OUT", "TEST_PING"]})
        await primed(client, ctx)
        async with unit_of_work():
            now = datetime.now(UTC)
            for kind in (EventType.MESSAGE_SENT, EventType.CONTACT_OPTED_OUT, EventType.TEST_PING):
                new = NewEvent(kind, ctx.workspace_id, ctx.livemode, None, cast("Any", {"note": kind.value}))
                await record_events([new], now)
        assert await notes_until(client, "test.ping") == ["contact.opted_out", "test.ping"]


async def test_a_transaction_that_commits_late_is_not_missed(address: str, database: str, ctx: Context) -> None:
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(socket(address, await key_for(ctx)))
        await client.subscribe(document("EventTail"), PINGS)
        await primed(client, ctx)
        writer = await asyncpg.connect(database)
        stack.push_async_callback(writer.close)
        transaction = writer.transaction()
        await transaction.start()
        late = await insert(writer, ctx, "late")
        await ping(ctx, "early")
        assert await notes_until(client, "early") == ["early"]
        await transaction.commit()
        item = await client.item()
        while item["data"]["note"] == "primer":
            item = await client.item()
        assert item["id"] == ids.encode_id(ids.EVENT, late)
        # As old as a transaction may be, and past what every poll looks at.
        await insert(writer, ctx, "very late", age=timedelta(seconds=40))
        assert await notes_until(client, "very late") == ["very late"]
        await ping(ctx, "last")
        assert await notes_until(client, "last") == ["last"]


async def test_a_client_that_reconnects_misses_nothing(address: str, database: str, ctx: Context) -> None:
    payload = await key_for(ctx)
    async with socket(address, payload) as client:
        await client.subscribe(document("EventTail"), PINGS)
        await primed(client, ctx)
        await ping(ctx, "seen")
        item = await client.item()
        while item["data"]["note"] != "seen":
            item = await client.item()
    writer = await asyncpg.connect(database)
    # Its id was made before the one that was seen, but nobody could see it.
    await insert(writer, ctx, "late", age=timedelta(seconds=5))
    await writer.close()
    await ping(ctx, *(f"missed {number}" for number in range(live.READ_ROWS + 10)))
    async with socket(address, payload) as client:
        await client.subscribe(document("EventTail"), {**PINGS, "after": item["id"]})
        last = f"missed {live.READ_ROWS + 9}"
        notes = await notes_until(client, last)
        assert notes == ["late", *(f"missed {number}" for number in range(live.READ_ROWS + 10))]
        await ping(ctx, "live")
        assert await notes_until(client, "live") == ["live"]


async def test_any_process_tells_of_what_any_other_wrote(
    address: str, database: str, engines: Engines, ctx: Context, tmp_path: Any
) -> None:
    other = create_app(settings_for(database, engines, tmp_path), SERVICES)
    payload = await key_for(ctx)
    async with serving(other) as second, socket(address, payload) as here, socket(second, payload) as there:
        for client in (here, there):
            await client.subscribe(document("EventTail"), PINGS)
            await primed(client, ctx)
        # The row is written by a connection that neither process knows of.
        writer = await asyncpg.connect(database)
        await insert(writer, ctx, "elsewhere")
        await writer.close()
        for client in (here, there):
            assert await notes_until(client, "elsewhere") == ["elsewhere"]
    await other.state.limiter.close()
    await other.state.readiness.close()


async def test_nothing_crosses_a_workspace_or_mode(
    address: str, ctx: Context, live_ctx: Context, other_ctx: Context
) -> None:
    everyone = (ctx, live_ctx, other_ctx)
    async with AsyncExitStack() as stack:
        clients = []
        for each in everyone:
            client = await stack.enter_async_context(socket(address, await key_for(each)))
            await client.subscribe(document("EventTail"), PINGS)
            await primed(client, each)
            clients.append(client)
        for number, each in enumerate(everyone):
            await ping(each, f"of {number}")
        for number, (client, each) in enumerate(zip(clients, everyone, strict=True)):
            await ping(each, "end")
            assert await notes_until(client, "end") == [f"of {number}", "end"]
        hidden = (await factories.make_list(other_ctx)).id
        campaign = ids.encode_id(ids.CAMPAIGN, hidden)
        await clients[0].subscribe(document("CampaignProgress"), {"id": campaign}, id="2")
        message = await clients[0].hear()
        assert message["payload"]["errors"][0]["extensions"]["code"] == "resource_missing"
        assert await clients[0].hear() == {"type": "complete", "id": "2"}


async def test_new_replies(address: str, ctx: Context) -> None:
    maria = await factories.make_contact(ctx, "+12125550101", first_name="Maria")

    async def reply(text: str) -> None:
        async with unit_of_work():
            await replies.receive_inbound(
                ctx, from_phone=maria.phone, to_sender="MASSIVESMS", text=text, dedupe_key=text
            )

    payload = await key_for(ctx)
    await reply("First")
    async with socket(address, payload) as client:
        first = ids.encode_id(ids.INBOUND, (await replies.list_inbound(ctx, _page())).items[0].id)
        await client.subscribe(document("NewReplies"), {"after": first})
        await reply("When?")
        got = await client.item()
        assert (got["from"], got["body"], got["contact"]["firstName"]) == (maria.phone, "When?", "Maria")


def _page() -> Any:
    from msvs.api.pages import PageRequest

    return PageRequest(limit=1)


async def test_campaign_progress(address: str, ctx: Context) -> None:
    contact_list = await factories.make_list(ctx, [await factories.make_contact(ctx)])
    later = datetime.now(UTC) + timedelta(days=1)
    async with unit_of_work():
        row = await campaigns.create_campaign(
            ctx, campaigns.CreateCampaign(name="C", body="Hey", list_ids=[contact_list.id], scheduled_at=later)
        )
    campaign = ids.encode_id(ids.CAMPAIGN, row.id)
    async with socket(address, await key_for(ctx)) as client:
        await client.subscribe(document("CampaignProgress"), {"id": campaign})
        first = await client.item()
        assert (first["status"], first["stats"]["recipients"]) == ("SCHEDULED", 0)
        async with unit_of_work():
            await campaigns.pause_campaign(ctx, row.id)
        assert (await client.item())["pauseReason"] == "manual"
        async with unit_of_work():
            await campaigns.cancel_campaign(ctx, row.id)
        assert (await client.item())["status"] == "CANCELED"
        assert await client.hear() == {"type": "complete", "id": "1"}


# Who may connect


@dataclass(frozen=True)
class Opening:
    """How a connection begins, and the code that closes it; a status where there is none."""

    name: str
    code: int
    reason: str = ""
    origin: str | None = "OWN"
    cookie: bool = True
    payload: dict[str, Any] = field(default_factory=dict)


OPENINGS = [
    Opening("a foreign page", 403, origin="https://evil.example"),
    Opening("an opaque origin", 403, origin="null"),
    Opening("a cookie without an origin", 4403, "origin_refused", origin=None),
    Opening("no CSRF token", 4403, "csrf_invalid", payload={"csrfToken": None}),
    Opening("a wrong CSRF token", 4403, "csrf_invalid", payload={"csrfToken": "x"}),
    Opening("nothing", 4401, "session_invalid", cookie=False),
    Opening("a malformed key", 4401, "api_key_malformed", payload={"authorization": "Bearer x"}),
    Opening("another's workspace", 4403, "resource_missing", payload={"workspace": "OTHER"}),
    Opening("a mode of a string", 4403, "parameter_invalid", payload={"livemode": "true"}),
]


@pytest.mark.parametrize("opening", OPENINGS, ids=lambda opening: opening.name)
async def test_refused_connections_are_closed_with_their_code(
    opening: Opening, address: str, workspace: Workspace, other_ctx: Context
) -> None:
    rosa = await make_user("rosa@cohortlabs.co", (workspace, Role.OWNER))
    browser = Browser(f"http://{address}")
    await browser.log_in(rosa.email)
    cookie = f"msvs_session={browser.http.cookies['msvs_session']}"
    await browser.http.aclose()
    origin = f"http://{address}" if opening.origin == "OWN" else opening.origin
    payload = {"csrfToken": browser.csrf, **opening.payload}
    if payload.get("workspace") == "OTHER":
        payload["workspace"] = ids.encode_id(ids.WORKSPACE, other_ctx.workspace_id)
    headers = {"Cookie": cookie} if opening.cookie else {}
    if opening.code == 403:
        with pytest.raises(InvalidStatus) as refused:
            async with raw_socket(address, origin=origin, **headers):
                pass
        assert refused.value.response.status_code == 403
        return
    async with raw_socket(address, origin=origin, **headers) as client:
        await client.say(type="connection_init", payload=payload)
        assert await client.closing() == (opening.code, opening.reason)


@pytest.mark.parametrize("name", ["authorization", "Authorization", "AUTHORIZATION", "aUTHORIZATION"])
async def test_the_key_is_read_with_any_letter_case_of_its_name(address: str, ctx: Context, name: str) -> None:
    (authorization,) = (await key_for(ctx)).values()
    async with socket(address, {name: authorization}) as client:
        await client.subscribe(document("EventTail"), PINGS)
        await primed(client, ctx)
        await ping(ctx, "one")
        assert await notes_until(client, "one") == ["one"]


@pytest.mark.parametrize("said", [{}, {"payload": None}, {"payload": {}}, {"payload": []}, {"payload": "Bearer"}])
async def test_a_connection_without_a_key_is_closed_with_api_key_missing(address: str, said: dict[str, Any]) -> None:
    async with raw_socket(address) as client:
        await client.say(type="connection_init", **said)
        assert await client.closing() == (4401, "api_key_missing")


async def test_a_browser_connects_with_its_cookie(address: str, workspace: Workspace, live_ctx: Context) -> None:
    rosa = await make_user("rosa@cohortlabs.co", (workspace, Role.OWNER))
    browser = Browser(f"http://{address}")
    await browser.log_in(rosa.email)
    payload = {
        "csrfToken": browser.csrf,
        "workspace": ids.encode_id(ids.WORKSPACE, workspace.id),
        "livemode": True,
    }
    cookie = f"msvs_session={browser.http.cookies['msvs_session']}"
    async with socket(address, payload, origin=f"http://{address}", Cookie=cookie) as client:
        await client.subscribe(document("EventTail"), PINGS)
        await primed(client, live_ctx)
        await ping(live_ctx, "one")
        assert await notes_until(client, "one") == ["one"]
        await browser.run(document("LogOut"))
        assert await client.closing() == (4401, "session_invalid")
    await browser.http.aclose()


@pytest.mark.parametrize("change", ["removed", "suspended_at", "deletes_at", "requires_second_factor"])
async def test_a_member_who_may_enter_no_more_is_cut_off(
    change: str, address: str, workspace: Workspace, ctx: Context
) -> None:
    luis = await make_user("luis@cohortlabs.co", (workspace, Role.MEMBER))
    browser = Browser(f"http://{address}")
    await browser.log_in(luis.email)
    cookie = f"msvs_session={browser.http.cookies['msvs_session']}"
    await browser.http.aclose()
    async with socket(address, {"csrfToken": browser.csrf}, origin=f"http://{address}", Cookie=cookie) as client:
        await client.subscribe(document("EventTail"), PINGS)
        await primed(client, ctx)
        if change == "removed":
            await Membership.filter(user_id=luis.id).delete()
        else:
            value = True if change == "requires_second_factor" else await db_now()
            await Workspace.filter(id=workspace.id).update(**{change: value})
        assert await client.closing() == (4401, "session_invalid")


async def test_a_member_whose_role_changes_is_cut_off(address: str, workspace: Workspace, ctx: Context) -> None:
    rosa = await make_user("rosa@cohortlabs.co", (workspace, Role.OWNER))
    luis = await make_user("luis@cohortlabs.co", (workspace, Role.MEMBER))
    owner, browser = Browser(f"http://{address}"), Browser(f"http://{address}")
    await owner.log_in(rosa.email)
    await browser.log_in(luis.email)
    cookie = f"msvs_session={browser.http.cookies['msvs_session']}"
    payload, origin = {"csrfToken": browser.csrf}, f"http://{address}"
    async with socket(address, payload, origin=origin, Cookie=cookie) as client:
        await client.subscribe(document("EventTail"), PINGS)
        await primed(client, ctx)
        given = {"id": ids.encode_id(ids.USER, luis.id), "role": "READ_ONLY"}
        changed = await owner.run(document("ChangeMemberRole"), given)
        assert changed["changeMemberRole"]["role"] == "READ_ONLY"
        assert await client.closing() == (4401, "session_invalid")
    # The session itself goes on: its next connection is of the new role.
    async with socket(address, payload, origin=origin, Cookie=cookie) as client:
        await client.subscribe(document("EventTail"), PINGS)
        await primed(client, ctx)
    assert (await browser.run(document("Viewer")))["viewer"]["role"] == "READ_ONLY"
    for each in (owner, browser):
        await each.http.aclose()


async def test_a_key_revoked_is_cut_off(address: str, ctx: Context) -> None:
    async with socket(address, await key_for(ctx)) as client:
        await client.subscribe(document("EventTail"), PINGS)
        await primed(client, ctx)
        await execute("UPDATE api_keys SET revoked_at = now()")
        assert await client.closing() == (4401, "api_key_revoked")


# What a client may do


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([{"type": "subscribe", "id": "1", "payload": {"query": "{ a }"}}], 4401),
        ([{"type": "ping"}], 4401),
        (["INIT", {"type": "connection_init"}], 4429),
        (["INIT", {"type": "start", "id": "1"}], 4400),
        (["INIT", {}], 4400),
        (["INIT", "not JSON"], 4400),
        (["INIT", "[]"], 4400),
        (["INIT", b"\x00\x01"], 4400),
        (["INIT", '{"type": "ping", "type": "ping"}'], 4400),
        (["INIT", {"type": "subscribe", "payload": {"query": "{ a }"}}], 4400),
        (["INIT", {"type": "subscribe", "id": "", "payload": {"query": "{ a }"}}], 4400),
        (["INIT", {"type": "subscribe", "id": "x" * 101, "payload": {"query": "{ a }"}}], 4400),
        (["INIT", {"type": "subscribe", "id": "1"}], 4400),
        (["INIT", "TAIL", "TAIL"], 4409),
        (["INIT", "LONG", "LONG"], 4409),
        (["INIT", "x" * 200_000], 1009),
    ],
)
async def test_what_breaks_the_protocol_ends_the_connection(
    messages: list[Any], code: int, address: str, ctx: Context
) -> None:
    named = {
        "INIT": {"type": "connection_init", "payload": await key_for(ctx)},
        "TAIL": {"type": "subscribe", "id": "1", "payload": {"query": document("EventTail")}},
        "LONG": {"type": "subscribe", "id": "\U0001f600" * 100, "payload": {"query": document("EventTail")}},
    }
    async with raw_socket(address) as client:
        for message in messages:
            message = named.get(message, message) if isinstance(message, str) else message
            await client.connection.send(message if isinstance(message, str | bytes) else json.dumps(message))
        assert (await client.closing())[0] == code


async def test_another_subprotocol_is_not_spoken(address: str) -> None:
    async with raw_socket(address, protocol="graphql-ws") as client:
        assert await client.closing() == (4406, "Subprotocol not acceptable")


async def test_a_silent_connection_is_not_waited_for(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "INIT_SECONDS", 0.05)
    async with raw_socket(address) as client:
        assert await client.closing() == (4408, "Connection initialisation timeout")


async def test_a_connection_without_subscriptions_is_closed(
    address: str, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "IDLE_SECONDS", 0.05)
    async with socket(address, await key_for(ctx)) as client:
        assert await client.closing() == (1000, "Idle")


REFUSED = [
    ({"query": "{ viewer { actor } }"}, "document_invalid"),
    ({"query": "mutation { logOut { __typename } }"}, "document_invalid"),
    ({"query": "subscription { nonsense }"}, "document_invalid"),
    ({"query": "subscription { newReplies { id } eventTail { id } }"}, "document_invalid"),
    ({}, "parameter_missing"),
    ({"query": 1}, "parameter_invalid"),
    ({"query": "{ a }", "x": 1}, "parameter_unknown"),
    (
        {
            "query": "subscription { newReplies { contact {"
            " messages(first: 100) { nodes { contact { id } campaign { id } } } } } }"
        },
        "cost_too_high",
    ),
]


@pytest.mark.parametrize(("payload", "code"), REFUSED)
async def test_what_is_not_run(payload: dict[str, Any], code: str, address: str, ctx: Context) -> None:
    async with socket(address, await key_for(ctx)) as client:
        await client.say(type="subscribe", id="1", payload=payload)
        message = await client.hear()
        assert (message["type"], message["id"]) == ("error", "1")
        assert {each["extensions"]["code"] for each in message["payload"]} == {code}
    authorization = await key_for(ctx)
    async with httpx.AsyncClient(base_url=f"http://{address}", headers=authorization) as http:
        response = await http.post("/graphql/stream", json=payload)
        assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (400, code)


@pytest.mark.parametrize(
    ("variables", "code"), [({"types": "NONE"}, "variables_invalid"), ({"after": "msg_1"}, "id_invalid")]
)
async def test_an_argument_refused_ends_the_subscription(
    variables: dict[str, Any], code: str, address: str, ctx: Context
) -> None:
    async with socket(address, await key_for(ctx)) as client:
        await client.subscribe(document("EventTail"), variables)
        assert (await client.hear())["payload"]["errors"][0]["extensions"]["code"] == code
        assert await client.hear() == {"type": "complete", "id": "1"}


async def test_too_much_is_not_sent_again(address: str, ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "READ_ROWS", 2)
    monkeypatch.setattr(live, "MAX_REPLAY", 4)
    await ping(ctx, *"abcde")
    async with socket(address, await key_for(ctx)) as client:
        for number, place in enumerate((UUID(int=0), UUID(int=(1 << 128) - 1))):
            after = ids.encode_id(ids.EVENT, place)
            await client.subscribe(document("EventTail"), {**PINGS, "after": after}, id=str(number))
        messages = [await client.hear() for _ in range(6)]
        assert {message["id"] for message in messages} == {"0"}
        assert [each["payload"]["data"]["eventTail"]["data"]["note"] for each in messages[:4]] == [*"abcd"]
        assert messages[4]["payload"]["errors"][0]["extensions"]["code"] == "cursor_too_old"
        assert messages[5] == {"type": "complete", "id": "0"}


async def test_subscriptions_are_bounded(address: str, ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = await key_for(ctx)
    monkeypatch.setattr(live, "MAX_SUBSCRIPTIONS", 1)
    async with socket(address, payload) as client:
        await client.subscribe(document("EventTail"), PINGS)
        await primed(client, ctx)
        await client.subscribe(document("NewReplies"), id="2")
        while (message := await client.hear())["id"] != "2":
            pass
        assert message["payload"]["errors"][0]["extensions"]["code"] == "too_many_subscriptions"
        monkeypatch.setattr(streams, "MAX_ON_CONNECTION", 1)
        await client.subscribe(document("NewReplies"), id="3")
        while (message := await client.hear())["id"] != "3":
            pass
        assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "too_many_subscriptions")
    # Those of a connection that is gone do not count.
    async with socket(address, payload) as client:
        await client.subscribe(document("EventTail"), PINGS)
        await primed(client, ctx)


async def is_let_in(address: str, payload: dict[str, Any]) -> bool:
    """Whether another connection is taken."""
    async with raw_socket(address) as client:
        try:
            await client.say(type="connection_init", payload=payload)
            return await client.hear() == {"type": "connection_ack"}
        except ConnectionClosed:
            return False


async def test_connections_are_bounded(address: str, ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_CONNECTIONS", 2)
    payload = await key_for(ctx)
    async with socket(address, payload) as first:
        async with socket(address, payload) as second:
            # Even before it says who it is.
            async with raw_socket(address) as third:
                assert await third.closing() == (1013, "Too many connections")
            for client in (first, second):
                await client.say(type="ping")
                assert await client.hear() == {"type": "pong"}
            await second.connection.close()
        # One that is gone makes room for another, once the server has seen it go.
        async with asyncio.timeout(PATIENCE):
            while not await is_let_in(address, payload):
                pass
        await first.say(type="ping")
        assert await first.hear() == {"type": "pong"}


async def test_a_silent_connection_takes_no_place_of_others(
    address: str, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MAX_OF_STRANGER", 1)
    payload = await key_for(ctx)
    async with raw_socket(address) as silent:
        async with raw_socket(address) as another:
            assert await another.closing() == (1013, "Too many connections")
        await silent.say(type="connection_init", payload=payload)
        assert await silent.hear() == {"type": "connection_ack"}
        # One that has said who it is counts as its workspace's.
        assert await is_let_in(address, payload)


async def test_a_workspace_does_not_take_the_place_of_others(
    address: str, ctx: Context, other_ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MAX_OF_WORKSPACE", 1)
    async with socket(address, await key_for(ctx)), raw_socket(address) as second:
        await second.say(type="connection_init", payload=await key_for(ctx))
        assert await second.closing() == (1013, "Too many connections")
        assert await is_let_in(address, await key_for(other_ctx))


async def test_a_client_that_is_too_slow_is_cut_off(
    address: str, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MAX_QUEUE", 5)
    async with socket(address, await key_for(ctx)) as client:
        await client.subscribe(document("EventTail"), PINGS)
        await primed(client, ctx)
        await ping(ctx, *"abcdefghij")
        assert await client.closing() == (4413, "Too slow")


async def test_a_subscription_is_not_an_answer(address: str, ctx: Context) -> None:
    async with httpx.AsyncClient(base_url=f"http://{address}", headers=await key_for(ctx)) as http:
        response = await http.post("/graphql", json={"query": document("EventTail")})
        assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (200, "document_invalid")


# Server-sent events


async def events_of(response: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    """The events of a stream, comments as events of no name."""
    lines = response.aiter_lines()
    name, data = "", ""
    async for line in lines:
        if line.startswith("event:"):
            name = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            data = line.removeprefix("data:").strip()
        elif line.startswith(":"):
            yield "", None
        elif name:
            yield name, json.loads(data) if data else None
            name, data = "", ""


async def test_server_sent_events(
    address: str, workspace: Workspace, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "KEEP_ALIVE_SECONDS", 0.05)
    rosa = await make_user("rosa@cohortlabs.co", (workspace, Role.OWNER))
    browser = Browser(f"http://{address}")
    await browser.log_in(rosa.email)
    headers = {"origin": browser.origin, "x-csrf-token": str(browser.csrf), "accept": "text/event-stream"}
    body = {"query": document("EventTail"), "variables": PINGS}
    async with browser.http.stream("POST", "/graphql/stream", json=body, headers=headers) as response:
        assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream")
        assert response.headers["x-request-id"].startswith("req_")
        events = events_of(response)
        # Alive, though nothing happens.
        assert await anext(events) == ("", None)
        notes: list[str] = []
        await ping(ctx, "one")
        while "one" not in notes:
            name, answer = await anext(events)
            if name == "next":
                notes.append(answer["data"]["eventTail"]["data"]["note"])
            elif len(notes) == 0:
                await ping(ctx, "one")
        await browser.run(document("LogOut"))
        seen = [event async for event in events if event[0]]
        assert seen[-1] == ("complete", None)
        assert seen[-2][1]["errors"][0]["extensions"]["code"] == "session_invalid"
    refused = await browser.http.post("/graphql/stream", json=body, headers=headers)
    assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (401, "api_key_missing")
    await browser.http.aclose()


async def test_a_stream_ends_when_there_is_no_more(address: str, ctx: Context) -> None:
    contact_list = await factories.make_list(ctx, [await factories.make_contact(ctx)])
    later = datetime.now(UTC) + timedelta(days=1)
    async with unit_of_work():
        row = await campaigns.create_campaign(
            ctx, campaigns.CreateCampaign(name="C", body="Hey", list_ids=[contact_list.id], scheduled_at=later)
        )
        await campaigns.cancel_campaign(ctx, row.id)
    body = {
        "query": document("CampaignProgress"),
        "variables": {"id": ids.encode_id(ids.CAMPAIGN, row.id)},
    }
    async with httpx.AsyncClient(base_url=f"http://{address}", headers=await key_for(ctx), timeout=PATIENCE) as http:
        response = await http.post("/graphql/stream", json=body)
    first, last = response.text.split("\n\n")[:2]
    assert json.loads(first.partition("data: ")[2])["data"]["campaignProgress"]["status"] == "CANCELED"
    assert last == "event: complete\ndata:"
