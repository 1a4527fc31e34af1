"""The path of a request through /v1: caller, rate token, decoding, idempotency, unit of work, operation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Never, cast

import msgspec
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from msvs.api.accounts.auth import authenticate
from msvs.api.context import Context, Services
from msvs.api.errors import ApiError, InvalidRequest, NotAcceptable
from msvs.api.idempotency import Answer
from msvs.api.limits import Limiter
from msvs.api.permissions import allow
from msvs.http.body import IS_WHOLE, JSON, convert, parse_body, parse_query, read_body, tell_of_plus
from msvs.http.callers import address_of
from msvs.http.calls import admit, change, method_not_allowed, replay_headers, with_head
from msvs.http.errors import error_body
from msvs.http.headers import header_text, read_accept, read_headers, weight_of
from msvs.http.middleware import ANSWER_HEADERS, REQUEST_ID, send_whole
from msvs.http.multipart import is_form, read_form
from msvs.http.templates import ROUTE_PATH
from msvs.pool import sharing
from msvs.rest_compat.endpoint import Call, Endpoint, Form
from msvs.rest_compat.endpoints import ENDPOINTS
from msvs.rest_compat.permissions import PERMISSIONS
from msvs.rest_compat.schemas import NoBody
from msvs.rest_compat.unknown import LINKS, ROOT, UnknownPath, admit_if_known, show_index

encode = msgspec.json.encode


def rest_routes(services: Services, limiter: Limiter, endpoints: Sequence[Endpoint] = ENDPOINTS) -> list[BaseRoute]:
    """Return a route for each path of the table, with its full path.

    Those without parameters are found in one look-up.
    """
    paths: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, []).append(endpoint)
    fronts = {path: PathRouter(services, rows, limiter) for path, rows in paths.items()}
    exact = {path: front for path, front in fronts.items() if "{" not in path}
    known: list[BaseRoute] = [
        ExactPaths(exact),
        *(Route(path, front, name=path) for path, front in fronts.items() if "{" in path),
    ]
    index = msgspec.json.encode({"name": "MassiveSMS API", "links": LINKS, "paths": sorted(fronts)})
    return [
        *known,
        Route(ROOT, show_index(index), name=ROOT),
        Route(f"{ROOT}/{{path:path}}", UnknownPath(services, known, limiter), name="unknown"),
    ]


class ExactPaths(BaseRoute):
    """Paths without parameters: no pattern is tried for them."""

    def __init__(self, fronts: Mapping[str, PathRouter]) -> None:
        self._fronts = fronts

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether the path is one of them."""
        if scope["type"] == "http" and scope["path"] in self._fronts:
            return Match.FULL, {"path_params": {}, ROUTE_PATH: scope["path"]}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by the path's front."""
        await self._fronts[scope["path"]](scope, receive, send)


def check_accept(headers: Mapping[bytes, bytes]) -> None:
    """Refuse who will not have JSON (`q=0`); who names other types alone gets it all the same. Raises NotAcceptable."""
    accept = headers.get(b"accept", b"")
    if b"q" not in accept.lower():
        return
    if weight_of(JSON, read_accept(accept)) == 0:
        raise NotAcceptable(f"Answers are {JSON}, which Accept refuses.")


class PathRouter:
    """The endpoints of one path as an ASGI app."""

    def __init__(self, services: Services, endpoints: Iterable[Endpoint], limiter: Limiter) -> None:
        self._services = services
        self._endpoints: Mapping[str, Endpoint] = with_head({endpoint.method: endpoint for endpoint in endpoints})
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; errors are raised for the middleware to render."""
        method: str = scope["method"]
        endpoint = self._endpoints.get(method)
        if endpoint is None:
            await admit_if_known(self._services, self._limiter, scope)
            raise method_not_allowed(method, self._endpoints)
        if endpoint.deprecated is not None:
            scope[ANSWER_HEADERS].extend(
                (name.lower().encode(), value.encode()) for name, value in endpoint.deprecated.headers().items()
            )
        headers = read_headers(scope)
        authorization = header_text(headers.get(b"authorization"))
        ctx = await authenticate(self._services, authorization, scope[REQUEST_ID], ip=address_of(scope))
        await admit(scope, ctx, self._limiter, endpoint.bucket)
        check_accept(headers)
        # Before what was stored under an idempotency key is shown again.
        allow(ctx, PERMISSIONS[endpoint.operation_id])
        with sharing(ctx.workspace_id):
            try:
                answer = await self._answer(endpoint, ctx, scope, receive, headers)
            except InvalidRequest as error:
                tell_of_plus(error, scope["query_string"])
                raise
            if endpoint.finish is not None and answer.status < 400:
                answer = replace(answer, body=encode(await endpoint.finish(ctx, answer.body)))
        await send_whole(send, answer.status, answer.body, replay_headers(scope, answer, "error"))

    async def _answer(
        self, endpoint: Endpoint, ctx: Context, scope: Scope, receive: Receive, headers: Mapping[bytes, bytes]
    ) -> Answer:
        query = parse_query(scope["query_string"], endpoint.query)
        path: str = scope["path"]
        if endpoint.method == "GET":
            return await _run(endpoint, Call(ctx, path, scope["path_params"], convert({}, endpoint.body), query))
        if endpoint.form_handler is not None and is_form(headers):
            async with read_form(receive, headers, self._services.import_bytes) as (options, upload):
                body = convert({}, NoBody)
                form_call = Call(ctx, path, scope["path_params"], body, query, Form(options, upload))
                asked = {"options": options, "file": upload.hash, "name": upload.name}
                return await self._change(
                    replace(endpoint, handler=endpoint.form_handler), form_call, scope, headers, asked
                )
        text = await read_body(receive, headers, is_whole=scope.get(IS_WHOLE, False))
        values = parse_body(text, headers, endpoint.body)
        call = Call(ctx, path, scope["path_params"], convert(values, endpoint.body), query)
        if endpoint.counts_as is not None and (more := endpoint.counts_as(cast("Never", call.body)) - 1):
            await admit(scope, ctx, self._limiter, endpoint.bucket, more)
        return await self._change(endpoint, call, scope, headers, values)

    async def _change(
        self,
        endpoint: Endpoint,
        call: Call[msgspec.Struct, msgspec.Struct],
        scope: Scope,
        headers: Mapping[bytes, bytes],
        values: Mapping[str, object],
    ) -> Answer:
        """Answer a request that changes something: once, where it has an idempotency key."""
        request_id: str = scope[REQUEST_ID]

        def error_answer(error: ApiError) -> Answer:
            return Answer(error.status, error_body(error, request_id, self._services.base_url))

        return await change(
            call.ctx,
            headers.get(b"idempotency-key"),
            (endpoint.method, _asked(call.path, scope["query_string"]), values),
            lambda: _run(endpoint, call),
            error_answer,
            is_single_statement=endpoint.single_statement,
        )


def _asked(path: str, query: bytes) -> str:
    """Return what a request is of: its path, and what its query says besides."""
    return f"{path}?{query.decode('latin-1')}" if query else path


async def _run(endpoint: Endpoint, call: Call[msgspec.Struct, msgspec.Struct]) -> Answer:
    # Its body and query were decoded as the endpoint's.
    return Answer(endpoint.status, encode(await endpoint.handler(cast("Call[Never, Never]", call))))
