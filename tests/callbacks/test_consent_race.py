"""All who write of a phone's consent at once, over sockets: nobody is told to come back, and no STOP is undone."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from asyncpg import DeadlockDetectedError

from msvs import database as db
from msvs.api import ids
from msvs.api.accounts import auth
from msvs.api.accounts.keys import create_key
from msvs.api.consent import consent, consent_audit, consent_chain
from msvs.api.context import Context
from msvs.api.dispatch.senders import add_sender
from msvs.api.resources import moment
from msvs.api.unit_of_work import unit_of_work
from msvs.app import create_app
from msvs.models import ConsentEvent, Contact, Suppression
from msvs.settings import Settings
from msvs.workers.reports import collect_reports
from tests.api.consent.test_revocation import WAITING
from tests.callbacks.test_routes import CARRIERS, SECRETS, TWILIO
from tests.carriers.fakes.server import PUBLIC_URL
from tests.carriers.under_test import SENDER
from tests.engines import Engines
from tests.factories import next_phone
from tests.http.test_server import port_of, serving
from tests.services import SERVICES

ROUNDS = 4
# What a message to somebody who is out, or who is being erased, is told.
SENDS = {"recipient_opted_out", "erasure_pending"}
EVIDENCE = {"source": "checkout", "ip": "203.0.113.4"}
UPDATE = """
mutation M($id: ID!, $input: UpdateContactInput!) {
  updateContact(id: $id, input: $input) { __typename ... on Error { code } }
}
"""


class Fronts:
    """One phone's writers, each by its front; every answer is counted by its status."""

    def __init__(self, http: httpx.AsyncClient, key: str) -> None:
        self.http = http
        self.headers = {"Authorization": f"Bearer {key}"}
        self.answers: Counter[int] = Counter()
        self.codes: Counter[str] = Counter()

    async def post(self, path: str, body: Any, *, is_keyed: bool = True) -> httpx.Response:
        headers = {**self.headers, **({"Idempotency-Key": str(ids.new_id())} if is_keyed else {})}
        answer = await self.http.post(path, json=body, headers=headers)
        self.answers[answer.status_code] += 1
        if answer.status_code >= 400:
            self.codes[answer.json()["error"]["code"]] += 1
        return answer

    async def say(self, phone: str, text: str) -> None:
        """The person writes, and the carrier tells it; a worker takes it in."""
        sent = TWILIO.inbound("twilio-main", phone, SENDER, text, sid=f"SM{ids.new_id().hex}")
        answer = await self.http.request(
            sent.method, sent.url.removeprefix(PUBLIC_URL), headers=dict(sent.headers), content=sent.body
        )
        self.answers[answer.status_code] += 1
        await collect_reports(SERVICES)

    async def create(self, phone: str, opt_in: Any) -> None:
        await self.post("/v1/contacts", {"phone": phone, "opt_in": opt_in})

    async def import_(self, phones: list[str], opt_in: Any) -> None:
        await self.post("/v1/contacts/import", {"contacts": [{"phone": one} for one in phones], "opt_in": opt_in})

    async def suppress(self, phones: list[str]) -> None:
        await self.post("/v1/suppressions/import", {"phones": phones})

    async def update(self, id: str, opt_in: Any) -> None:
        await self.post(f"/v1/contacts/{id}", {"first_name": "Ada", "opt_in": opt_in})

    async def renew(self, id: str) -> None:
        await self.update(id, {**EVIDENCE, "at": datetime.now(UTC).isoformat(), "renewed": True})

    async def mutate(self, id: str, **changes: Any) -> None:
        answer = await self.post("/graphql", {"query": UPDATE, "variables": {"id": id, "input": changes}})
        assert "errors" not in answer.json(), answer.json()

    async def act(self, id: str, verb: str) -> None:
        await self.post(f"/v1/contacts/{id}/{verb}", {})

    async def delete(self, id: str) -> None:
        answer = await self.http.delete(f"/v1/contacts/{id}", headers=self.headers)
        self.answers[answer.status_code] += 1

    async def send(self, phone: str) -> None:
        await self.post("/v1/messages", {"to": phone, "body": "Doors open.", "from": SENDER})


@pytest.fixture
async def fronts(
    live_ctx: Context, database: str, engines: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Fronts]:
    """The application behind a socket, with a carrier that calls back and a number of the workspace's."""
    carriers = tmp_path / "carriers.toml"
    carriers.write_text(CARRIERS)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    settings = Settings(
        database_url=database,
        redis_url=engines.redis_url,
        data_dir=tmp_path,
        public_url=PUBLIC_URL,
        allowed_hosts=("api.cohortlabs.co",),
        carriers=carriers,
        operator_password="not-a-secret",
    )
    app = create_app(settings, SERVICES)
    SERVICES.carriers.names = frozenset(("virtual", "twilio-main"))
    await add_sender(SERVICES, live_ctx.workspace_id, SENDER, registration="C0HORT")
    _, key = await create_key(live_ctx.workspace_id, livemode=True)
    async with serving(app) as running:
        limits = httpx.Limits(max_connections=40, max_keepalive_connections=40)
        url = f"http://127.0.0.1:{port_of(running)}"
        async with httpx.AsyncClient(base_url=url, limits=limits, timeout=60) as http:
            yield Fronts(http, key)
    await auth.settle(SERVICES)
    await app.state.limiter.close()
    await app.state.readiness.close()


async def known(ctx: Context, fronts: Fronts) -> tuple[str, str]:
    """A phone with a contact that is in, and its id."""
    phone = next_phone()
    await fronts.create(phone, EVIDENCE)
    return phone, ids.encode_id(ids.CONTACT, (await Contact.get(workspace_id=ctx.workspace_id, phone=phone)).id)


def syncs(fronts: Fronts, phone: str, id: str, other: str, number: int) -> list[Callable[[], Awaitable[None]]]:
    """What repeats that the person agreed once, by every front, and what takes the contact away."""
    dated = {**EVIDENCE, "at": moment(datetime.now(UTC))}
    return [
        partial(fronts.update, id, EVIDENCE),
        partial(fronts.import_, [phone, other], EVIDENCE),
        partial(fronts.mutate, id, optIn=EVIDENCE),
        partial(fronts.create, phone, EVIDENCE),
        partial(fronts.update, id, dated),
        partial(fronts.import_, [other, phone], dated),
        partial(fronts.create, phone, dated),
        partial(fronts.send, phone),
        partial(fronts.delete, id) if number % 2 else partial(fronts.act, id, "erase"),
    ]


async def test_no_sync_at_the_same_time_undoes_a_stop(live_ctx: Context, fronts: Fronts) -> None:
    for number in range(ROUNDS):
        (phone, id), other = await known(live_ctx, fronts), next_phone()
        await asyncio.gather(
            fronts.say(phone, "STOP"),
            fronts.say(phone, "please stop texting me"),
            fronts.suppress([other, phone]),
            *(act() for act in syncs(fronts, phone, id, other, number)),
        )
        await fronts.create(phone, EVIDENCE)
        for each in (phone, other):
            assert await Contact.filter(phone=each, opt_in_status="opted_in").count() == 0
        assert await send(fronts, phone) == 422
    await whole(live_ctx, fronts)


async def test_the_last_word_holds_of_all_that_are_said_at_once(live_ctx: Context, fronts: Fronts) -> None:
    for number in range(ROUNDS):
        (phone, id), other = await known(live_ctx, fronts), next_phone()
        await asyncio.gather(
            fronts.say(phone, "STOP"),
            fronts.say(phone, "START"),
            fronts.renew(id),
            fronts.act(id, "opt_out"),
            fronts.suppress([phone, other]),
            fronts.renew(id),
            *(act() for act in syncs(fronts, phone, id, other, number)),
        )
        contact = await Contact.get_or_none(phone=phone)
        last = await ConsentEvent.filter(phone=phone).order_by("-sequence").first()
        if contact is not None and last is not None:
            is_out = await Suppression.filter(phone=phone).exists()
            assert (contact.opt_in_status == "opted_out", last.status == "opted_out") == (is_out, is_out)
        await fronts.say(phone, "STOP")
        await fronts.create(phone, EVIDENCE)
        assert await send(fronts, phone) == 422
    await whole(live_ctx, fronts)


async def send(fronts: Fronts, phone: str) -> int:
    return (await fronts.post("/v1/messages", {"to": phone, "body": "Doors open.", "from": SENDER})).status_code


async def whole(ctx: Context, fronts: Fronts) -> None:
    """Nobody was told to come back, nothing was undone without reason, and the chain is whole."""
    assert {status for status in fronts.answers if status >= 500 or status == 429} == set()
    assert fronts.codes.keys() <= {"opt_in_revoked", "contact_exists", "contact_opted_out", "resource_missing"} | SENDS
    assert min(fronts.answers[status] for status in (200, 201, 409)) > 0
    assert await consent_audit.audit(SERVICES, workspace_id=ctx.workspace_id) == []
    assert (await consent_chain.verify(SERVICES, workspace_id=ctx.workspace_id)).is_whole


@pytest.mark.parametrize("front", ["keyed", "rest", "graphql"])
async def test_a_transaction_rolled_back_for_another_runs_again(live_ctx: Context, fronts: Fronts, front: str) -> None:
    """PostgreSQL ends one of two that wait for each other: the request, which has waited for longer."""
    _, id = await known(live_ctx, fronts)
    phone, held = next_phone(), asyncio.Event()

    async def change() -> None:
        await held.wait()
        if front == "graphql":
            await fronts.mutate(id, phone=phone)
        else:
            await fronts.post(f"/v1/contacts/{id}", {"phone": phone}, is_keyed=front == "keyed")

    changing = asyncio.create_task(change())
    with suppress(DeadlockDetectedError):
        async with unit_of_work():
            await consent.lock_suppressions(live_ctx)
            held.set()
            while not await db.fetch_value(WAITING):  # noqa: ASYNC110 - another connection's
                await asyncio.sleep(0.01)
            await Contact.all().select_for_update().first()
    await changing
    assert (await Contact.get()).phone == phone
    assert {status for status in fronts.answers if status >= 400} == set()
