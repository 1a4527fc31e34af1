"""The path of a request through /graphql: caller, rate tokens, document, cost, execution."""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping, Sequence
from functools import cache

import msgspec
import structlog
from graphql import GraphQLError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from msvs.api.errors import ApiError, ErrorCode, InvalidRequest, MethodNotAllowed, NotAcceptable
from msvs.api.limits import Allowance, Limiter
from msvs.graphql.body import MAX_BYTES, parse_query_string, parse_request
from msvs.graphql.context import RequestContext
from msvs.graphql.documents import DocumentInvalid
from msvs.graphql.errors import MAX_MESSAGE, error_entry, execution_entry
from msvs.graphql.limits import MAX_COST, DocumentRefused, tokens_for
from msvs.graphql.operations import Operation, Operations
from msvs.graphql.permissions import OPEN_FIELDS, RETURNING_FIELDS
from msvs.graphql.schema import DOCUMENT, schema
from msvs.http.body import ClientGone, read_body
from msvs.http.callers import Caller, Callers
from msvs.http.errors import error_headers
from msvs.http.headers import JSON_TYPE, Headers, negotiate, read_accept, read_headers, tell_allowance
from msvs.http.html import content_security_policy
from msvs.http.middleware import ANSWER_HEADERS, refuse, request_id_of, send_whole
from msvs.http.static import StaticFile, read_folder
from msvs.pool import sharing

log = structlog.get_logger(__name__)

PATH = "/graphql"
STATIC = f"{PATH}/static"
STREAM = f"{PATH}/stream"
# Enough to log in or sign up.
MAX_STRANGER_BYTES = 16 * 1024
EVENT_STREAM_TYPE = b"text/event-stream"
PAGE_TYPE = b"text/html"
VARIES = (b"vary", b"accept")
GRAPHQL_TYPE = b"application/graphql-response+json"
ASSETS = (
    "graphiql.min.js",
    "graphiql.min.css",
    "react.production.min.js",
    "react-dom.production.min.js",
    "page.js",
    "page.css",
)
PAGE_POLICY = content_security_policy(
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src data:",
    "connect-src 'self'",
)


class GraphQLEndpoint:
    """Runs operations by POST, and queries by GET too, as the GraphQL-over-HTTP specification has it.

    `streams` answers who wants server-sent events.
    """

    offers: Sequence[bytes] = (GRAPHQL_TYPE, JSON_TYPE, EVENT_STREAM_TYPE)

    def __init__(
        self, callers: Callers, limiter: Limiter, operations: Operations, *, pages: bool, streams: ASGIApp | None = None
    ) -> None:
        self._callers = callers
        self._limiter = limiter
        self._operations = operations
        self._pages = pages
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request_id = request_id_of(scope)
        headers = read_headers(scope)
        accept = headers.get(b"accept")
        media_type = negotiate(accept, json_offers(accept))
        more: Headers = scope.get(ANSWER_HEADERS, [])
        is_page = self._pages and scope["method"] in ("GET", "HEAD") and not scope["query_string"]
        if is_page and negotiate(accept, (PAGE_TYPE, *self.offers)) == PAGE_TYPE:
            policy = (b"content-security-policy", PAGE_POLICY.encode())
            await send_whole(
                send, 200, _static()["graphiql.html"].content, [policy], media_type=b"text/html; charset=utf-8"
            )
            return
        if (
            self._streams is not None
            and negotiate(accept, (*json_offers(accept), EVENT_STREAM_TYPE)) == EVENT_STREAM_TYPE
        ):
            await self._streams(scope, receive, send)
            return
        try:
            self.check_accept(accept)
            answered = await self.run(scope, receive, send, headers, more, request_id)
            if answered is None:
                return
            status, answer = answered
        except ClientGone:
            return
        except Exception as error:
            refusal = refuse(scope, error)
            status = self.status_of(refusal, media_type)
            answer = {"errors": entries_of(refusal, request_id)}
            more += error_headers(refusal)
        extra = more if ANSWER_HEADERS not in scope else []
        body = msgspec.json.encode(answer)
        await send_whole(send, status, body, [*extra, VARIES], media_type=media_type or JSON_TYPE)

    def check_accept(self, accept: bytes | None) -> None:
        """Refuse a caller who takes none of the types that are answered. Raises NotAcceptable."""
        if negotiate(accept, self.offers) is None:
            raise NotAcceptable(f"Accept what is answered here: {' or '.join(each.decode() for each in self.offers)}.")

    def status_of(self, refusal: ApiError, media_type: bytes | None) -> int:
        """Return the status of a refusal: what is wrong in a document is 200 as plain JSON, by GraphQL over HTTP."""
        return 200 if isinstance(refusal, DocumentRefused) and media_type == JSON_TYPE else refusal.status

    async def admit(
        self, scope: Scope, headers: Mapping[bytes, bytes], more: Headers, request_id: str
    ) -> tuple[Caller, Allowance]:
        """Return the caller and what is left of their tokens, one taken, so that what is refused is not free."""
        if scope["method"] not in ("GET", "POST"):
            raise MethodNotAllowed("Operations are posted; queries may be asked for by GET too.", allow="GET, POST")
        caller = await self._callers.identify(headers, scope, request_id)
        return caller, await self.take(caller, 1, more)

    async def run(
        self, scope: Scope, receive: Receive, send: Send, headers: Mapping[bytes, bytes], more: Headers, request_id: str
    ) -> tuple[int, dict[str, object]] | None:
        """Return the status and answer of a request, or None if they have been sent. Raises ApiError."""
        caller, allowance = await self.admit(scope, headers, more, request_id)
        operation = await self.read(caller, scope, receive, headers)
        if operation.is_subscription:
            raise DocumentRefused(
                f"Subscriptions are answered as text/event-stream, here and at {STREAM}, or run over WebSocket."
            )
        operation.check_scopes(caller.ctx)
        answer = await self.execute(operation, caller, allowance, more, request_id)
        accept = headers.get(b"accept")
        is_plain = negotiate(accept, json_offers(accept)) == JSON_TYPE
        return (200 if "data" in answer or is_plain else 400), answer

    async def execute(
        self, operation: Operation, caller: Caller, allowance: Allowance, more: Headers, request_id: str
    ) -> dict[str, object]:
        """Run a query or mutation and return the answer; without `data` where nothing of it ran."""
        cost = operation.weigh()
        tokens = tokens_for(cost)
        if tokens > 1:
            allowance = await self.take(caller, tokens - 1, more)
        context = RequestContext(caller, self._limiter, refused_rows=operation.refused_rows)
        with sharing(caller.bucket[0]):
            result = await schema.execute(
                operation.text,
                variable_values=operation.variables,
                context_value=context,
                operation_name=operation.name,
                operation_extensions={DOCUMENT: operation.document.node},
            )
        if context.new_session is not None:
            more.append(self._callers.set_cookie(context.new_session or None))
        charged = {"nodes": cost, "limit": MAX_COST, "tokens": tokens, "remaining": allowance.remaining}
        answer: dict[str, object] = {"data": result.data, "extensions": {"cost": charged}}
        # Errors without a path are of variables, found before anything ran: such an answer has no data.
        ran = result.data is not None or any(error.path for error in result.errors or ())
        if result.errors:
            answer = {"errors": report(result.errors, request_id), **answer}
        if not ran:
            del answer["data"]
        return answer

    async def read(self, caller: Caller, scope: Scope, receive: Receive, headers: Mapping[bytes, bytes]) -> Operation:
        """Read the operation that a request asks for.

        A stranger is told what is wrong with the document, and else who is wanted, unless all may run it. Raises
        MethodNotAllowed for a mutation by GET.
        """
        if scope["method"] == "GET":
            operation = self._operations.find(parse_query_string(scope["query_string"]))
            if operation.is_mutation:
                raise MethodNotAllowed("Mutations are posted: GET changes nothing.", allow="POST")
        else:
            operation = await self._read_posted(caller, receive, headers)
        if not caller.is_stranger:
            return operation
        assert caller.refusal is not None
        fields = [each.name.value for each in operation.root_fields()]
        if not (OPEN_FIELDS if caller.returning is None else RETURNING_FIELDS).issuperset(fields):
            raise caller.refusal
        if len(fields) > 1:
            raise DocumentRefused("Who is not logged in asks for one field at a time.")
        return operation

    async def _read_posted(self, caller: Caller, receive: Receive, headers: Mapping[bytes, bytes]) -> Operation:
        limit = MAX_STRANGER_BYTES if caller.is_stranger else MAX_BYTES
        try:
            return self._operations.find(parse_request(await read_body(receive, headers, limit), headers))
        except DocumentInvalid:
            raise
        except InvalidRequest as error:
            # Apollo and urql ask by a hash first, also to log in, and send the document when they are told.
            if error.code == ErrorCode.PERSISTED_QUERY_NOT_SUPPORTED:
                raise
            if caller.is_stranger and caller.refusal is not None:
                raise caller.refusal from None
            raise

    async def take(self, caller: Caller, tokens: int, more: Headers) -> Allowance:
        """Take tokens from the caller's bucket and say so in headers. Raises RateLimited."""
        allowance = await self._limiter.take(*caller.bucket, cost=tokens)
        tell_allowance(allowance, more, unit=" tokens")
        return allowance


def json_offers(accept: bytes | None) -> Sequence[bytes]:
    """Return the types of answers, best first: GraphQL's own comes first for those alone who name it."""
    named = any(name == GRAPHQL_TYPE.decode() for name, _ in read_accept(accept))
    return (GRAPHQL_TYPE, JSON_TYPE) if named else (JSON_TYPE, GRAPHQL_TYPE)


async def send_static(request: Request) -> Response:
    """Return one of the files of GraphiQL, all of which are served from here."""
    name: str = request.path_params["name"]
    if name not in ASSETS:
        raise HTTPException(404)
    return _static()[name].answer(request.headers, {})


@cache
def _static() -> Mapping[str, StaticFile]:
    return read_folder(importlib.resources.files("msvs.graphql") / "static", cache_control="public, max-age=3600")


def entries_of(refusal: ApiError, request_id: str) -> list[dict[str, object]]:
    """Return the entries of `errors` for a request that was not run."""
    if not isinstance(refusal, DocumentInvalid):
        return [error_entry(refusal, request_id)]
    entries = []
    for error in refusal.errors:
        entry = error_entry(DocumentRefused(error.message[:MAX_MESSAGE]), request_id)
        if error.locations:
            entry["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
        entries.append(entry)
    return entries


def report(errors: list[GraphQLError], request_id: str) -> list[dict[str, object]]:
    """Return the entries of `errors` for what went wrong in fields.

    Ours are logged, the caller is told only the request.
    """
    entries = []
    for error in errors:
        entry, ours = execution_entry(error, request_id)
        if ours is not None:
            field = ".".join(str(part) for part in error.path or ())
            log.error("field failed", field=field, status=ours.status, exc_info=error.original_error or error)
        entries.append(entry)
    return entries
