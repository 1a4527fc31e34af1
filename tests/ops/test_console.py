"""The operators' area over HTTP: its own session, what it shows, and acts that are done once and stand in the log."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis
from starlette.applications import Starlette

from msvs import database as db
from msvs.api import ids
from msvs.api.accounts.operators import SHARED
from msvs.api.accounts.workspace_deletion import GRACE, cancel_deletion, delete_workspace
from msvs.api.context import Context, Visitor
from msvs.api.unit_of_work import unit_of_work
from msvs.app import create_app
from msvs.models import AuditEntry, CarrierState, LedgerEntry, Membership, OperatorEntry, Role, Route, User, Workspace
from msvs.ops.console import PAGE, ROUTES
from msvs.ops.failed_jobs import tell_trace
from msvs.settings import Settings
from msvs.workers.maintenance import erase_deleted
from tests import factories
from tests.api.accounts.test_workspace_deletion import join
from tests.engines import Engines
from tests.ops.test_rq_page import queue, work
from tests.services import SERVICES

PASSWORD = "correct-horse-battery"
ORIGIN = "http://msvs"
SAME_ORIGIN = {"Origin": ORIGIN}

Open = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def app(clean: None, database: str, engines: Engines, tmp_path: Path) -> AsyncIterator[Starlette]:
    app = create_app(
        Settings(
            database_url=database,
            redis_url=engines.redis_url,
            data_dir=tmp_path,
            operator_password=PASSWORD,
            allowed_hosts=("msvs",),
        ),
        SERVICES,
    )
    yield app
    await app.state.limiter.close()
    await app.state.readiness.close()


@pytest.fixture
async def browser(app: Starlette) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def open_browser(*, signed_in: bool = True, address: str = "203.0.113.7") -> httpx.AsyncClient:
            transport = httpx.ASGITransport(app, client=(address, 40_000))
            client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url=ORIGIN))
            if signed_in:
                assert (await post(client, "/session", password=PASSWORD)).status_code == 200
            return client

        yield open_browser


async def post(client: httpx.AsyncClient, path: str, **body: Any) -> httpx.Response:
    return await client.post(f"/ops/api{path}", json=body, headers=SAME_ORIGIN)


async def get(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(f"/ops/api{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def acts() -> list[tuple[str, str, str | None]]:
    rows = await OperatorEntry.exclude(action="signed_in").order_by("id")
    return [(row.operator, row.action, row.detail) for row in rows]


def public(workspace: Workspace) -> str:
    return ids.encode_id(ids.WORKSPACE, workspace.id)


async def test_the_shared_password_opens_a_session_that_ends(browser: Open) -> None:
    client = await browser(signed_in=False)
    wrong = await post(client, "/session", password="guess")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "login_invalid")
    assert "Set-Cookie" not in wrong.headers
    opened = await post(client, "/session", password=PASSWORD)
    assert (opened.status_code, opened.json()["operator"]) == (200, SHARED)
    assert all(
        {"HttpOnly", "Path=/ops", "SameSite=strict"} <= set(cookie.split("; "))
        for cookie in opened.headers.get_list("Set-Cookie")
    )
    shown = await client.get("/ops/api/session")
    assert shown.json()["operator"] == SHARED
    assert shown.headers["Cache-Control"] == "no-store"
    assert shown.headers["X-Frame-Options"] == "DENY"
    token = client.cookies["msvs_ops"]
    other = await browser(signed_in=False)
    with_token = {"Cookie": f"msvs_ops={token}"}
    assert (await other.get("/ops/api/session", headers=with_token)).status_code == 200
    assert (await client.delete("/ops/api/session", headers=SAME_ORIGIN)).status_code == 204
    assert (await other.get("/ops/api/session", headers=with_token)).status_code == 401


async def test_the_eleventh_wrong_password_waits(browser: Open) -> None:
    client = await browser(signed_in=False)
    for _ in range(10):
        assert (await post(client, "/session", password="guess")).status_code == 401
    held_back = await post(client, "/session", password=PASSWORD)
    assert (held_back.status_code, held_back.json()["error"]["code"]) == (429, "login_throttled")
    assert 1 <= int(held_back.headers["Retry-After"]) <= 60


async def test_nothing_answers_a_stranger(browser: Open, workspace: Workspace) -> None:
    client = await browser(signed_in=False)
    for method, path in ROUTES:
        url = f"/ops/api{path}".replace("{id}", public(workspace))
        refused = await client.request(method, url, headers=SAME_ORIGIN)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "session_invalid"), (method, path)


@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "http://elsewhere.example"}, {**SAME_ORIGIN, "Sec-Fetch-Site": "same-site"}], ids=str
)
async def test_no_other_site_changes_anything(browser: Open, workspace: Workspace, headers: dict[str, str]) -> None:
    client = await browser()
    body = {"credits": 5, "reason": "x", "key": "k", "carrier": "virtual", "password": PASSWORD}
    changing = [each for each in [("POST", "/session"), *ROUTES] if each[0] != "GET"]
    assert len(changing) == 8
    for method, path in changing:
        url = f"/ops/api{path}".replace("{id}", public(workspace))
        refused = await client.request(method, url, json=body, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "origin_refused"), (method, path)
    assert await acts() == []


async def test_the_overview_has_every_check_and_number(browser: Open) -> None:
    shown = await get(await browser(), "/overview")
    assert {check["name"]: check["is_needed"] for check in shown["checks"]} == {
        **dict.fromkeys(("database", "migrations"), True),
        **dict.fromkeys(("redis", "workers", "cron", "disk"), False),
    }
    assert {"queue": "messages", "value": 0.0} in shown["numbers"]["workers"]
    assert {"engine": "redis", "value": 1.0} in shown["numbers"]["up"]
    assert "messages_waiting" in shown["numbers"]


async def test_credits_are_granted_once_with_their_reason(browser: Open, ctx: Context, workspace: Workspace) -> None:
    client, id = await browser(), public(workspace)
    body = {"credits": 500, "reason": "  Late  delivery of May ", "key": secrets.token_hex(8)}
    answers = await asyncio.gather(*(post(client, f"/workspaces/{id}/grants", **body) for _ in range(3)))
    assert sorted(answer.json()["granted"] for answer in answers) == [0, 0, 500]
    assert {answer.json()["balance"] for answer in answers} == {10_500}
    entry = await LedgerEntry.get(reference=f"operator:{body['key']}")
    assert (entry.kind, entry.amount, entry.note) == ("grant", 500, "Late delivery of May")
    assert await acts() == [(SHARED, "credits_granted", f"{id} +500: Late delivery of May")]
    shown = await get(client, f"/workspaces/{id}")
    assert (shown["balance"], shown["ledger"][0]["note"]) == (10_500, "Late delivery of May")


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"credits": 0}, "credits"),
        ({"credits": -5}, "credits"),
        ({"credits": 10**12 + 1}, "credits"),
        ({"credits": 1.5}, "credits"),
        ({"credits": "500"}, "credits"),
        ({"credits": True}, "credits"),
        ({"credits": None}, "credits"),
        ({"reason": ""}, "reason"),
        ({"reason": " \n "}, "reason"),
        ({"reason": "x" * 121}, "reason"),
        ({"key": ""}, "key"),
        ({"key": "k" * 41}, "key"),
        ({"key": "k\n"}, "key"),
        ({"amount": 5}, "amount"),
    ],
    ids=str,
)
async def test_a_wrong_grant_adds_nothing(
    browser: Open, workspace: Workspace, wrong: dict[str, object], param: str
) -> None:
    client, id = await browser(), public(workspace)
    refused = await post(client, f"/workspaces/{id}/grants", **{"credits": 5, "reason": "x", "key": "k"} | wrong)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
    assert await acts() == []
    assert (await get(client, f"/workspaces/{id}"))["balance"] == 10_000


async def test_a_workspace_is_held_and_released(browser: Open, workspace: Workspace) -> None:
    client, id = await browser(), public(workspace)
    for changed in (True, False):
        answer = await post(client, f"/workspaces/{id}/hold", reason="Spam")
        assert answer.json() == {"id": id, "held": True, "changed": changed}
    assert (await Workspace.get(id=workspace.id)).suspended_at is not None
    assert [row["id"] for row in (await get(client, "/workspaces?held=1"))["items"]] == [id]
    assert (await post(client, f"/workspaces/{id}/hold", reason="")).status_code == 400
    assert (await post(client, f"/workspaces/{id}/release", reason="Sorted out")).json()["changed"]
    assert (await Workspace.get(id=workspace.id)).suspended_at is None
    assert await acts() == [
        (SHARED, "workspace_held", f"{id}: Spam"),
        (SHARED, "workspace_released", f"{id}: Sorted out"),
    ]


async def test_workspaces_are_found_by_name_id_and_address(browser: Open, workspace: Workspace) -> None:
    client = await browser()
    other = await factories.make_workspace()
    await Workspace.filter(id=other.id).update(name="Doors 100% open")
    user = await User.create(email="ada@cohortlabs.co", name="Ada", password_hash="x")
    await Membership.create(user_id=user.id, workspace_id=workspace.id, role=Role.OWNER)

    async def found(text: str) -> list[str]:
        answer = await client.get("/ops/api/workspaces", params={"q": text})
        return [row["id"] for row in answer.json()["items"]]

    assert await found("") == [public(other), public(workspace)]
    assert await found("doors 100%") == [public(other)]
    assert await found("100_") == []
    assert await found(public(other)) == [public(other)]
    assert await found(" ADA@cohortlabs.co ") == [public(workspace)]
    assert await found("x' OR true --") == []
    (shown,) = (await get(client, f"/workspaces/{public(workspace)}"))["members"]
    assert shown == {"name": "Ada", "email": "ada@cohortlabs.co", "is_confirmed": True, "role": "owner"}


async def test_workspaces_and_entries_come_in_pages(browser: Open, workspace: Workspace) -> None:
    client, id = await browser(), public(workspace)
    for number in range(PAGE + 2):
        await post(client, f"/workspaces/{id}/grants", credits=1, reason=f"No {number}", key=str(number))
    first = await get(client, "/entries?action=credits_granted")
    assert (len(first["items"]), first["has_more"]) == (PAGE, True)
    assert first["items"][0]["detail"].endswith(f"No {PAGE + 1}")
    rest = await get(client, f"/entries?action=credits_granted&after={first['items'][-1]['id']}")
    assert [entry["detail"].rpartition(": ")[2] for entry in rest["items"]] == ["No 1", "No 0"]
    assert not rest["has_more"]
    assert (await get(client, "/entries?operator=grace"))["items"] == []
    for query in ("action=stole", "after=x", "operators=x", "after=ope_0"):
        assert (await client.get(f"/ops/api/entries?{query}")).status_code == 400


async def test_a_route_is_added_and_removed(browser: Open, workspace: Workspace) -> None:
    client, id = await browser(), public(workspace)
    made = (await post(client, "/routes", carrier="virtual", regions=["BR"], preference=5, price="0.0040")).json()
    assert made == {
        "id": made["id"],
        "workspace": None,
        "carrier": "virtual",
        "regions": ["BR"],
        "sender": None,
        "sender_kind": None,
        "preference": 5,
        "price": "0.004",
    }
    own = (await post(client, "/routes", carrier="virtual", workspace=id, sender_kind="short_code")).json()
    assert [row["id"] for row in (await get(client, "/routes"))["items"]] == [made["id"]]
    assert [row["id"] for row in (await get(client, f"/routes?workspace={id}"))["items"]] == [own["id"]]
    removed = await client.delete(f"/ops/api/routes/{made['id']}", headers=SAME_ORIGIN)
    assert removed.json() == {"id": made["id"], "removed": True}
    assert (await client.delete(f"/ops/api/routes/{made['id']}", headers=SAME_ORIGIN)).status_code == 404
    assert await acts() == [
        (SHARED, "route_added", f"{made['id']} to virtual BR"),
        (SHARED, "route_added", f"{own['id']} to virtual short_code"),
        (SHARED, "route_removed", made["id"]),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"carrier": "nobody"},
        {"regions": ["XX"]},
        {"price": "dear"},
        {"price": "-1"},
        {"price": "NaN"},
        {"price": "1e9"},
        {"preference": 99_999},
        {"sender_kind": "pigeon"},
        {"workspace": "wsp_0"},
        {"more": 1},
    ],
    ids=str,
)
async def test_a_wrong_route_is_not_added(browser: Open, wrong: dict[str, object]) -> None:
    refused = await post(await browser(), "/routes", **{"carrier": "virtual"} | wrong)
    assert refused.status_code in (400, 404), refused.text
    assert (await Route.all().count(), await acts()) == (0, [])


async def test_carriers_show_their_breakers(browser: Open) -> None:
    await CarrierState.create(
        name="virtual", state="open", failures=5, trips=2, reason="It is away", updated_at=await db.now()
    )
    (shown,) = (await get(await browser(), "/carriers"))["items"]
    assert (shown["name"], shown["binds"]) == ("virtual", None)
    assert shown["breaker"] == {"state": "open", "failures": 5, "trips": 2, "retry_at": None, "reason": "It is away"}


async def test_a_job_that_broke_is_looked_at_and_requeued_once(browser: Open, engines: Engines) -> None:
    client = await browser()
    assert (await get(client, "/jobs"))["items"] == []
    with Redis.from_url(engines.redis_url) as redis:
        job = queue("webhooks", redis).enqueue("tests.ops.jobs.deliver", "https://cohortlabs.co")
        waiting = queue("webhooks", redis)
        assert (await client.get(f"/ops/api/jobs/{job.id}")).status_code == 404
        work("webhooks", redis)
        (shown,) = (await get(client, "/jobs"))["items"]
        assert (shown["id"], shown["queue"], shown["trace"]) == (job.id, "webhooks", None)
        assert (shown["error"], shown["function"]) == ("ConnectionError", "tests.ops.jobs.deliver")
        assert (await get(client, "/jobs?queue=messages"))["items"] == []
        trace = (await get(client, f"/jobs/{job.id}"))["trace"]
        assert trace.startswith("Traceback")
        assert trace.endswith("ConnectionError")
        answers = [await post(client, f"/jobs/{job.id}/requeue") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 404]
        assert waiting.get_job_ids() == [job.id]
    assert await acts() == [(SHARED, "job_requeued", f"{job.id} of webhooks")]


async def test_failed_jobs_come_in_pages_and_one_that_cannot_be_read_hides_none(
    browser: Open, engines: Engines
) -> None:
    client = await browser()
    with Redis.from_url(engines.redis_url) as redis:
        jobs = [queue("webhooks", redis).enqueue("tests.ops.jobs.deliver", f"https://{n}.co") for n in range(PAGE + 5)]
        work("webhooks", redis)
        broken, empty, gone = jobs[3].id, jobs[PAGE].id, jobs[7].id
        redis.hset(f"rq:job:{broken}", "data", b"\x80\x04\x95pickled")
        redis.hdel(f"rq:job:{empty}", "data")
        redis.delete(f"rq:job:{gone}")
        seen: list[dict[str, Any]] = []
        query, has_more = "", True
        while has_more:
            page = await get(client, f"/jobs?queue=webhooks{query}")
            seen += page["items"]
            query, has_more = f"&after={page['items'][-1]['id']}", page["has_more"]
        assert sorted(each["id"] for each in seen) == sorted({job.id for job in jobs} - {gone})
        unread = [each["id"] for each in seen if not each["is_readable"]]
        assert sorted(unread) == sorted((broken, empty))
        assert len((await get(client, "/jobs"))["items"]) >= PAGE - 1
        assert (await get(client, f"/jobs/{broken}"))["is_readable"] is False
        for id, status in ((broken, 400), (empty, 400), (gone, 404)):
            assert (await post(client, f"/jobs/{id}/requeue")).status_code == status
        assert (await client.get("/ops/api/jobs?after=none")).status_code == 400
    assert await acts() == []


async def test_a_failed_job_shows_no_argument_and_no_word_of_its_error(browser: Open, engines: Engines) -> None:
    client, phone, body = await browser(), "+12125550101", "Doors open at 8"
    key = "msvs_live_" + "k" * 36
    with Redis.from_url(engines.redis_url) as redis:
        job = queue("webhooks", redis).enqueue(
            "tests.ops.jobs.deliver", f"{phone} {body} {key}\n  {body}\nValueError: {body}"
        )
        work("webhooks", redis)
        told = [await client.get("/ops/api/jobs"), await client.get(f"/ops/api/jobs/{job.id}")]
    for answer in told:
        assert answer.status_code == 200
        for secret in (phone, "2125550101", body, key, "kkkk"):
            assert secret not in answer.text


async def test_a_trace_keeps_places_and_kinds() -> None:
    text = (
        "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nKeyError: '+12125550101'\n\n"
        "During handling of the above exception, another exception occurred:\n\n"
        'Traceback (most recent call last):\n  File "b.py", line 2, in h\n    raise JobFailed(x)\n'
        "msvs.workers.jobs.JobFailed: KeyError in f:1\nbody: Hey\n"
    )
    assert tell_trace(text) == (
        'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\nKeyError\n'
        'Traceback (most recent call last):\n  File "b.py", line 2, in h\n    raise JobFailed(x)\n'
        "msvs.workers.jobs.JobFailed: KeyError in f:1"
    )
    assert tell_trace("Work-horse terminated unexpectedly; +12125550101") == ""
    assert tell_trace("ValueError: Hey") == "ValueError"


async def test_a_hold_and_a_deletion_leave_each_other_alone(browser: Open, workspace: Workspace) -> None:
    client, id = await browser(), public(workspace)
    owner, proof = await join(workspace, Role.OWNER)

    async def shown() -> tuple[bool, bool, bool]:
        row, listed = await get(client, f"/workspaces/{id}"), (await get(client, "/workspaces"))["items"][0]
        assert {name: row[name] for name in listed} == listed
        held = [each["id"] for each in (await get(client, "/workspaces?held=1"))["items"]]
        assert held == ([id] if row["held_at"] else [])
        return row["held_at"] is not None, row["deletes_at"] is not None, row["erased_at"] is not None

    async with unit_of_work():
        await delete_workspace(owner, proof, workspace.name)
    assert await shown() == (False, True, False)
    assert not (await post(client, f"/workspaces/{id}/release", reason="No hold")).json()["changed"]
    assert await shown() == (False, True, False)
    refused = await post(client, f"/workspaces/{id}/grants", credits=5, reason="Sorry", key="1")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "workspace_deleting")
    assert (await post(client, f"/workspaces/{id}/hold", reason="Spam")).json()["changed"]
    assert await shown() == (True, True, False)
    async with unit_of_work():
        await cancel_deletion(Visitor(services=SERVICES), proof, workspace.id)
    assert await shown() == (True, False, False)
    assert (await post(client, f"/workspaces/{id}/grants", credits=5, reason="Sorry", key="1")).json()["granted"] == 5
    async with unit_of_work():
        await delete_workspace(owner, proof, workspace.name)
    assert await shown() == (True, True, False)
    assert (await post(client, f"/workspaces/{id}/release", reason="Sorted out")).json()["changed"]
    assert await shown() == (False, True, False)
    assert (await Workspace.get(id=workspace.id)).suspended_at is not None
    await erase_deleted(SERVICES, datetime.now(UTC) + GRACE)
    assert await shown() == (False, True, True)
    assert not (await post(client, f"/workspaces/{id}/release", reason="Again")).json()["changed"]
    assert (await Workspace.get(id=workspace.id)).suspended_at is not None


async def test_the_audit_log_of_a_workspace_names_the_operator(browser: Open, workspace: Workspace) -> None:
    client, id = await browser(), public(workspace)
    await post(client, f"/workspaces/{id}/hold", reason="Spam")
    await post(client, f"/workspaces/{id}/release", reason="Sorted out")
    await post(client, f"/workspaces/{id}/grants", credits=5, reason="Sorry", key="1")
    await post(client, f"/workspaces/{id}/grants", credits=5, reason="Sorry", key="1")
    entries = await AuditEntry.filter(workspace_id=workspace.id).order_by("id")
    assert [(row.actor, list(row.changes)) for row in entries] == [
        (f"operator:{SHARED}", ["suspended_at"]),
        (f"operator:{SHARED}", ["suspended_at"]),
        (f"operator:{SHARED}", ["granted_credits"]),
    ]
    assert [operator for operator, _, _ in await acts()] == [SHARED] * 3


async def test_without_the_database_the_answer_is_503_and_no_login(
    browser: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await browser()

    async def away(*_: object, **__: object) -> None:
        raise OSError

    client.cookies.clear()
    monkeypatch.setattr("msvs.ops.operator_sessions.operators.find_signed_in", away)
    answer = await client.get("/ops/api/overview", headers={"Cookie": "msvs_ops=named.x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service_unavailable")
    assert await db.fetch_value("SELECT 1") == 1
