"""Keep a session up: connect, bind, and reconnect after every end."""

from __future__ import annotations

import asyncio
import random
import ssl
from contextlib import suppress

import structlog

from msvs.carriers.smpp.pdu import Command
from msvs.carriers.smpp.session import BindRefused, Host, Session, SessionLost

log = structlog.get_logger(__name__)


class Link:
    """One of the carrier's sessions, over its present connection; `problem` is why there is none."""

    def __init__(self, host: Host, mode: Command, *, name: str, tls: ssl.SSLContext | None) -> None:
        self.mode = mode
        self.session: Session | None = None
        self.problem: str | None = "not connected yet"
        self._host = host
        self._name = name
        self._tls = tls
        self._is_closing = False
        self._task = asyncio.create_task(self._run())

    @property
    def is_open(self) -> bool:
        """Whether it is bound and takes part."""
        return self.session is not None and self.session.is_open

    async def close(self, seconds: float) -> None:
        """Unbind, having waited up to `seconds` for what is in the window, and stay away."""
        self._is_closing = True
        session = self.session
        if session is not None:
            if session.is_bound:
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await session.leave()
                        await asyncio.shield(session.closed)
            session.end()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        """Bind and bind again forever, the pauses longer each time that it fails, and never quite the same."""
        options = self._host.options
        failures = 0
        while True:
            try:
                if await self._stand():
                    failures = 0
            except Exception as error:
                # Catch every error: without a retry the session would stay closed.
                self._failed(f"cannot connect: {type(error).__name__}")
            longest = min(options.reconnect_max_seconds, options.reconnect_seconds * 2 ** min(failures, 20))
            failures += 1
            await asyncio.sleep(longest * random.uniform(0.5, 1.0))  # noqa: S311 - no secret

    async def _stand(self) -> bool:
        """Connect, bind, and stay until the session ends. Return whether it was bound."""
        options = self._host.options
        session = Session(self._host, self.mode)
        try:
            async with asyncio.timeout(options.response_seconds):
                await asyncio.get_running_loop().create_connection(
                    lambda: session,
                    options.host,
                    options.port,
                    ssl=self._tls,
                    server_hostname=(options.tls_name or options.host) if self._tls else None,
                )
                await session.bind()
        except BindRefused as error:
            self._failed(f"the message centre refused to bind: {error}")
        except SessionLost as error:
            self._failed(str(error))
        except TimeoutError:
            self._failed("no answer in time")
        except ssl.SSLError as error:
            self._failed(f"TLS: {error.reason or type(error).__name__}")
        except OSError as error:
            self._failed(f"cannot connect: {error.strerror or type(error).__name__}")
        else:
            self.session, self.problem = session, None
            log.info("smpp_bound", carrier=self._name, mode=self.mode.name.lower())
            try:
                self._host.proceed()
                await asyncio.shield(session.closed)
            finally:
                self.session = None
            self._failed(session.reason)
            return True
        finally:
            session.end()
        return False

    def _failed(self, problem: str) -> None:
        # The same trouble again and again is one line.
        if problem != self.problem and not self._is_closing:
            log.warning("smpp_not_bound", carrier=self._name, mode=self.mode.name.lower(), problem=problem)
        self.problem = problem
