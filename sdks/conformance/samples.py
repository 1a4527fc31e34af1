"""Runs the samples of the reference and of the guides against a service that answers as openapi.yaml has it.

Each must send what the documented example of its operation sends, or what the guide gives, and read the answer.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import textwrap
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sdks.conformance.languages import Language
from sdks.generator import samples
from sdks.generator.calls import WRITERS, Call, calls, query_text
from sdks.generator.calls import curl as call_of_curl
from sdks.generator.model import load_once

# Of the right form; no workspace has it.
KEY = "msvs_test_0000000000000000000000000000002C8GjS"
Json = dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """A request that came."""

    operation_id: str
    query: dict[str, str]
    body: Json


class Service:
    """Answers each operation with its documented example, and keeps what it was sent."""

    def __init__(self, expected: Sequence[Call]) -> None:
        self.sent: list[Sent] = []
        self.unknown: list[str] = []
        self._calls = [(re.sub(r"{\w+}", "{}", call.method.path), call) for call in expected]

    def answer(self, verb: str, address: str, body: Json) -> tuple[int, Json]:
        """Return the status and the answer of a request."""
        parts = urlsplit(address)
        for pattern, call in self._calls:
            found = re.fullmatch(re.escape(pattern).replace(r"\{\}", "([^/]+)"), parts.path)
            if (
                call.method.http_method == verb
                and found is not None
                and list(found.groups()) == list(call.ids.values())
            ):
                self.sent.append(Sent(call.method.operation_id, dict(parse_qsl(parts.query)), body))
                told = dict(call.method.example_answer)
                return call.method.status, told | ({"has_more": False} if call.method.is_page else {})
        self.unknown.append(f"{verb} {parts.path}")
        return 404, {"error": {"type": "not_found", "code": "not_found", "message": parts.path}}


@contextmanager
def served(service: Service) -> Iterator[str]:
    """Serve on a free port of loopback; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

        def _handle(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, told = service.answer(self.command, self.path, json.loads(text) if text else {})
            answer = json.dumps(told).encode()
            self.send_response(status)
            for name, value in (("Content-Type", "application/json"), ("X-Request-Id", "req_1")):
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_DELETE = _handle

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def program(language: str, texts: Mapping[str, str]) -> str:
    """Return a program of all samples, each in a function of its own."""
    if language == "python":
        parts = [f"def {name}():\n{textwrap.indent(text, '    ')}\n\n{name}()" for name, text in texts.items()]
        return "\n\n".join(["from massivesms import MassiveSMS", "client = MassiveSMS()", *parts]) + "\n"
    if language == "node":
        parts = [f"{{\n{text}\n}}" for text in texts.values()]
        start = 'import { MassiveSMS } from "@massivesms/node";\nconst client = new MassiveSMS();'
        return "\n".join([start, *parts]) + "\n"
    if language == "ruby":
        parts = [f"lambda do\n{text}\nend.call" for text in texts.values()]
        return "\n".join(['require "massivesms"', "client = MassiveSMS::Client.new", *parts]) + "\n"
    if language == "php":
        parts = [f"(function () use ($client) {{\n{text}\n}})();" for text in texts.values()]
        start = "<?php\nrequire 'vendor/autoload.php';\n$client = new \\MassiveSMS\\Client();"
        return "\n".join([start, *parts]) + "\n"
    parts = [f"func {name}() {{\n{text}\n}}" for name, text in texts.items()]
    start = (
        'package main\n\nimport (\n"context"\n"fmt"\n"log"\n"time"\n\n'
        'massivesms "github.com/massivesms/massivesms-go"\n)\n\n'
        'var client = massivesms.New("")\nvar ctx = context.Background()\nvar _ = time.Now\n'
    )
    return "\n\n".join([start, *parts, "func main() {\n" + "\n".join(f"{name}()" for name in texts) + "\n}"]) + "\n"


FILES = {"python": "samples.py", "node": "samples.mjs", "ruby": "samples.rb", "php": "samples.php", "go": "main.go"}


def shown() -> list[Call]:
    """Return the calls that the reference and the guides show."""
    return calls(load_once()) + samples.called()


def run(language: Language) -> list[str]:
    """Run all samples of a language. Return what is wrong, a line each."""
    expected = shown()
    service = Service(expected)
    texts = {f"{call.method.operation_id}_{at}": WRITERS[language.name](call) for at, call in enumerate(expected)}
    with served(service) as address, tempfile.TemporaryDirectory(prefix=".samples-", dir=language.folder) as folder:
        path = Path(folder) / FILES[language.name]
        path.write_text(program(language.name, texts))
        environment = dict(os.environ) | {"MASSIVESMS_API_KEY": KEY, "MASSIVESMS_BASE_URL": address}
        given = str(path.relative_to(language.folder))
        ended = language.run((*language.example, given if language.name != "go" else f"./{given}"), environment)
    return ([f"ended with {ended}"] if ended else []) + wrong(service, expected)


def run_curl() -> list[str]:
    """Run the calls of curl that the guides show. Return what is wrong, a line each."""
    expected = samples.called()
    service = Service(expected)
    with served(service) as address:
        environment = dict(os.environ) | {"MASSIVESMS_API_KEY": KEY, "MASSIVESMS_BASE_URL": address}
        for call in expected:
            script = call_of_curl(call).replace("curl ", "curl --fail-with-body -sS -o /dev/null ", 1)
            subprocess.run(["sh", "-e", "-c", script], env=environment, check=False)
    return wrong(service, expected)


def wrong(service: Service, expected: Sequence[Call]) -> list[str]:
    """Compare what came with what is shown, in order."""
    told = [f"no operation: {each}" for each in service.unknown]
    for at, call in enumerate(expected):
        name = call.method.operation_id
        if at >= len(service.sent) or service.sent[at].operation_id != name:
            return [*told, f"{name} ({at}): not sent"]
        sent = service.sent[at]
        query = {key: query_text(value) for key, value in call.query.items()}
        if _plain(sent.body) != _plain(call.body or {}) or sent.query != query:
            told.append(f"{name}: sent {sent.query} {sent.body}")
    return told


def _plain(value: Any, *, is_own: bool = False) -> Any:
    """Return a body without fields of null at its top, and with times as what they are, in any offset."""
    if isinstance(value, dict):
        return {key: _plain(each, is_own=True) for key, each in value.items() if is_own or each is not None}
    if isinstance(value, list):
        return [_plain(each, is_own=True) for each in value]
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]{8,}(?:[+-]\d\d:\d\d|Z)", value):
        return datetime.fromisoformat(value).astimezone(UTC)
    return value
