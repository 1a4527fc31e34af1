"""Errors of the API, the workers and cron, sent to Sentry where MSVS_SENTRY_DSN says so.

What an error says may quote a phone, a body or a key. Sent are its kind, its frames without the values of variables,
and its text only where that cannot quote anything of a caller.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from structlog.contextvars import get_contextvars

from msvs import logs
from msvs.settings import Settings, SettingsError, version

if TYPE_CHECKING:
    from sentry_sdk._types import Event, Hint
    from sentry_sdk.transport import Transport

MISSING = "MSVS_SENTRY_DSN must have the extra sentry: pip install 'massivesms-server[sentry]'"
# An error of one kind at one place is sent once in this time; it may befall every message of a campaign.
AGAIN_SECONDS = 60.0
MOST_KNOWN = 1000
CLOSE_SECONDS = 2.0
# What they say names code, or comes from the system.
OF_CODE = (AttributeError, ImportError, NameError, NotImplementedError, RecursionError, TypeError)
# All that is quoted are names of code.
_names = re.compile(r"(?:[^'\"]|(['\"])[\w.]*\1)*")
_quote = re.compile(r"['\"]")
# Of an event, what the SDK fills from our frames and settings alone.
SENT = frozenset(
    ("event_id", "timestamp", "level", "platform", "release", "environment", "server_name", "exception", "tags", "sdk")
)
# On whose behalf, as every log line has it.
TAGS = ("request_id", "workspace", "job")


class ErrorTracker:
    """Sends errors to one Sentry project."""

    def __init__(self, settings: Settings, process: str, transport: type[Transport] | Transport | None = None) -> None:
        try:
            from sentry_sdk import Client
        except ImportError:
            raise SettingsError(MISSING) from None
        self._process = process
        self._sent: dict[tuple[str, str], float] = {}
        # Of its own, not the SDK's for the whole process; nothing is patched.
        self.client = Client(
            dsn=settings.sentry_dsn,
            release=f"massivesms-server@{version()}",
            environment=settings.environment,
            transport=transport,
            before_send=scrub,
            # No personal data is collected by default; a variable of the environment would turn that on for Spotlight.
            spotlight=False,
            include_local_variables=False,
            max_breadcrumbs=0,
            default_integrations=False,
            auto_enabling_integrations=False,
            auto_session_tracking=False,
            max_request_body_size="never",
            in_app_include=["msvs"],
            shutdown_timeout=CLOSE_SECONDS,
        )

    def capture(self, error: BaseException) -> None:
        """Send an error with its request, workspace and job, unless its like was sent a moment ago."""
        from sentry_sdk.utils import event_from_exception

        if not self._is_news(error):
            return
        event, hint = event_from_exception(error, client_options=self.client.options)
        known = get_contextvars()
        event["tags"] = {"process": self._process} | {
            name: str(known[name]) for name in TAGS if known.get(name) is not None
        }
        self.client.capture_event(event, hint)

    def _is_news(self, error: BaseException) -> bool:
        now, key = time.monotonic(), (type(error).__qualname__, _place(error))
        if now - self._sent.get(key, -AGAIN_SECONDS) < AGAIN_SECONDS:
            return False
        if len(self._sent) >= MOST_KNOWN:
            self._sent.clear()
        self._sent[key] = now
        return True

    def close(self) -> None:
        """Send what is left, for a bounded time."""
        self.client.close(timeout=CLOSE_SECONDS)


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


class ErrorHandler(logging.Handler):
    """Sends the error of each log line at ERROR: the one that it has, or the one that is being handled."""

    def __init__(self, tracker: ErrorTracker) -> None:
        super().__init__(logging.ERROR)
        self._tracker = tracker

    def emit(self, record: logging.LogRecord) -> None:
        """Send the error of a line, if there is one."""
        error = _error_of(record)
        # What the SDK says of itself must not come back to it.
        if error is None or record.name.startswith(("sentry_sdk", "urllib3")):
            return
        try:
            self._tracker.capture(error)
        except Exception:
            self.handleError(record)


def _error_of(record: logging.LogRecord) -> BaseException | None:
    # Lines of structlog's are dicts on their way to the formatter.
    given = record.msg.get("exc_info") if isinstance(record.msg, dict) else record.exc_info
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        return cast("BaseException | None", given[1])
    return sys.exc_info()[1]


@contextmanager
def tracking(settings: Settings, process: str) -> Iterator[None]:
    """Send what the process logs as an error, and what ends it, to Sentry; nothing without a DSN.

    Logging is set up before. Raises SettingsError where the SDK is not installed.
    """
    if settings.sentry_dsn is None:
        yield
        return
    tracker = ErrorTracker(settings, process)
    handler, root = ErrorHandler(tracker), logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    except SettingsError:
        raise
    except Exception as error:
        tracker.capture(error)
        raise
    finally:
        root.removeHandler(handler)
        tracker.close()


def scrub(event: Event, hint: Hint) -> Event:
    """Return an event without what an error may quote: sentry_sdk's `before_send`."""
    texts = _texts_of(hint.get("exc_info", (None, None, None))[1])
    kept = {name: value for name, value in event.items() if name in SENT}
    for value in cast("dict[str, list[dict[str, object]]]", kept.get("exception") or {}).get("values", []):
        value["value"] = texts.get(str(value.get("type")), "")
        mechanism = value.get("mechanism")
        if isinstance(mechanism, dict):
            mechanism.pop("data", None)
        frames = cast("dict[str, list[dict[str, object]]]", value.get("stacktrace") or {}).get("frames", [])
        for frame in frames:
            frame.pop("vars", None)
    return cast("Event", {name: _masked(value) for name, value in kept.items()})


def _masked(value: object) -> object:
    if isinstance(value, str):
        return logs.mask(value)
    if isinstance(value, Mapping):
        return {name: _masked(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(each) for each in value]
    return value


def _texts_of(error: BaseException | None) -> dict[str, str]:
    """Return what may be sent of an error's text and of those behind it and in it, by their kinds."""
    texts: dict[str, str] = {}
    waiting, seen = [error], set()
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        texts.setdefault(type(each).__qualname__, _text_of(each))
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
    return texts


def _text_of(error: BaseException) -> str:
    if type(error).__module__.partition(".")[0] == "asyncpg":
        return logs.message_of(error)
    if isinstance(error, OF_CODE):
        text = str(error)
        return text if _names.fullmatch(text) else _quote.split(text)[0] + logs.MASK
    if isinstance(error, OSError):
        return error.strerror or ""
    return ""
