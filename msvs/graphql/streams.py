"""Subscriptions over graphql-transport-ws on WebSocket, and over server-sent events."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from uuid import UUID

import msgspec
import structlog
from graphql import GraphQLError
from starlette.types import Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from msvs.api import ids
from msvs.api.accounts import login_sessions
from msvs.api.accounts.networks import network_of
from msvs.api.errors import ApiError, AuthenticationFailed, ErrorCode, InvalidRequest, RateLimited
from msvs.api.limits import Limiter
from msvs.graphql.body import parse_json, read_request
from msvs.graphql.context import RequestContext
from msvs.graphql.endpoint import EVENT_STREAM_TYPE, GraphQLEndpoint, entries_of
from msvs.graphql.errors import error_entry, execution_entry
from msvs.graphql.guard import Ending, Guard
from msvs.graphql.limits import DocumentRefused, tokens_for
from msvs.graphql.live import Feed, SubscriptionTooSlow
from msvs.graphql.operations import Operation, Operations
from msvs.graphql.schema import DOCUMENT, schema
from msvs.http.body import ClientGone
from msvs.http.callers import Caller, Callers, enter_at_its_time, stranger, visitor_of
from msvs.http.errors import as_api_error
from msvs.http.headers import NOT_STORED, Headers, check_allowance
from msvs.present import standing

log = structlog.get_logger(__name__)

COMPLETE = b"event: complete\ndata:\n\n"
PROTOCOL = "graphql-transport-ws"
MAX_MESSAGE_BYTES = 128 * 1024
MAX_ID_LENGTH = 100
MAX_CONNECTIONS = 2000
# Of them, those of one network that have not said who they are, and those of one workspace: nobody takes all.
MAX_OF_STRANGER = 100
MAX_OF_WORKSPACE = 200
MAX_ON_CONNECTION = 20
# What one item of a subscription may cost; starting one costs the same tokens as a query of that size.
MAX_ITEM_COST = 300

INIT_SECONDS = 10.0
IDLE_SECONDS = 60.0
# The server ends a connection that reads nothing before this; where it cannot, the connection is closed.
SEND_SECONDS = 25.0
KEEP_ALIVE_SECONDS = 15.0

# What RFC 6455, section 5.5, leaves for a reason, in bytes.
MAX_REASON = 123

# The closing codes of graphql-transport-ws, and one of ours.
BAD_REQUEST = 4400
UNAUTHORIZED = 4401
FORBIDDEN = 4403
PROTOCOL_UNKNOWN = 4406
INIT_TIMEOUT = 4408
SUBSCRIBER_EXISTS = 4409
TOO_SLOW = 4413
INIT_TWICE = 4429
IDLE = 1000
TRY_LATER = 1013


class Closed(Exception):
    """The connection is to be closed, with a code that the client can read."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


async def results(operation: Operation, context: RequestContext) -> AsyncGenerator[dict[str, object], None]:
    """Yield what a subscription yields; the last answer may say why there are no more. Raises SubscriptionTooSlow."""
    request_id = context.caller.visitor.request_id
    await context.renew()
    stream = await schema.subscribe(
        operation.text,
        variable_values=operation.variables,
        context_value=context,
        operation_name=operation.name,
        operation_extensions={DOCUMENT: operation.document.node},
    )
    async with aclosing(stream) as found:
        async for result in found:
            answer: dict[str, object] = {"data": result.data}
            if result.errors:
                answer["errors"] = [_entry(error, request_id) for error in result.errors]
            yield answer


def _entry(error: GraphQLError, request_id: str | None) -> dict[str, object]:
    original = error.original_error
    if isinstance(original, SubscriptionTooSlow):
        raise original
    if error.path is None and original is not None and not isinstance(original, GraphQLError):
        told = as_api_error(original)
        entry, ours = error_entry(told, request_id), told if told.status >= 500 else None
    else:
        entry, ours = execution_entry(error, request_id)
    if ours is not None:
        log.error("subscription failed", status=ours.status, exc_info=original or error)
    return entry


class StreamEndpoint(GraphQLEndpoint):
    """Answers by server-sent events on a connection for each operation: a subscription's many, or the one answer.

    `subscriptions_only` refuses others, at the address that streams alone have.
    """

    offers = (EVENT_STREAM_TYPE,)

    def status_of(self, refusal: ApiError, media_type: bytes | None) -> int:
        """Return the refusal's own status: what is not streamed is no answer."""
        return refusal.status

    def __init__(
        self,
        callers: Callers,
        limiter: Limiter,
        operations: Operations,
        feed: Feed,
        guard: Guard,
        *,
        subscriptions_only: bool = False,
    ) -> None:
        super().__init__(callers, limiter, operations, pages=False)
        self._subscriptions_only = subscriptions_only
        self._feed = feed
        self._guard = guard

    async def run(
        self, scope: Scope, receive: Receive, send: Send, headers: Mapping[bytes, bytes], more: Headers, request_id: str
    ) -> tuple[int, dict[str, object]] | None:
        """Send the events of one operation until it ends; None, for all has been sent."""
        caller, allowance = await self.admit(scope, headers, more, request_id)
        operation = await self.read(caller, scope, receive, headers)
        if not operation.is_subscription and self._subscriptions_only:
            raise DocumentRefused("Only subscriptions are streamed; post queries and mutations to /graphql.")
        operation.check_scopes(caller.ctx)
        if not operation.is_subscription:
            answer = await self.execute(operation, caller, allowance, more, request_id)
            await send({"type": "http.response.start", "status": 200, "headers": _stream_headers()})
            await _send_part(send, _next_event(answer))
            await _send_part(send, COMPLETE, last=True)
            return None
        tokens = tokens_for(operation.weigh(MAX_ITEM_COST))
        if tokens > 1:
            await self.take(caller, tokens - 1, more)
        events: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        with self._guard.watch(caller) as ending:
            context = RequestContext(caller, self._limiter, self._feed, has_clock=self._guard.has_clock)
            producer = asyncio.create_task(_produce(operation, context, events))
            gone = asyncio.create_task(_until_gone(receive))
            try:
                await send({"type": "http.response.start", "status": 200, "headers": _stream_headers()})
                await self._pump(send, events, ending, gone, request_id)
            finally:
                for task in (producer, gone):
                    task.cancel()
                await asyncio.gather(producer, gone, return_exceptions=True)
        return None

    async def _pump(
        self,
        send: Send,
        events: asyncio.Queue[bytes | None],
        ending: Ending,
        gone: asyncio.Task[None],
        request_id: str,
    ) -> None:
        following = asyncio.create_task(events.get())
        try:
            while True:
                awaited: set[asyncio.Task[bytes | None] | asyncio.Task[None] | Ending] = {following, ending, gone}
                await asyncio.wait(awaited, timeout=KEEP_ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    return
                if ending.done():
                    await _send_part(send, _next_event({"errors": [error_entry(ending.result(), request_id)]}))
                    break
                if not following.done():
                    await _send_part(send, b":\n\n")
                    continue
                part = following.result()
                if part is None:
                    break
                await _send_part(send, part)
                following = asyncio.create_task(events.get())
            await _send_part(send, COMPLETE, last=True)
        except TimeoutError:
            # The client does not read; there is no use in telling it.
            return
        finally:
            following.cancel()


async def _produce(operation: Operation, context: RequestContext, events: asyncio.Queue[bytes | None]) -> None:
    request_id = context.caller.visitor.request_id
    try:
        async with aclosing(results(operation, context)) as found:
            async for answer in found:
                await events.put(_next_event(answer))
    except Exception as error:
        told = as_api_error(error)
        if not isinstance(told, SubscriptionTooSlow) and told.status >= 500:
            log.error("subscription failed", status=told.status, exc_info=error)
        await events.put(_next_event({"errors": [error_entry(told, request_id)]}))
    await events.put(None)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_part(send: Send, part: bytes, *, last: bool = False) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await send({"type": "http.response.body", "body": part, "more_body": not last})


def _next_event(answer: dict[str, object]) -> bytes:
    return b"event: next\ndata: " + msgspec.json.encode(answer) + b"\n\n"


def _stream_headers() -> Headers:
    return [
        (b"content-type", EVENT_STREAM_TYPE),
        NOT_STORED,
        # Proxies that would wait for the whole answer.
        (b"x-accel-buffering", b"no"),
    ]


class SocketEndpoint:
    """Runs subscriptions over WebSocket."""

    def __init__(self, callers: Callers, limiter: Limiter, operations: Operations, feed: Feed, guard: Guard) -> None:
        self.callers = callers
        self.limiter = limiter
        self.operations = operations
        self.feed = feed
        self.guard = guard
        self._open = 0
        self._held: Counter[str | UUID] = Counter()

    @contextmanager
    def hold(self, holder: str | UUID, most: int) -> Iterator[None]:
        """Count a connection as one of `holder`'s, which may be `most` at once. Raises Closed."""
        if self._held[holder] >= most:
            raise Closed(TRY_LATER, "Too many connections")
        self._held[holder] += 1
        try:
            yield
        finally:
            self._held[holder] -= 1
            if not self._held[holder]:
                del self._held[holder]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection. A page of another site is refused before there is any."""
        if (await receive())["type"] != "websocket.connect":
            return
        headers = dict(scope["headers"])
        try:
            self.callers.check_origin(headers)
        except ApiError:
            await send({"type": "websocket.close", "code": FORBIDDEN, "reason": ""})
            return
        request_id = ids.encode_id(ids.REQUEST, ids.new_id())
        self._open += 1
        try:
            with bound_contextvars(request_id=request_id):
                await Connection(self, scope, receive, send, headers, request_id).serve(
                    full=self._open > MAX_CONNECTIONS
                )
        finally:
            self._open -= 1


class Connection:
    """One WebSocket and the subscriptions on it."""

    def __init__(
        self,
        endpoint: SocketEndpoint,
        scope: Scope,
        receive: Receive,
        send: Send,
        headers: Mapping[bytes, bytes],
        request_id: str,
    ) -> None:
        self._endpoint = endpoint
        self._protocols = scope.get("subprotocols", [])
        self._visitor = visitor_of(endpoint.callers.services, scope, request_id)
        self._receive = receive
        self._raw_send = send
        self._headers = headers
        self._request_id = request_id
        self._running: dict[str, asyncio.Task[None]] = {}
        self._failed: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()

    async def serve(self, *, full: bool) -> None:
        """Greet the client and run what it asks for until one of the two has had enough."""
        known = PROTOCOL in self._protocols
        await self._raw_send({"type": "websocket.accept", "subprotocol": PROTOCOL if known else None})
        try:
            if not known:
                raise Closed(PROTOCOL_UNKNOWN, "Subprotocol not acceptable")
            if full:
                raise Closed(TRY_LATER, "Too many connections")
            # A sandbox's clock may go on meanwhile: each item of a subscription asks for its time.
            with standing():
                with self._endpoint.hold(network_of(self._visitor.ip or ""), MAX_OF_STRANGER):
                    caller = await self._greet()
                assert caller.ctx is not None
                with (
                    self._endpoint.hold(caller.ctx.workspace_id, MAX_OF_WORKSPACE),
                    self._endpoint.guard.watch(caller) as ending,
                ):
                    await self._converse(caller, ending)
        except ClientGone:
            pass
        except Closed as closed:
            # What the client called a subscription may stand in it.
            reason = closed.reason.encode()[:MAX_REASON].decode(errors="ignore")
            with suppress(TimeoutError, ClientGone):
                await self._put({"type": "websocket.close", "code": closed.code, "reason": reason})
        finally:
            tasks = list(self._running.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._failed.cancel()

    async def _greet(self) -> Caller:
        """Return the caller, by the first message. Raises Closed."""
        try:
            async with asyncio.timeout(INIT_SECONDS):
                message = await self._next()
        except TimeoutError:
            raise Closed(INIT_TIMEOUT, "Connection initialisation timeout") from None
        if message.get("type") != "connection_init":
            raise Closed(UNAUTHORIZED, "Unauthorized")
        try:
            caller = await self._identify(message.get("payload"))
        except AuthenticationFailed as error:
            raise Closed(UNAUTHORIZED, error.code) from None
        except ApiError as error:
            raise Closed(FORBIDDEN, error.code) from None
        except Exception as error:
            log.warning("connection refused", error=type(error).__name__)
            raise Closed(TRY_LATER, "Try again later") from None
        return caller

    async def _identify(self, payload: object) -> Caller:
        """Return the caller by `authorization`, or by the cookie with `csrfToken`, and the page's Origin beside."""
        given = payload if isinstance(payload, dict) else {}
        callers = self._endpoint.callers
        # Clients hand on the header as they spell it.
        authorization = next((given[name] for name in given if name.lower() == "authorization"), None)
        if authorization is None and b"authorization" in self._headers:
            authorization = self._headers[b"authorization"].decode("latin-1")
        if isinstance(authorization, str):
            return await callers.by_key(authorization, self._visitor)
        token = callers.token_of(self._headers)
        if token is None and b"origin" not in self._headers:
            refusal = stranger(self._visitor).refusal
            assert refusal is not None
            raise refusal
        callers.check_origin(self._headers, required=True)
        identity = await login_sessions.authenticate_session(callers.services, token, ip=self._visitor.ip)
        csrf, workspace, livemode = (given.get(name) for name in ("csrfToken", "workspace", "livemode"))
        login_sessions.check_csrf(identity, csrf if isinstance(csrf, str) else None)
        if not isinstance(livemode, bool | None) or not isinstance(workspace, str | None):
            raise InvalidRequest("workspace must be a string and livemode a boolean.")
        caller = await enter_at_its_time(identity, self._visitor, workspace, livemode=bool(livemode))
        if caller.ctx is None:
            assert caller.refusal is not None
            raise caller.refusal
        return caller

    async def _converse(self, caller: Caller, ending: Ending) -> None:
        await self._say({"type": "connection_ack"})
        following: asyncio.Task[dict[str, object]] = asyncio.create_task(self._next())
        try:
            while True:
                waits = None if self._running else IDLE_SECONDS
                awaited: set[asyncio.Task[dict[str, object]] | Ending | asyncio.Future[Closed]] = {
                    following,
                    ending,
                    self._failed,
                }
                await asyncio.wait(awaited, timeout=waits, return_when=asyncio.FIRST_COMPLETED)
                if self._failed.done():
                    raise self._failed.result()
                if ending.done():
                    raise Closed(UNAUTHORIZED, ending.result().code)
                if not following.done():
                    if not self._running:
                        raise Closed(IDLE, "Idle")
                    continue
                message = following.result()
                following = asyncio.create_task(self._next())
                await self._answer(caller, message)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _answer(self, caller: Caller, message: dict[str, object]) -> None:
        match message.get("type"):
            case "ping":
                await self._say({"type": "pong"})
            case "pong":
                pass
            case "subscribe":
                self._start(caller, _id_of(message), message.get("payload"))
            case "complete":
                task = self._running.pop(_id_of(message), None)
                if task is not None:
                    task.cancel()
            case "connection_init":
                raise Closed(INIT_TWICE, "Too many initialisation requests")
            case _:
                raise Closed(BAD_REQUEST, "Unknown type of message")

    def _start(self, caller: Caller, id: str, payload: object) -> None:
        if id in self._running:
            raise Closed(SUBSCRIBER_EXISTS, f"Subscriber for {id} already exists")
        if not isinstance(payload, dict):
            raise Closed(BAD_REQUEST, "A subscription needs a payload")
        task = asyncio.create_task(self._subscribe(caller, id, payload, full=len(self._running) >= MAX_ON_CONNECTION))
        self._running[id] = task

        def forget(done: asyncio.Task[None]) -> None:
            if self._running.get(id) is done:
                del self._running[id]

        task.add_done_callback(forget)

    async def _subscribe(self, caller: Caller, id: str, payload: dict[str, object], *, full: bool) -> None:
        try:
            try:
                operation = await self._admit(caller, payload, full=full)
            except ApiError as error:
                await self._say({"type": "error", "id": id, "payload": entries_of(error, self._request_id)})
                return
            endpoint = self._endpoint
            context = RequestContext(caller, endpoint.limiter, endpoint.feed, has_clock=endpoint.guard.has_clock)
            async with aclosing(results(operation, context)) as found:
                async for answer in found:
                    await self._say({"type": "next", "id": id, "payload": answer})
            await self._say({"type": "complete", "id": id})
        except (SubscriptionTooSlow, TimeoutError):
            self._fail(Closed(TOO_SLOW, "Too slow"))
        except ClientGone:
            pass
        except Exception as error:
            log.error("subscription failed", exc_info=error)
            self._fail(Closed(TRY_LATER, "Try again later"))

    async def _admit(self, caller: Caller, payload: dict[str, object], *, full: bool) -> Operation:
        """Return the operation to run, its tokens taken. Raises ApiError."""
        bucket = self._endpoint.limiter
        await _take(bucket, caller, 1)
        if full:
            raise RateLimited(
                f"A connection has at most {MAX_ON_CONNECTION} subscriptions at once.",
                code=ErrorCode.TOO_MANY_SUBSCRIPTIONS,
                retry_after=10,
            )
        operation = self._endpoint.operations.find(read_request(payload))
        if not operation.is_subscription:
            raise DocumentRefused("Only subscriptions are run here; post queries and mutations to /graphql.")
        operation.check_scopes(caller.ctx)
        tokens = tokens_for(operation.weigh(MAX_ITEM_COST))
        if tokens > 1:
            await _take(bucket, caller, tokens - 1)
        return operation

    def _fail(self, closed: Closed) -> None:
        if not self._failed.done():
            self._failed.set_result(closed)

    async def _next(self) -> dict[str, object]:
        """Return the next message. Raises Closed and ClientGone."""
        message: Message = await self._receive()
        if message["type"] == "websocket.disconnect":
            raise ClientGone
        text = message.get("text")
        if text is None or len(text) > MAX_MESSAGE_BYTES:
            raise Closed(BAD_REQUEST, "A message is one JSON object, as text")
        try:
            return parse_json(text.encode("utf-8", "surrogatepass"))
        except InvalidRequest:
            raise Closed(BAD_REQUEST, "A message is one JSON object, as text") from None

    async def _say(self, message: dict[str, object]) -> None:
        await self._put({"type": "websocket.send", "text": msgspec.json.encode(message).decode()})

    async def _put(self, message: Message) -> None:
        """Send, unless the client has not read for so long that it is taken for gone. Raises TimeoutError."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._raw_send(message)
        except TimeoutError:
            raise
        except (OSError, RuntimeError):
            # The client hung up meanwhile.
            raise ClientGone from None


async def _take(limiter: Limiter, caller: Caller, tokens: int) -> None:
    allowance = await limiter.take(*caller.bucket, cost=tokens)
    check_allowance(allowance, unit=" tokens")


def _id_of(message: dict[str, object]) -> str:
    id = message.get("id")
    if not isinstance(id, str) or not 0 < len(id) <= MAX_ID_LENGTH:
        raise Closed(BAD_REQUEST, f"id must be a string of 1 to {MAX_ID_LENGTH} characters")
    return id
