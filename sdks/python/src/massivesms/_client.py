"""Sends calls over httpx, one after another or in an event loop."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

import httpx

from massivesms._call import Answer, Call, timed_out
from massivesms._config import Settings, read_settings
from massivesms._model import make
from massivesms._options import RequestOptions
from massivesms._pages import AsyncPage, AsyncPager, Page
from massivesms.errors import APIConnectionError, ConfigurationError, InvalidResponseError, MassiveSMSError

TIMEOUT = 30.0
CONNECT_TIMEOUT = 5.0
MAX_RETRIES = 2
LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=30.0)

R = TypeVar("R")
S = TypeVar("S", bound="Calls")
A = TypeVar("A", bound="AsyncCalls")
H = TypeVar("H")

_told: set[str] = set()


@dataclass(frozen=True)
class Timing:
    """A clock and a sleeper, which tests replace."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Any] | None = None


class _Base:
    """What clients of both kinds share."""

    _settings: Settings
    _timing: Timing

    @property
    def livemode(self) -> bool:
        """Whether the key is a live one; False in the sandbox."""
        return self._settings.livemode

    @property
    def base_url(self) -> str:
        """Return the address of the API."""
        return self._settings.base_url

    def __repr__(self) -> str:
        """Name the address and mode, never the key."""
        return f"{type(self).__name__}(base_url={self.base_url!r}, livemode={self.livemode})"

    def __reduce__(self) -> Any:
        """Refuse to be pickled: the key would go along."""
        raise TypeError(f"{type(self).__name__} holds a key and connections, and cannot be pickled.")

    def _call(
        self,
        method: str,
        path: str,
        ids: Mapping[str, str] | None,
        query: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
        key: str | None,
        deprecated: str | None,
        options: RequestOptions | None,
    ) -> Call:
        chosen: RequestOptions = {**(options or {})}
        if key is not None:
            chosen["idempotency_key"] = key
        if deprecated is not None and deprecated not in _told:
            _told.add(deprecated)
            warnings.warn(f"{deprecated} is deprecated: see its documentation.", DeprecationWarning, stacklevel=5)
        started = self._timing.clock()
        return Call(
            self._settings, method, path, ids=ids or {}, query=query or {}, body=body, options=chosen, started=started
        )

    def _timeout(self, seconds: float) -> httpx.Timeout:
        return httpx.Timeout(seconds, connect=min(self._settings.connect_timeout, seconds))


class Calls(_Base):
    """Makes calls and waits for their answers; safe to share between threads."""

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        timeout: float = TIMEOUT,
        connect_timeout: float = CONNECT_TIMEOUT,
        deadline: float | None = None,
        max_retries: int = MAX_RETRIES,
        app_info: str | None = None,
        http_client: httpx.Client | None = None,
        transport: httpx.BaseTransport | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._settings = read_settings(api_key, base_url, timeout, connect_timeout, deadline, max_retries, app_info)
        self._timing = timing or Timing()
        self._owns = http_client is None
        if http_client is not None and not isinstance(http_client, httpx.Client):
            raise TypeError("http_client is an httpx.Client; AsyncMassiveSMS takes an httpx.AsyncClient.")
        self._can_renew = self._owns and transport is None
        self._http = http_client or opened(lambda: httpx.Client(transport=transport, limits=LIMITS))
        self._process = os.getpid()

    def close(self) -> None:
        """Close the connections, where they are this client's own."""
        if self._owns:
            self._http.close()

    def _connections(self) -> httpx.Client:
        """Return the connections of this process: what was opened before a fork belongs to the parent."""
        if self._process != os.getpid() and self._can_renew:
            self._http = opened(lambda: httpx.Client(limits=LIMITS))
            self._process = os.getpid()
        return self._http

    def __enter__(self: S) -> S:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def call(
        self,
        method: str,
        path: str,
        result: str,
        *,
        path_ids: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        deprecated: str | None = None,
        options: RequestOptions | None = None,
    ) -> R:  # type: ignore[type-var]
        """Make a call and return its result as a model, which the caller names."""
        call = self._call(method, path, path_ids, query, body, idempotency_key, deprecated, options)
        self._run(call)
        made: R = make(result, call.result, call.response)
        return made

    def call_page(
        self,
        method: str,
        path: str,
        item: str,
        *,
        path_ids: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        options: RequestOptions | None = None,
    ) -> Page[Any]:
        """Make a call and return the page it answers."""

        def fetch(asked: Mapping[str, Any]) -> Page[Any]:
            call = self._call(method, path, path_ids, asked, None, None, None, options)
            self._run(call)
            assert call.response is not None
            return Page(item, asked, call.result, call.response, fetch)

        return fetch(query or {})

    def _run(self, call: Call) -> None:
        while True:
            timeout = call.begin(self._timing.clock())
            wait = call.settle(self._try(call, timeout), self._timing.clock())
            if wait is None:
                return
            (self._timing.sleep or time.sleep)(wait)

    def _try(self, call: Call, timeout: float) -> Answer | MassiveSMSError:
        ends = time.monotonic() + timeout
        http = self._connections()
        try:
            request = http.build_request(
                call.method, call.url, headers=call.headers, content=call.content, timeout=self._timeout(timeout)
            )
            answer = http.send(request, stream=True, follow_redirects=False)
            try:
                chunks = []
                for chunk in answer.iter_bytes():
                    chunks.append(chunk)
                    if time.monotonic() > ends:
                        return timed_out(timeout)
            finally:
                answer.close()
            return Answer(answer.status_code, answer.headers, b"".join(chunks))
        except (httpx.RequestError, httpx.InvalidURL) as error:
            return _failure(error, timeout)


class AsyncCalls(_Base):
    """Makes calls in an event loop."""

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        timeout: float = TIMEOUT,
        connect_timeout: float = CONNECT_TIMEOUT,
        deadline: float | None = None,
        max_retries: int = MAX_RETRIES,
        app_info: str | None = None,
        http_client: httpx.AsyncClient | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._settings = read_settings(api_key, base_url, timeout, connect_timeout, deadline, max_retries, app_info)
        self._timing = timing or Timing()
        self._owns = http_client is None
        if http_client is not None and not isinstance(http_client, httpx.AsyncClient):
            raise TypeError("http_client is an httpx.AsyncClient; MassiveSMS takes an httpx.Client.")
        self._can_renew = self._owns and transport is None
        self._http = http_client or opened(lambda: httpx.AsyncClient(transport=transport, limits=LIMITS))
        self._place: tuple[int, object] | None = None

    async def aclose(self) -> None:
        """Close the connections, where they are this client's own."""
        if self._owns:
            await self._http.aclose()

    def _connections(self) -> httpx.AsyncClient:
        """Return the connections of this event loop: they cannot be used in another, nor after a fork."""
        place = (os.getpid(), running_loop())
        if self._place is None:
            self._place = place
        if self._place[0] != place[0] or self._place[1] is not place[1]:
            if self._can_renew:
                self._http = opened(lambda: httpx.AsyncClient(limits=LIMITS))
            self._place = place
        return self._http

    async def __aenter__(self: A) -> A:
        """Return the client."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.aclose()

    async def call(
        self,
        method: str,
        path: str,
        result: str,
        *,
        path_ids: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        deprecated: str | None = None,
        options: RequestOptions | None = None,
    ) -> R:
        """Make a call and return its result as a model, which the caller names."""
        call = self._call(method, path, path_ids, query, body, idempotency_key, deprecated, options)
        await self._run(call)
        made: R = make(result, call.result, call.response)
        return made

    def call_page(
        self,
        method: str,
        path: str,
        item: str,
        *,
        path_ids: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        options: RequestOptions | None = None,
    ) -> AsyncPager[Any]:
        """Return a list whose pages are fetched when they are awaited."""

        async def fetch(asked: Mapping[str, Any]) -> AsyncPage[Any]:
            call = self._call(method, path, path_ids, asked, None, None, None, options)
            await self._run(call)
            assert call.response is not None
            return AsyncPage(item, asked, call.result, call.response, fetch)

        return AsyncPager(lambda: fetch(query or {}))

    async def _run(self, call: Call) -> None:
        import anyio

        while True:
            timeout = call.begin(self._timing.clock())
            wait = call.settle(await self._try(call, timeout), self._timing.clock())
            if wait is None:
                return
            await (self._timing.sleep or anyio.sleep)(wait)

    async def _try(self, call: Call, timeout: float) -> Answer | MassiveSMSError:
        import anyio

        http = self._connections()
        try:
            with anyio.fail_after(timeout):
                answer = await http.request(
                    call.method,
                    call.url,
                    headers=call.headers,
                    content=call.content,
                    timeout=self._timeout(timeout),
                    follow_redirects=False,
                )
            return Answer(answer.status_code, answer.headers, answer.content)
        except TimeoutError:
            return timed_out(timeout)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            return _failure(error, timeout)


def opened(make_client: Callable[[], H]) -> H:
    """Make a client of httpx. Raises ConfigurationError where the environment names a proxy that it cannot use."""
    try:
        return make_client()
    except (ImportError, OSError, ValueError, httpx.InvalidURL) as error:
        raise ConfigurationError(
            "A proxy or certificate that the environment names cannot be used; SOCKS needs pip install 'httpx[socks]'. "
            "Change HTTPS_PROXY, ALL_PROXY, NO_PROXY or SSL_CERT_FILE, or give http_client=."
        ) from error


def running_loop() -> object:
    """Return the loop of asyncio that runs, or None under trio."""
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _failure(error: Exception, timeout: float) -> MassiveSMSError:
    told: MassiveSMSError
    if isinstance(error, httpx.TimeoutException):
        told = timed_out(timeout)
    elif isinstance(error, httpx.DecodingError):
        told = InvalidResponseError("The answer's bytes cannot be unpacked.")
    elif isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol | httpx.InvalidURL):
        told = ConfigurationError("The request cannot be written: a header or the address has signs it may not have.")
    else:
        told = APIConnectionError(f"No answer came: {type(error).__name__}.")
    told.__cause__ = error
    return told
