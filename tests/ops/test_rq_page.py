"""The RQ page: rq-dashboard behind our session, on real jobs in a real Valkey."""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import WorkerStatus
from starlette.applications import Starlette

from msvs.ops.dashboard import make_dashboard
from msvs.ops.routes import ops_routes
from msvs.settings import Settings
from tests.ops import jobs
from tests.ops.conftest import ORIGIN, Browser

QUEUES = ("campaigns", "maintenance", "messages", "reports", "webhooks")
SAME_ORIGIN = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
PAGES = ["/", "/0/", "/0/view/queues", "/0/view/workers", "/0/view/jobs/messages/queued/8/asc/1"]
DATA = ["/0/data/queues.json", "/0/data/workers.json", "/0/data/jobs/messages/queued/8/asc/1.json"]
# Every route by which rq-dashboard 0.9 changes something.
CHANGES = [
    "/job/{job}/delete",
    "/job/{job}/requeue",
    "/requeue/webhooks",
    "/queue/webhooks/failed/empty",
    "/queue/webhooks/compact",
]


def queue(name: str, redis: Redis) -> Queue:
    return Queue(name, connection=redis, serializer=JSONSerializer)


class QuietWorker(SimpleWorker):
    """A worker that takes no commands, whose listener would take up to a second to stop."""

    def subscribe(self) -> None:
        """Listen to nothing."""

    def unsubscribe(self) -> None:
        """Nothing to stop."""

    def _install_signal_handlers(self) -> None:
        """Leave the signals to whom they belong: the run of the tests."""


def work(name: str, redis: Redis) -> None:
    QuietWorker([queue(name, redis)], connection=redis, serializer=JSONSerializer).work(burst=True)


@pytest.fixture
def failed(redis: Redis) -> Job:
    """A job that failed; a job waits in each queue besides."""
    job = queue("webhooks", redis).enqueue(
        jobs.deliver,
        "https://hooks.cohortlabs.co",
        description="Deliver due events",
        meta={"lane": "webhooks"},
    )
    work("webhooks", redis)
    for name in QUEUES:
        queue(name, redis).enqueue(jobs.dispatch, name, description=f"Dispatch due {name}")
    return job


async def post(client: httpx.AsyncClient, path: str, headers: dict[str, str]) -> httpx.Response:
    return await client.post(f"/ops/rq{path}", headers=headers)


def failed_ids(redis: Redis) -> list[str]:
    return list(queue("webhooks", redis).failed_job_registry.get_job_ids(cleanup=False))


@pytest.mark.parametrize("path", PAGES)
async def test_a_stranger_who_wants_a_page_is_sent_to_the_login(browser: Browser, redis: Redis, path: str) -> None:
    client = await browser(signed_in=False)
    answer = await client.get(f"/ops/rq{path}?x=1&y=2")
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"/ops/login?next=/ops/rq{path}%3Fx%3D1%26y%3D2"


@pytest.mark.parametrize("path", [*DATA, "/static/css/main.css"])
async def test_a_stranger_who_wants_data_gets_401(browser: Browser, redis: Redis, path: str) -> None:
    client = await browser(signed_in=False)
    for headers in ({"Accept": "application/json"}, {"Accept": "text/html", "Sec-Fetch-Dest": "empty"}):
        assert (await client.get(f"/ops/rq{path}", headers=headers)).status_code == 401


@pytest.mark.parametrize("path", CHANGES)
async def test_a_stranger_changes_nothing(browser: Browser, redis: Redis, failed: Job, path: str) -> None:
    client = await browser(signed_in=False)
    assert (await post(client, path.format(job=failed.id), SAME_ORIGIN)).status_code == 401
    assert failed_ids(redis) == [failed.id]


@pytest.mark.parametrize("path", ["", *PAGES])
async def test_every_page_shows_under_the_prefix(browser: Browser, redis: Redis, failed: Job, path: str) -> None:
    client = await browser()
    page = await client.get(f"/ops/rq{path}", follow_redirects=True)
    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "MassiveSMS <small>· operators</small>" in page.text
    assert '<form method="post" action="/ops/logout">' in page.text
    assert 'href="/ops/rq/0/view/workers"' in page.text
    assert "127.0.0.1" not in page.text
    assert page.headers.get_list("Cache-Control") == ["no-store"]
    assert page.headers["X-Frame-Options"] == "DENY"
    policy = page.headers["Content-Security-Policy"]
    nonce = policy.partition("'nonce-")[2].partition("'")[0]
    assert page.text.count(f'<script nonce="{nonce}">') == 1
    assert "frame-ancestors 'none'" in policy
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]


async def test_style_sheets_and_scripts_are_served_with_their_types(browser: Browser, redis: Redis) -> None:
    client = await browser()
    page = (await client.get("/ops/rq/")).text
    assets = [part.partition('"')[0] for part in page.replace('src="', 'href="').split('href="')[1:]]
    kinds = {}
    for asset in assets:
        if "/static/" in asset:
            answer = await client.get(asset, headers={"Accept": "*/*"})
            assert answer.status_code == 200, asset
            assert len(answer.content) > 500
            kinds[asset.rpartition("/")[2]] = answer.headers["Content-Type"].partition(";")[0]
    assert kinds == {
        "favicon.ico": "image/vnd.microsoft.icon",
        "bootstrap.min.css": "text/css",
        "main.css": "text/css",
        "jquery-3.5.1.min.js": "text/javascript",
        "underscore-umd-min.js": "text/javascript",
        "sugar-1.2.1.min.js": "text/javascript",
        "bootstrap.bundle.min.js": "text/javascript",
    }


async def test_the_list_shows_our_queues(browser: Browser, redis: Redis, failed: Job) -> None:
    client = await browser()
    queues = (await client.get("/ops/rq/0/data/queues.json")).json()["queues"]
    assert {entry["name"]: (entry["count"], entry["failed_job_registry_count"]) for entry in queues} == {
        "campaigns": (1, 0),
        "maintenance": (1, 0),
        "messages": (1, 0),
        "reports": (1, 0),
        "webhooks": (1, 1),
    }
    assert queues[0]["failed_url"].startswith("/ops/rq/0/view/jobs/campaigns/failed/")


async def test_the_jobs_page_opens_on_the_fullest_queue(browser: Browser, redis: Redis, failed: Job) -> None:
    client = await browser()
    queue("reports", redis).enqueue(jobs.dispatch, "reports")
    answer = await client.get("/ops/rq/0/view/jobs")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/ops/rq/0/view/jobs/reports/queued/8/asc/1"


async def test_json_jobs_are_listed_by_their_sentence(browser: Browser, redis: Redis, failed: Job) -> None:
    client = await browser()
    waiting = (await client.get("/ops/rq/0/data/jobs/messages/queued/8/asc/1.json")).json()["jobs"]
    assert [job["description"] for job in waiting] == ["Dispatch due messages"]
    broken = (await client.get("/ops/rq/0/data/jobs/webhooks/failed/8/asc/1.json")).json()["jobs"]
    assert [(job["id"], job["description"]) for job in broken] == [(failed.id, "Deliver due events")]
    assert "ConnectionError: no answer from https://hooks.cohortlabs.co" in broken[0]["exc_info"]


async def test_a_json_job_shows_its_result_and_metadata(browser: Browser, redis: Redis, failed: Job) -> None:
    client = await browser()
    work("messages", redis)
    [done] = queue("messages", redis).finished_job_registry.get_job_ids(cleanup=False)
    shown = (await client.get(f"/ops/rq/0/data/job/{done}.json")).json()
    assert (shown["status"], shown["result"], shown["origin"]) == ("finished", "dispatched messages", "messages")
    assert (await client.get(f"/ops/rq/0/view/job/{done}")).status_code == 200
    broken = (await client.get(f"/ops/rq/0/data/job/{failed.id}.json")).json()
    assert (broken["status"], broken["metadata"]) == ("failed", '{"lane": "webhooks"}')
    page = await client.get(f"/ops/rq/0/view/job/{failed.id}")
    assert page.status_code == 200
    # `<%=` would put an error's text into the page as HTML.
    assert "<%- d.exc_info %>" in page.text
    assert "<%=" not in page.text


REGISTRIES = {
    "queued": "wait for a worker",
    "scheduled": "wait for their time",
    "deferred": "wait for other jobs",
    "started": "are being run now",
    "finished": "have finished",
    "failed": "have failed",
    "canceled": "were canceled",
}


@pytest.mark.parametrize("registry", REGISTRIES)
async def test_each_list_says_what_it_lists(browser: Browser, redis: Redis, failed: Job, registry: str) -> None:
    page = (await (await browser()).get(f"/ops/rq/0/view/jobs/webhooks/{registry}/8/asc/1")).text
    assert f"<h1>{registry.capitalize()} jobs of webhooks</h1>" in page
    told = page.partition('<p class="intro">')[2].partition("</p>")[0]
    assert REGISTRIES[registry] in told
    assert [text for text in REGISTRIES.values() if text in told] == [REGISTRIES[registry]]
    assert f"No {registry} jobs." in page
    assert page.count('<label for="') >= 5


@pytest.mark.parametrize("order", ["asc", "dsc"])
async def test_finished_jobs_are_listed_page_by_page(browser: Browser, redis: Redis, order: str) -> None:
    lane = queue("messages", redis)
    done = [lane.enqueue(jobs.dispatch, "messages", description=f"Job {number}").id for number in range(5)]
    work("messages", redis)
    registry = lane.finished_job_registry
    # One whose keeping is over stands in the registry until somebody cleans up; its job is gone.
    redis.zadd(registry.key, {"gone": 1})
    kept = registry.get_job_ids(cleanup=False)[1:]
    assert sorted(kept) == sorted(done)
    expected = kept if order == "asc" else kept[::-1]
    client = await browser()
    pages = []
    for page in (1, 2, 3, 4):
        data = (await client.get(f"/ops/rq/0/data/jobs/messages/finished/2/{order}/{page}.json")).json()
        pages.append([job["id"] for job in data["jobs"]])
    assert pages == [expected[:2], expected[2:4], expected[4:], []]


async def test_waiting_jobs_are_listed_page_by_page(browser: Browser, redis: Redis) -> None:
    lane = queue("messages", redis)
    waiting = [lane.enqueue(jobs.dispatch, "messages").id for _ in range(5)]
    client = await browser()
    for order, expected in (("asc", waiting), ("dsc", waiting[::-1])):
        for page, ids in ((1, expected[:2]), (3, expected[4:])):
            data = (await client.get(f"/ops/rq/0/data/jobs/messages/queued/2/{order}/{page}.json")).json()
            assert [job["id"] for job in data["jobs"]] == ids


async def test_a_job_is_found_by_its_id(browser: Browser, redis: Redis, failed: Job) -> None:
    client = await browser()
    found = await client.get("/ops/rq/0/view/job", params={"id": f" {failed.id} "})
    assert (found.status_code, found.headers["Location"]) == (303, f"/ops/rq/0/view/job/{failed.id}")
    for id in ("", "gone", "../../logout"):
        answer = await client.get("/ops/rq/0/view/job", params={"id": id})
        assert answer.status_code == 404
        assert "Job not found" in answer.text


@pytest.fixture
def busy(redis: Redis, failed: Job) -> Iterator[SimpleWorker]:
    """A worker in the middle of a job."""
    lane = queue("messages", redis)
    worker = SimpleWorker([lane], name="messages-1", connection=redis, serializer=JSONSerializer)
    worker.register_birth()  # type: ignore[no-untyped-call]
    [job] = lane.jobs
    worker.set_state(WorkerStatus.BUSY)
    worker.prepare_execution(job)
    worker.prepare_job_execution(job)
    yield worker
    worker.register_death()  # type: ignore[no-untyped-call]


async def test_a_worker_shows_the_json_job_it_runs(browser: Browser, redis: Redis, busy: SimpleWorker) -> None:
    client = await browser()
    [worker] = (await client.get("/ops/rq/0/data/workers.json")).json()["workers"]
    assert (worker["name"], worker["queues"], worker["state"]) == ("messages-1", ["messages"], "busy")
    assert worker["current_job"]["description"] == "Dispatch due messages"

    redis.delete(Job.key_for(worker["current_job"]["job_id"]))
    [worker] = (await client.get("/ops/rq/0/data/workers.json")).json()["workers"]
    assert worker["current_job"] == "idle"


async def test_a_failed_job_is_requeued_from_our_own_page_and_stays_json(
    browser: Browser, redis: Redis, failed: Job
) -> None:
    client = await browser()
    answer = await post(client, f"/job/{failed.id}/requeue", SAME_ORIGIN)
    assert (answer.status_code, answer.json()) == (200, {"status": "OK"})
    assert failed_ids(redis) == []
    again = Job.fetch(failed.id, connection=redis, serializer=JSONSerializer)
    assert (again.get_status(), again.args, again.meta) == (
        "queued",
        ["https://hooks.cohortlabs.co"],
        {"lane": "webhooks"},
    )
    work("webhooks", redis)
    assert failed_ids(redis) == [failed.id]

    assert (await post(client, "/requeue/webhooks", SAME_ORIGIN)).json() == {"status": "OK", "count": 1}
    assert failed_ids(redis) == []
    assert (await post(client, f"/job/{failed.id}/requeue", SAME_ORIGIN)).status_code == 409


@pytest.mark.parametrize("path", ["/job/{job}/delete", "/queue/webhooks/failed/empty"])
async def test_a_failed_job_is_deleted_from_our_own_page(
    browser: Browser, redis: Redis, failed: Job, path: str
) -> None:
    client = await browser()
    answer = await post(client, path.format(job=failed.id), SAME_ORIGIN)
    assert (answer.status_code, answer.json()) == (200, {"status": "OK"})
    assert failed_ids(redis) == []
    assert not Job.exists(failed.id, connection=redis)


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ORIGIN, "Sec-Fetch-Site": "same-site"},
        {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_another_site_changes_nothing(
    browser: Browser, redis: Redis, failed: Job, path: str, headers: dict[str, str]
) -> None:
    client = await browser()
    assert (await post(client, path.format(job=failed.id), headers)).status_code == 403
    assert failed_ids(redis) == [failed.id]


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_a_read_changes_nothing(browser: Browser, redis: Redis, failed: Job, path: str, method: str) -> None:
    client = await browser()
    answer = await client.request(method, f"/ops/rq{path.format(job=failed.id)}", headers=SAME_ORIGIN)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert failed_ids(redis) == [failed.id]


def test_no_other_route_of_the_dashboard_changes_anything(redis_url: str) -> None:
    rules = make_dashboard(redis_url).url_map.iter_rules()
    changing = {rule.rule for rule in rules if (rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}}
    assert changing == {
        "/job/<job_id>/delete",
        "/job/<job_id>/requeue",
        "/requeue/<queue_name>",
        "/queue/<queue_name>/<registry_name>/empty",
        "/queue/<queue_name>/compact",
    }


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/0/view/job/gone", 404),
        ("/0/data/job/gone.json", 404),
        ("/1/view/queues", 404),
        ("/7/data/queues.json", 404),
        ("/nothing", 404),
    ],
)
async def test_a_missing_page_is_answered_plainly(browser: Browser, redis: Redis, path: str, status: int) -> None:
    answer = await (await browser()).get(f"/ops/rq{path}")
    assert answer.status_code == status
    assert "Back to the queues" in answer.text


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


async def test_a_pickle_planted_in_redis_is_never_opened(
    browser: Browser, redis: Redis, failed: Job, tmp_path: Path
) -> None:
    client = await browser()
    mark = tmp_path / "unpickled"
    bomb = pickle.dumps(Bomb(mark))
    redis.hset(Job.key_for(failed.id), mapping={"data": bomb, "meta": bomb, "result": bomb})
    answers = {
        "list": await client.get("/ops/rq/0/data/jobs/webhooks/failed/8/asc/1.json"),
        "page": await client.get(f"/ops/rq/0/view/job/{failed.id}"),
        "data": await client.get(f"/ops/rq/0/data/job/{failed.id}.json"),
        "requeue": await post(client, f"/job/{failed.id}/requeue", SAME_ORIGIN),
        "delete": await post(client, f"/job/{failed.id}/delete", SAME_ORIGIN),
    }
    assert not mark.exists()
    assert {name: answer.status_code for name, answer in answers.items()} == {
        "list": 200,
        "page": 200,
        "data": 422,
        "requeue": 200,
        "delete": 200,
    }
    pickle.loads(bomb)
    assert mark.exists()


@pytest.fixture
def redis_away() -> Iterator[str]:
    """The address of a Redis that is not there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"redis://:hidden-password@127.0.0.1:{taken.getsockname()[1]}/0"


@pytest.mark.parametrize("path", [*PAGES, "/0/view/jobs", *DATA])
async def test_without_redis_every_page_says_so(browser: Browser, redis_away: str, path: str) -> None:
    client = await browser(redis_url=redis_away)
    answer = await client.get(f"/ops/rq{path}", follow_redirects=True)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "Redis does not answer" in answer.text
    assert "Traceback" not in answer.text
    assert "hidden-password" not in answer.text
    assert answer.headers["X-Frame-Options"] == "DENY"


async def test_without_a_redis_address_the_page_says_so(browser: Browser) -> None:
    answer = await (await browser(redis_url=None)).get("/ops/rq/")
    assert answer.status_code == 503
    assert "started without a Redis" in answer.text


async def test_the_page_recovers_with_redis(browser: Browser, settings: Settings, redis: Redis) -> None:
    app = Starlette(routes=ops_routes(settings))
    client = await browser(app=app)
    assert (await client.get("/ops/rq/")).status_code == 200
    redis.client_kill_filter(_type="normal", skipme=True)
    assert (await client.get("/ops/rq/")).status_code == 200
