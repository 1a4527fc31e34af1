"""rq-dashboard as a WSGI app: JSON jobs, changes by POST only, and plain error pages."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, Response, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue, Worker
from rq.exceptions import DeserializationError, InvalidJobOperation, NoSuchJobError
from rq.job import Job, requeue_job
from rq.registry import (
    BaseRegistry,
    CanceledJobRegistry,
    DeferredJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
)
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker
from rq_dashboard import web
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import RequestRedirect

from msvs import redis_connections
from msvs.http.html import content_security_policy
from msvs.ops.guard import LOGOUT, SAFE_METHODS
from msvs.ops.pages import notice

REGISTRIES: Mapping[str, type[BaseRegistry]] = {
    "canceled": CanceledJobRegistry,
    "deferred": DeferredJobRegistry,
    "failed": FailedJobRegistry,
    "finished": FinishedJobRegistry,
    "scheduled": ScheduledJobRegistry,
    "started": StartedJobRegistry,
}
TEMPLATES = Path(__file__).parent / "templates"
CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0
# rq-dashboard's scripts compile their underscore templates, which counts as eval; the nonce keeps out any script
# that a job's text might carry.
CONTENT_SECURITY_POLICY = content_security_policy(
    "script-src 'self' 'nonce-{nonce}' 'unsafe-eval'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
)


class JsonJob(Job):
    """A job whose payload is JSON unless told otherwise: unpickling what lies in Redis would run it."""

    def __init__(self, id: str | None = None, connection: Redis | None = None, serializer: object = None) -> None:
        super().__init__(id, connection, serializer or JSONSerializer)


class JsonWorker(Worker):
    """A worker seen from outside, whose current job is JSON."""

    @classmethod
    def all(
        cls,
        connection: Redis | None = None,
        job_class: type[Job] | None = None,
        queue_class: type[Queue] | None = None,
        queue: Queue | None = None,
        serializer: object = JSONSerializer,
    ) -> list[BaseWorker]:
        """Return every registered worker."""
        return super().all(connection, job_class, queue_class, queue, serializer)

    def get_current_job(self) -> Job | None:
        """Return the job that runs now, or None when idle or when the job went away meanwhile."""
        try:
            return super().get_current_job()
        except NoSuchJobError:
            return None


class Dashboard(Flask):
    """The Flask app around rq-dashboard's blueprint, with one Redis client for all requests."""

    def __init__(self, redis_url: str) -> None:
        # Under another name Flask would look for rq-dashboard's style sheets and scripts in our package.
        super().__init__("rq_dashboard", template_folder=str(TEMPLATES))
        self._redis = redis_connections.connect(
            redis_url,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 1),
        )

    @property
    def redis_conn(self) -> Redis:
        """The client the blueprint's views use."""
        return self._redis

    @redis_conn.setter
    def redis_conn(self, _: object) -> None:
        """Ignored: the blueprint brings a new client, without deadlines, with every request."""


def make_dashboard(redis_url: str) -> Dashboard:
    """Build the app; Redis need not be there yet."""
    _use_json()
    app = Dashboard(redis_url)
    app.config["RQ_DASHBOARD_REDIS_URL"] = ("redis://",)
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    app.config["LOGOUT"] = LOGOUT
    app.register_blueprint(web.blueprint)
    app.add_url_rule("/0/view/job", view_func=_find_job)
    app.before_request(_admit)
    app.after_request(_set_policy)
    app.register_error_handler(HTTPException, _show_http_error)
    app.register_error_handler(NoSuchJobError, _show_no_job)
    app.register_error_handler(InvalidJobOperation, _show_refused)
    app.register_error_handler(RedisError, _show_redis_away)
    app.register_error_handler(DeserializationError, _show_unreadable)
    app.register_error_handler(ValueError, _show_unreadable)
    return app


def _use_json() -> None:
    """Make every view of rq-dashboard read jobs as JSON; it passes its serializer on in some places only."""
    web.config.serializer = JSONSerializer
    web.Job = JsonJob
    web.Worker = JsonWorker
    web.requeue_job = partial(requeue_job, serializer=JSONSerializer)
    web.get_queue_registry_jobs_count = _jobs_of_page


def _jobs_of_page(
    queue_name: str, registry_name: str, offset: int, per_page: int, order: str, connection: Redis
) -> tuple[int, list[dict[str, object]]]:
    """Return how many jobs a queue has in a state, and those of one page.

    rq-dashboard's own counts pages past their end, and takes the ids of finished jobs whose keeping is over for jobs.
    """
    queue = Queue(queue_name, serializer=JSONSerializer, connection=connection)
    registry = REGISTRIES[registry_name](queue_name, connection=connection) if registry_name in REGISTRIES else None
    if isinstance(registry, FailedJobRegistry | FinishedJobRegistry):
        registry.cleanup()  # drops what is over; that of jobs which were started would fail them
    total = queue.count if registry is None else registry.get_job_count(cleanup=False)
    first = max(0, total - offset - per_page) if order == "dsc" else offset
    count = max(0, min(per_page, total - offset))
    if count == 0:
        return total, []
    if registry is None:
        found = queue.get_job_ids(first, count)
    else:
        found = registry.get_job_ids(first, first + count - 1, cleanup=False)
    if order == "dsc":
        found.reverse()
    jobs = (queue.fetch_job(id) for id in found)
    return total, [web.serialize_job(job) for job in jobs if job is not None]


def _find_job() -> ResponseReturnValue:
    """Go to the job of an id that somebody typed in."""
    id = request.args.get("id", "").strip()
    if not id or not Job.exists(id, connection=web.current_app.redis_conn):
        raise NoSuchJobError
    return redirect(url_for("rq_dashboard.job_view", instance_number=0, job_id=id), 303)


def _admit() -> ResponseReturnValue | None:
    """Refuse to change anything on a read, and to go on without Redis."""
    g.nonce = secrets.token_urlsafe(16)
    rule = request.url_rule
    if rule is None or rule.endpoint in ("static", "rq_dashboard.static"):
        return None
    changing = (rule.methods or set()) - SAFE_METHODS
    if changing and request.method in SAFE_METHODS:
        refused = _notice(405, "Not by following a link", "This changes something, so it takes the page's button.")
        refused.headers["Allow"] = ", ".join(sorted(changing))
        return refused
    arguments = request.view_args or {}
    if arguments.get("instance_number", 0) != 0:
        return _notice(404, "Not found", "There is one Redis here.")
    connection = web.current_app.redis_conn
    connection.ping()
    if rule.endpoint == "rq_dashboard.jobs_overview" and not arguments.get("queue_name"):
        return _show_first_queue(connection)
    return None


def _show_first_queue(connection: Redis) -> ResponseReturnValue | None:
    """Go to the queue with the most jobs waiting; rq-dashboard would show `default`, which is none of ours."""
    queues = sorted(Queue.all(connection=connection), key=lambda queue: (-queue.count, queue.name))
    if not queues:
        return None
    return redirect(
        url_for(
            "rq_dashboard.jobs_overview",
            instance_number=0,
            queue_name=queues[0].name,
            registry_name="queued",
            per_page=8,
            order="asc",
            page=1,
        ),
        303,
    )


def _set_policy(response: Response) -> Response:
    if "nonce" in g:
        response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY.format(nonce=g.nonce))
    return response


def _notice(status: int, title: str, text: str) -> Response:
    html, headers = notice(title, text)
    return Response(html, status, headers)


def _show_http_error(error: HTTPException) -> ResponseReturnValue:
    if isinstance(error, RequestRedirect):
        # Without the host: behind a proxy that ends TLS it would lead to http.
        return redirect(urlsplit(error.new_url)._replace(scheme="", netloc="").geturl(), error.code)
    shown = _notice(error.code or 500, error.name, "The dashboard has no answer to this request.")
    if isinstance(error, MethodNotAllowed):
        shown.headers["Allow"] = ", ".join(sorted(set(error.valid_methods or ()) - {"OPTIONS"}))
    return shown


def _show_no_job(_: NoSuchJobError) -> Response:
    return _notice(404, "Job not found", "It was deleted, or it finished and its time to be kept is over.")


def _show_refused(_: InvalidJobOperation) -> Response:
    return _notice(409, "Not possible now", "The job is in another state by now.")


def _show_unreadable(_: Exception) -> Response:
    return _notice(422, "Not readable", "What Redis holds there is not one of our jobs.")


def _show_redis_away(_: RedisError) -> Response:
    away = _notice(503, "The queues are away", "Redis does not answer. Messages are safe; try again in a moment.")
    away.headers["Retry-After"] = "5"
    return away
