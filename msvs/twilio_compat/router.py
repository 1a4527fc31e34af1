"""The path of a request through /2010-04-01: caller, rate token, form, idempotency, unit of work, operation."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from functools import partial

import msgspec
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from msvs.api.accounts.auth import authenticate_key
from msvs.api.context import Context, Services
from msvs.api.errors import (
    ApiError,
    AuthenticationFailed,
    ErrorCode,
    NotFound,
    RouteUnknown,
)
from msvs.api.idempotency import Answer
from msvs.api.limits import Limiter
from msvs.api.permissions import Permission, allow
from msvs.api.unit_of_work import in_unit_of_work
from msvs.http.body import ClientGone, read_body
from msvs.http.callers import address_of
from msvs.http.calls import admit, change, method_not_allowed, replay_headers, with_head
from msvs.http.errors import error_headers
from msvs.http.headers import read_headers
from msvs.http.middleware import refuse, request_id_of, send_empty, send_whole
from msvs.pool import sharing
from msvs.twilio_compat import accounts, messages, usage
from msvs.twilio_compat.call import API_VERSION, Call, Handler
from msvs.twilio_compat.errors import error_body, status_of
from msvs.twilio_compat.forms import check_names, parse_form, parse_query
from msvs.twilio_compat.sids import ACCOUNT, encode_sid

PREFIX = f"/{API_VERSION}"
NO_CONTENT = 204
CHALLENGE = b'Basic realm="MassiveSMS"'
IDEMPOTENCY_HEADER = b"i-twilio-idempotency-token"

# A handler, and what it asks of its caller.
Handled = tuple[Handler, Permission]


def twilio_routes(services: Services, limiter: Limiter) -> list[BaseRoute]:
    """Return the routes of Twilio's API, with their full paths."""
    account = f"{PREFIX}/Accounts/{{account}}"
    looks, credits = Permission.WORKSPACE_READ, Permission.CREDITS_READ
    reads, sends = Permission.MESSAGES_READ, Permission.MESSAGES_SEND
    table: dict[str, dict[str, Handled]] = {
        f"{PREFIX}/Accounts.json": {"GET": (accounts.list_, looks)},
        f"{account}.json": {"GET": (accounts.fetch, looks)},
        f"{account}/Messages.json": {"GET": (messages.list_, reads), "POST": (messages.create, sends)},
        f"{account}/Messages/{{sid}}/Media.json": {"GET": (messages.list_media, reads)},
        f"{account}/Messages/{{sid}}.json": {
            "GET": (messages.fetch, reads),
            "POST": (messages.update, sends),
            "DELETE": (messages.delete, sends),
        },
        f"{account}/Balance.json": {"GET": (usage.balance, credits)},
        f"{account}/Usage/Records.json": {"GET": (usage.list_, reads)},
        **{
            f"{account}/Usage/Records/{name}.json": {"GET": (partial(usage.list_, period=name), reads)}
            for name in usage.PERIODS
        },
        f"{PREFIX}/{{rest:path}}": {},
    }
    return [Route(path, PathRouter(services, handlers, limiter)) for path, handlers in table.items()]


class PathRouter:
    """The handlers of one path as an ASGI app; one without any stands for what is not here."""

    def __init__(self, services: Services, handlers: Mapping[str, Handled], limiter: Limiter) -> None:
        self._services = services
        self._handlers = with_head(handlers)
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request_id: str = request_id_of(scope)
        try:
            answer = await self._answer(scope, receive, request_id)
            status, body = answer.status, answer.body
            extra = replay_headers(scope, answer, "details")
        except ClientGone:
            raise
        except Exception as error:
            refusal = refuse(scope, error)
            status, body = status_of(refusal), error_body(refusal, request_id, self._services.base_url)
            extra = error_headers(refusal, challenge=CHALLENGE)
        if status == NO_CONTENT:
            await send_empty(send, status, extra)
        else:
            await send_whole(send, status, body, extra)

    async def _answer(self, scope: Scope, receive: Receive, request_id: str) -> Answer:
        if not self._handlers:
            raise RouteUnknown("This part of Twilio's API is not here: Messages, Balance and Usage are, in JSON.")
        method: str = scope["method"]
        handled = self._handlers.get(method)
        if handled is None:
            raise method_not_allowed(method, self._handlers)
        handler, permission = handled
        headers = read_headers(scope)
        authorization = headers.get(b"authorization")
        ctx = await identify(self._services, authorization, request_id, address_of(scope))
        await admit(scope, ctx, self._limiter)
        allow(ctx, permission)
        path: Mapping[str, str] = scope["path_params"]
        if "account" in path and path["account"] != encode_sid(ACCOUNT, ctx.workspace_id):
            raise NotFound("The account does not exist, or does not belong to this key.", param="AccountSid")
        query = parse_query(scope["query_string"])
        if method == "DELETE":
            with sharing(ctx.workspace_id):
                return await in_unit_of_work(lambda: _run(handler, Call(ctx, path, query, {})))
        if method != "POST":
            with sharing(ctx.workspace_id):
                return await _run(handler, Call(ctx, path, query, {}))
        check_names(query, ())
        _, token = _credentials(authorization)
        call = Call(ctx, path, {}, parse_form(await read_body(receive, headers), headers), token)
        with sharing(ctx.workspace_id):
            return await self._write(handler, call, scope, headers, request_id)

    async def _write(
        self, handler: Handler, call: Call, scope: Scope, headers: Mapping[bytes, bytes], request_id: str
    ) -> Answer:
        """Run what changes something, once an idempotency token."""

        def error_answer(error: ApiError) -> Answer:
            return Answer(status_of(error), error_body(error, request_id, self._services.base_url))

        return await change(
            call.ctx,
            headers.get(IDEMPOTENCY_HEADER),
            (scope["method"], scope["path"], call.form),
            lambda: _run(handler, call),
            error_answer,
            is_single_statement=handler is messages.create and not any(call.form.get(each) for each in messages.KEPT),
        )


async def identify(services: Services, authorization: bytes | None, request_id: str, ip: str | None = None) -> Context:
    """Return the caller behind HTTP basic authentication: an AccountSid, or the key again, and the key as its password.

    Raises AuthenticationFailed.
    """
    username, key = _credentials(authorization)
    ctx = await authenticate_key(services, key, request_id, ip=ip)
    names = (encode_sid(ACCOUNT, ctx.workspace_id), key)
    if not any(hmac.compare_digest(username.encode(), name.encode()) for name in names):
        raise AuthenticationFailed(
            "The username is not the AccountSid of this key's workspace.", code=ErrorCode.API_KEY_INVALID
        )
    return ctx


def _credentials(authorization: bytes | None) -> tuple[str, str]:
    if not authorization:
        raise AuthenticationFailed(
            "Authenticate by HTTP basic: your AccountSid as the username, your API key as the password.",
            code=ErrorCode.API_KEY_MISSING,
        )
    scheme, _, text = authorization.partition(b" ")
    try:
        if scheme.lower() != b"basic":
            raise ValueError
        username, colon, key = base64.b64decode(text.strip(), validate=True).decode().partition(":")
        if not colon:
            raise ValueError
    except (binascii.Error, ValueError):
        raise AuthenticationFailed(
            "The Authorization header must be that of HTTP basic authentication.", code=ErrorCode.API_KEY_MALFORMED
        ) from None
    return username, key


async def _run(handler: Handler, call: Call) -> Answer:
    status, found = await handler(call)
    return Answer(status, b"" if found is None else msgspec.json.encode(found))
