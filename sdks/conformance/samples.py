"""Runs the samples of the reference in a language against a service that answers as openapi.yaml has it.

Each sample must send what the documented example of its operation sends, and read the documented answer.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import textwrap
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sdks.conformance.languages import Language
from sdks.generator.calls import WRITERS, Call, calls
from sdks.generator.model import load_once

# Of the right form; no workspace has it.
KEY = "msvs_test_0000000000000000000000000000002C8GjS"
Json = dict[str, Any]


class Service:
    """Answers each operation with its documented example, and keeps the bodies that it was sent."""

    def __init__(self, expected: list[Call]) -> None:
        self.sent: dict[str, Json] = {}
        self.unknown: list[str] = []
        self._calls = {(call.method.http_method, re.sub(r"{\w+}", "{}", call.method.path)): call for call in expected}

    def answer(self, verb: str, address: str, body: Json) -> tuple[int, Json]:
        """Return the status and the answer of a request."""
        path = urlsplit(address).path
        for (method, pattern), call in self._calls.items():
            parts = re.fullmatch(re.escape(pattern).replace(r"\{\}", "([^/]+)"), path)
            if method == verb and parts is not None and list(parts.groups()) == list(call.ids.values()):
                self.sent[call.method.operation_id] = body
                told = dict(call.method.example_answer)
                return call.method.status, told | ({"has_more": False} if call.method.is_page else {})
        self.unknown.append(f"{verb} {path}")
        return 404, {"error": {"type": "not_found", "code": "not_found", "message": path}}


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


def run(language: Language) -> list[str]:
    """Run all samples of a language. Return what is wrong, a line each."""
    expected = calls(load_once())
    service = Service(expected)
    texts = {call.method.operation_id: WRITERS[language.name](call) for call in expected}
    with served(service) as address, tempfile.TemporaryDirectory(prefix=".samples-", dir=language.folder) as folder:
        path = Path(folder) / FILES[language.name]
        path.write_text(program(language.name, texts))
        environment = dict(os.environ) | {"MASSIVESMS_API_KEY": KEY, "MASSIVESMS_BASE_URL": address}
        given = str(path.relative_to(language.folder))
        ended = language.run((*language.example, given if language.name != "go" else f"./{given}"), environment)
    wrong = [f"ended with {ended}"] if ended else []
    wrong += [f"no operation: {each}" for each in service.unknown]
    for call in expected:
        name = call.method.operation_id
        if name not in service.sent:
            wrong.append(f"{name}: not sent")
        elif call.method.example_body is not None and _plain(service.sent[name]) != _plain(call.method.example_body):
            wrong.append(f"{name}: sent {service.sent[name]}")
    return wrong


def _plain(value: Any, *, is_own: bool = False) -> Any:
    """Return a body without fields of null at its top, and with times as one writes them."""
    if isinstance(value, dict):
        return {key: _plain(each, is_own=True) for key, each in value.items() if is_own or each is not None}
    if isinstance(value, list):
        return [_plain(each, is_own=True) for each in value]
    if isinstance(value, str):
        return re.sub(r"(T\d\d:\d\d:\d\d)(?:\.0+)?(?:\+00:00|Z)$", r"\1Z", value)
    return value
