"""Logging: one pipeline for our loggers and the libraries', JSON in production, with secrets and numbers masked."""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import TextIO
from urllib.parse import parse_qsl

import structlog

from msvs.settings import Settings, version

# These say in their own words at INFO what our own lines say already.
QUIET = ("uvicorn.error", "uvicorn.access", "rq.worker", "asyncio", "tortoise", "aiohttp.access")

_key = re.compile(r"\b(msvs_(?:live|test)_)[0-9A-Za-z]{4,}")
_webhook_secret = re.compile(r"\bwhsec_[0-9A-Za-z_+/=-]+")
_authorization = re.compile(r"(?i)\b(authorization[\"']?\s*[:=]\s*[\"']?(?:b[\"'])?)(?:(bearer|basic)\s+)?[^\s\"',}]+")
_bearer = re.compile(r"(?i)\b(bearer\s+)[0-9A-Za-z._~+/=-]{8,}")
# Up to the last @ of the authority; a scheme without end would be looked for from each of its letters.
_password = re.compile(r"(\b[a-z][a-z0-9+.-]{0,30}://[^\s:/@]*:)[^\s/]+@")
# With what people and carriers write between the digits.
_phone = re.compile(r"(?:\+|%2[Bb])([1-9](?:[ ().-]{0,2}[0-9]){6,14})(?![0-9])")
_cookie = re.compile(r"(?i)(cookie[\"']?\s?[:=]\s?[\"']?)[^\r\n\"']+")
_named = re.compile(
    r"(?i)((?:password|passwd|passphrase|secret|token|(?:api|secret|private)[_-]?key)[\"']?(?:=|: ?)[\"']?)"
    r"(?!•)[^\s\"',;&}]+"
)
# What a database's message quotes behind a colon, and the driver behind the place of an argument.
_values = re.compile(r"((?:: (?=\"))|(?:query argument \$[0-9]+: )).*", re.DOTALL)
_word = re.compile(r"[a-z]+")

# A field with one of these words in its name has a secret.
SECRET_WORDS = frozenset(
    ("authorization", "cookie", "credentials", "passphrase", "passwd", "password", "secret", "signature", "token")
)
# And these, of whose words each alone says nothing.
SECRET_FIELDS = frozenset(("api_key", "secret_key", "private_key"))
MASK = "•••"


def mask(text: str) -> str:
    """Return the text with API keys, webhook secrets, credentials and E.164 numbers made unreadable."""
    if "msvs_" in text:
        text = _key.sub(rf"\1{MASK}", text)
    if "whsec_" in text:
        text = _webhook_secret.sub(f"whsec_{MASK}", text)
    if "://" in text:
        text = _password.sub(rf"\1{MASK}@", text)
    text = _authorization.sub(rf"\1{MASK}", text)
    text = _bearer.sub(rf"\1{MASK}", text)
    text = _cookie.sub(rf"\1{MASK}", text)
    text = _named.sub(rf"\1{MASK}", text)
    return _phone.sub(_mask_phone, text)


def _mask_phone(found: re.Match[str]) -> str:
    digits = re.sub(r"[^0-9]", "", found[1])
    kept = (4, 4) if len(digits) >= 10 else (2, 2)
    return f"+{digits[: kept[0]]}{MASK}{digits[-kept[1] :]}"


def _masked(value: object) -> object:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, bool | int | float | None):
        return value
    if isinstance(value, dict):
        return {mask(str(name)): _masked_field(str(name), each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(each) for each in value]
    return mask(value.decode(errors="replace") if isinstance(value, bytes) else str(value))


def _masked_field(name: str, value: object) -> object:
    name = name.lower().replace("-", "_")
    is_secret = not SECRET_WORDS.isdisjoint(_word.findall(name)) or any(each in name for each in SECRET_FIELDS)
    return MASK if is_secret else _masked(value)


def mask_event(_logger: object, _name: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """Return a structlog processor that masks every field of a log line, its traceback too."""
    for name, value in event.items():
        if not name.startswith("_"):
            event[name] = _masked_field(name, value)
    return event


def set_up(settings: Settings, stream: TextIO | None = None) -> None:
    """Send every logger of this process, structlog's and the standard library's, through one pipeline."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Tracebacks without the values of local variables, which may be bodies and numbers.
    rendered: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.ExceptionRenderer(format_error),
        mask_event,
    ]
    if settings.is_production:
        rendered.append(structlog.processors.JSONRenderer(ensure_ascii=False))
    else:
        colors = (stream or sys.stderr).isatty()
        rendered.append(structlog.dev.ConsoleRenderer(colors=colors))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=rendered))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "rq.worker"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def tell_start(settings: Settings, process: str) -> None:
    """Write the line with which a process begins: what it is, and what it uses, without credentials."""
    structlog.get_logger(__name__).info(
        "started",
        process=process,
        version=version(),
        environment=settings.environment,
        database=settings.database_url and place_of(settings.database_url),
        redis=settings.redis_url and place_of(settings.redis_url),
        pid=os.getpid(),
    )


def place_of(url: str) -> str:
    """Return the hosts, ports and name of an engine: no user, no password, no parameter but a socket's folder."""
    scheme, _, rest = url.partition("?")[0].partition("://")
    authority, slash, path = rest.partition("/")
    socket = next((value for name, value in parse_qsl(url.partition("?")[2]) if name == "host"), "")
    return f"{scheme}://{authority.rpartition('@')[2] or socket}{slash}{path}"


def format_error(exc_info: structlog.typing.ExcInfo) -> str:
    """Return the traceback of an error, of those behind it and in it, without what a database says of its rows."""
    return "\n".join(_tell(exc_info[1], set())) if exc_info[1] is not None else ""


def _tell(error: BaseException, told: set[int]) -> list[str]:
    told.add(id(error))
    lines = []
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in told:
        lines = [*_tell(before, told), "", "Which led to:" if error.__cause__ else "While it was handled:", ""]
    frames = traceback.format_tb(error.__traceback__)
    lines += [*(["Traceback (most recent call last):"] if frames else []), *(frame.rstrip("\n") for frame in frames)]
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    text = message_of(error)
    lines.append(f"{name}: {text}" if text else name)
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            lines += ["", "In it:", *_tell(inner, told)]
    return lines


def message_of(error: BaseException) -> str:
    """Return an error's message; of a database's error without the values of rows, which may be bodies and numbers."""
    inner = error.args[0] if error.args else None
    if isinstance(inner, BaseException):
        return message_of(inner)
    library = type(error).__module__.partition(".")[0]
    if library == "tortoise":
        return ""
    if library != "asyncpg":
        return str(error)
    # Its details quote the row.
    return _values.sub(rf"\1{MASK}", str(inner or ""))
