"""What the operators' area of the dashboard asks for, as JSON under /ops/api; each act stands in the operators' log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TypeVar
from uuid import UUID

import msgspec
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from msvs import start_checks
from msvs.api import ids
from msvs.api.accounts import operator_acts, operators
from msvs.api.accounts.operator_acts import Acting
from msvs.api.accounts.operators import OperatorAction
from msvs.api.dispatch import breakers, routes
from msvs.api.errors import AuthenticationFailed, ErrorCode, InvalidRequest, PermissionDenied, RateLimited
from msvs.api.notifier import WorkQueue
from msvs.api.resources import moment, optional_id, optional_moment
from msvs.carriers.protocol import Carrier
from msvs.carriers.remote import RemoteCarrier, find_owner
from msvs.database import Row
from msvs.http.body import convert, parse_body, parse_query, read_body
from msvs.http.headers import read_headers
from msvs.models import Route as CarrierRoute
from msvs.models import SenderKind
from msvs.models.rows import OperatorEntryRow
from msvs.ops.failed_jobs import FailedJobs
from msvs.ops.guard import SAFE_METHODS, SecurityHeaders, is_same_origin
from msvs.ops.login import Login
from msvs.ops.metric_families import MetricFamily
from msvs.ops.metrics import Metrics
from msvs.ops.operator_sessions import Sessions
from msvs.ops.readiness import Readiness
from msvs.settings import Settings, SettingsError, version

PATH = "/ops/api"
BODY_BYTES = 16 * 1024
PAGE = 50
ENTRY = "ope"

S = TypeVar("S", bound=msgspec.Struct)
Handler = Callable[["Console", Request, Acting], Awaitable[object]]


class _Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of what is asked for."""


class SignIn(_Query, frozen=True):
    """The credentials of an operator; without a name, the shared password."""

    password: str
    name: str = ""
    code: str = ""


class Reason(_Query, frozen=True):
    """Why something is done."""

    reason: str


class Grant(_Query, frozen=True):
    """Credits to add; the same key again adds nothing."""

    credits: int
    reason: str
    key: str


class NewRoute(_Query, frozen=True):
    """A route to add."""

    carrier: str
    workspace: str | None = None
    regions: list[str] = []
    sender: str | None = None
    sender_kind: SenderKind | None = None
    preference: int = 100
    price: str | None = None


class JobsQuery(_Query, frozen=True):
    """Which failed jobs to list."""

    queue: WorkQueue | None = None
    after: str | None = None


class RoutesQuery(_Query, frozen=True):
    """Of which workspace; the shared ones without one."""

    workspace: str | None = None


class WorkspacesQuery(_Query, frozen=True):
    """Which workspaces."""

    q: str = ""
    held: str | None = None
    after: str | None = None


class EntriesQuery(_Query, frozen=True):
    """Which entries of the log."""

    operator: str | None = None
    action: OperatorAction | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Watched:
    """The parts of this process that operators look at: its checks, metrics and carriers."""

    readiness: Readiness
    metrics: Metrics
    carriers: Mapping[str, Carrier]


class Console:
    """The operators' area: its session, what it looks at and what is done there."""

    def __init__(self, settings: Settings, sessions: Sessions, login: Login, watched: Watched) -> None:
        self._settings = settings
        self._sessions = sessions
        self._login = login
        self._watched = watched
        self._jobs = FailedJobs(settings.redis_url)

    def routes(self) -> list[BaseRoute]:
        """Return its routes, with their full paths."""
        known = [_route(method, path, self._answering(handler)) for (method, path), handler in ROUTES.items()]
        return [_route("POST", "/session", self._sign_in), *known]

    def _answering(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Return what answers an operator who is signed in, and whose changes come from our own pages."""

        async def answer(request: Request) -> Response:
            self._check_origin(request)
            operator = await self._sessions.look_up_operator(request)
            if operator is None:
                raise AuthenticationFailed(
                    "Sign in as an operator at /dashboard/operators.", code=ErrorCode.SESSION_INVALID
                )
            found = await handler(self, request, Acting(operator, self._sessions.visitor(request)))
            return found if isinstance(found, Response) else _json(found)

        return answer

    def _check_origin(self, request: Request) -> None:
        if request.method not in SAFE_METHODS and not is_same_origin(request, self._settings):
            raise PermissionDenied("The request came from another site.", code=ErrorCode.ORIGIN_REFUSED)

    async def _sign_in(self, request: Request) -> Response:
        self._check_origin(request)
        given = await _read(request, SignIn)
        name = given.name.strip()
        token, wait = await self._login.enter(request, name, given.password, given.code.strip())
        if token is None and wait > 0:
            raise RateLimited(
                "Too many wrong passwords. Wait a minute, then try again.",
                code=ErrorCode.LOGIN_THROTTLED,
                retry_after=wait,
            )
        if token is None:
            message = "The name, the password or the code is wrong." if name else "That is not the operator password."
            raise AuthenticationFailed(message, code=ErrorCode.LOGIN_INVALID)
        opened = _json({"operator": name.lower() or operators.SHARED, **self._about()})
        self._sessions.open(opened, token)
        if self._sessions.device(request) is None:
            opened.headers.append("set-cookie", self._sessions.remembering().decode("latin-1"))
        return opened

    def _about(self) -> dict[str, object]:
        return {"version": version(), "environment": self._settings.environment}

    async def show_session(self, request: Request, acting: Acting) -> object:
        """Return who is signed in."""
        return {"operator": acting.name, **self._about()}

    async def sign_out(self, request: Request, acting: Acting) -> object:
        """End the session."""
        await self._sessions.end(request)
        left = Response(status_code=204)
        self._sessions.close(left)
        return left

    async def show_overview(self, request: Request, acting: Acting) -> object:
        """Return each check and every number of the service, as they were five seconds ago at most."""
        found = await self._watched.readiness.look(everything=True)
        needed = [{"name": name, "state": state, "is_needed": True} for name, state in found.needed.items()]
        rest = [{"name": name, "state": state, "is_needed": False} for name, state in found.rest.items()]
        return {"checks": [*needed, *rest], "numbers": numbers(await self._watched.metrics.look()), **self._about()}

    async def list_jobs(self, request: Request, acting: Acting) -> object:
        """List a page of failed jobs."""
        query = parse_query(request.url.query.encode(), JobsQuery)
        items, has_more = await self._jobs.list(query.queue, after=query.after, limit=PAGE)
        return {"items": items, "has_more": has_more}

    async def show_job(self, request: Request, acting: Acting) -> object:
        """Return a job that broke, with where."""
        return await self._jobs.find(request.path_params["id"])

    async def requeue_job(self, request: Request, acting: Acting) -> object:
        """Have a job that broke run again."""
        job = await self._jobs.find(request.path_params["id"])
        if not job.is_readable:
            raise InvalidRequest(job.error, param="id")
        # Logged first: what Redis does cannot be taken back.
        await operator_acts.note_requeued(acting, job.id, job.queue)
        await self._jobs.requeue(job.id)
        return job

    async def list_carriers(self, request: Request, acting: Acting) -> object:
        """List the carriers with their breakers and their binds."""
        states = await breakers.find_states()
        return {"items": [await _shape_carrier(each, states.get(each.name)) for each in self._carriers()]}

    def _carriers(self) -> Iterable[Carrier]:
        return self._watched.carriers.values()

    async def list_routes(self, request: Request, acting: Acting) -> object:
        """List the routes of a workspace, or those that are shared, in the order in which they are tried."""
        query = parse_query(request.url.query.encode(), RoutesQuery)
        owner = None if query.workspace is None else ids.read_id(ids.WORKSPACE, query.workspace, "workspace")
        return {
            "items": [_shape_route(row) for row in await routes.list_routes(owner)],
            "carriers": sorted(self._watched.carriers),
        }

    async def add_route(self, request: Request, acting: Acting) -> object:
        """Add a route."""
        given = await _read(request, NewRoute)
        try:
            start_checks.require_real_route(self._settings, given.carrier)
        except SettingsError as refused:
            raise InvalidRequest(str(refused), param="carrier") from None
        row = await operator_acts.add_route(
            acting,
            given.carrier,
            workspace=given.workspace,
            regions=given.regions,
            sender=given.sender,
            sender_kind=given.sender_kind,
            preference=given.preference,
            price=None if given.price is None else _price(given.price),
        )
        return _shape_route(row)

    async def remove_route(self, request: Request, acting: Acting) -> object:
        """Remove a route."""
        await operator_acts.remove_route(acting, request.path_params["id"])
        return {"id": request.path_params["id"], "removed": True}

    async def list_workspaces(self, request: Request, acting: Acting) -> object:
        """List workspaces, a page at a time."""
        query = parse_query(request.url.query.encode(), WorkspacesQuery)
        after = None if query.after is None else ids.read_id(ids.WORKSPACE, query.after, "after")
        rows = await operator_acts.search_workspaces(query.q, are_held=query.held == "1", after=after, limit=PAGE + 1)
        return {"items": [_shape_workspace(row) for row in rows[:PAGE]], "has_more": len(rows) > PAGE}

    async def show_workspace(self, request: Request, acting: Acting) -> object:
        """Return a workspace, with who works in it and what moved its credits."""
        found = await operator_acts.view_workspace(request.path_params["id"])
        row = found.row
        return {
            **_shape_workspace(row),
            "debt": row.debt,
            "total_lifetime": row.total_lifetime,
            "daily_credit_cap": row.daily_credit_cap,
            "members": [
                {"name": each.name, "email": each.email, "is_confirmed": each.is_confirmed, "role": each.role}
                for each in found.members
            ],
            "ledger": [_shape_ledger(each) for each in found.ledger],
            "campaigns": found.campaigns,
        }

    async def grant(self, request: Request, acting: Acting) -> object:
        """Add credits."""
        given = await _read(request, Grant)
        id: str = request.path_params["id"]
        is_new = await operator_acts.grant(acting, id, given.credits, reason=given.reason, key=given.key)
        return {
            "granted": given.credits if is_new else 0,
            "balance": (await operator_acts.view_workspace(id)).row.balance,
        }

    async def hold(self, request: Request, acting: Acting) -> object:
        """Hold a workspace."""
        given = await _read(request, Reason)
        id: str = request.path_params["id"]
        return {"id": id, "held": True, "changed": await operator_acts.hold(acting, id, reason=given.reason)}

    async def release(self, request: Request, acting: Acting) -> object:
        """Release a workspace."""
        given = await _read(request, Reason)
        id: str = request.path_params["id"]
        return {"id": id, "held": False, "changed": await operator_acts.release(acting, id, reason=given.reason)}

    async def list_entries(self, request: Request, acting: Acting) -> object:
        """List what operators did, the newest first."""
        query = parse_query(request.url.query.encode(), EntriesQuery)
        after: UUID | None = None if query.after is None else ids.read_id(ENTRY, query.after, "after")
        rows = await operators.list_entries(PAGE + 1, after=after, operator=query.operator, action=query.action)
        return {"items": [_shape_entry(row) for row in rows[:PAGE]], "has_more": len(rows) > PAGE}


ROUTES: Mapping[tuple[str, str], Handler] = {
    ("GET", "/session"): Console.show_session,
    ("DELETE", "/session"): Console.sign_out,
    ("GET", "/overview"): Console.show_overview,
    ("GET", "/jobs"): Console.list_jobs,
    ("GET", "/jobs/{id}"): Console.show_job,
    ("POST", "/jobs/{id}/requeue"): Console.requeue_job,
    ("GET", "/carriers"): Console.list_carriers,
    ("GET", "/routes"): Console.list_routes,
    ("POST", "/routes"): Console.add_route,
    ("DELETE", "/routes/{id}"): Console.remove_route,
    ("GET", "/workspaces"): Console.list_workspaces,
    ("GET", "/workspaces/{id}"): Console.show_workspace,
    ("POST", "/workspaces/{id}/grants"): Console.grant,
    ("POST", "/workspaces/{id}/hold"): Console.hold,
    ("POST", "/workspaces/{id}/release"): Console.release,
    ("GET", "/entries"): Console.list_entries,
}


def _route(method: str, path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> BaseRoute:
    return Route(PATH + path, endpoint, methods=[method], middleware=[Middleware(SecurityHeaders)])


def numbers(families: Iterable[MetricFamily]) -> dict[str, list[dict[str, object]]]:
    """Return each metric by its name: its values, each with its labels."""
    return {family.name: [{**sample.labels, "value": sample.value} for sample in family.samples] for family in families}


async def _read(request: Request, type: type[S]) -> S:
    headers = read_headers(request.scope)
    return convert(parse_body(await read_body(request.receive, headers, BODY_BYTES), headers), type)


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def _price(text: str) -> Decimal:
    try:
        price = Decimal(text)
    except InvalidOperation:
        price = Decimal("NaN")
    if not price.is_finite() or not 0 <= price < 10_000 or price != round(price, 6):
        raise InvalidRequest("price must be a number from 0 to 9999.999999, with a point.", param="price")
    return price


async def _shape_carrier(carrier: Carrier, breaker: breakers.BreakerState | None) -> dict[str, object]:
    binds = None
    # In a process that does not hold them, another carrier stands for the one that has binds.
    if carrier.holds_binds or isinstance(carrier, RemoteCarrier):
        owner = await find_owner(carrier.name)
        binds = {"bound": 0, "wanted": 0} if owner is None else {"bound": owner.bound, "wanted": owner.wanted}
    return {
        "name": carrier.name,
        "kind": carrier.kind,
        "capability": carrier.capability.value,
        "rate": carrier.rate,
        "binds": binds,
        "breaker": {
            "state": breaker.state if breaker else breakers.CLOSED,
            "failures": breaker.failures if breaker else 0,
            "trips": breaker.trips if breaker else 0,
            "retry_at": optional_moment(breaker.retry_at) if breaker else None,
            "reason": breaker.reason if breaker else None,
        },
    }


def _shape_route(row: CarrierRoute) -> dict[str, object]:
    return {
        "id": ids.encode_id(ids.ROUTE, row.id),
        "workspace": optional_id(ids.WORKSPACE, row.workspace_id),
        "carrier": row.carrier,
        "regions": row.regions,
        "sender": row.sender,
        "sender_kind": row.sender_kind and row.sender_kind.value,
        "preference": row.preference,
        "price": None if row.price is None else f"{row.price.normalize():f}",
    }


def _shape_workspace(row: Row) -> dict[str, object]:
    return {
        "id": ids.encode_id(ids.WORKSPACE, row.id),
        "name": row.name,
        "balance": row.balance,
        "users": row.users,
        "created_at": moment(row.created_at),
        "held_at": optional_moment(row.held_at),
        "deletes_at": optional_moment(row.deletes_at),
        "erased_at": optional_moment(row.erased_at),
    }


def _shape_ledger(row: Row) -> dict[str, object]:
    return {
        "id": ids.encode_id(ids.LEDGER_ENTRY, row.id),
        "kind": row.kind,
        "amount": row.amount,
        "note": row.note,
        "created_at": moment(row.created_at),
    }


def _shape_entry(row: OperatorEntryRow) -> dict[str, object]:
    return {
        "id": ids.encode_id(ENTRY, row.id),
        "at": moment(row.created_at),
        "operator": row.operator,
        "action": row.action,
        "detail": row.detail,
        "network": row.network,
        "device": row.device,
    }
