"""The page's blocks for proxies, by the programs that read them; a missing one proves nothing."""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[1] / "docs/operations.md").read_text()
PLACES = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"


def block(language: str) -> str:
    """The only block of a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def program(name: str) -> str:
    found = shutil.which(name, path=PLACES)
    if found is None:
        pytest.skip(f"{name} is not installed: nothing is proved about its block")
    return found


def check(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate with its key in one file."""
    found = tmp_path_factory.mktemp("certificate") / "sms.pem"
    names = ("-subj", "/CN=sms.example.com", "-addext", "subjectAltName=DNS:sms.example.com")
    check(program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, "-keyout", found,
          "-out", found.with_suffix(".crt"))  # fmt: skip
    found.write_text(found.read_text() + found.with_suffix(".crt").read_text())
    return found


def test_haproxy_reads_its_block(tmp_path: Path, certificate: Path) -> None:
    text = block("haproxy").replace("/etc/haproxy/sms.example.com.pem", str(certificate))
    (tmp_path / "haproxy.cfg").write_text(f"defaults\n    mode http\n    timeout connect 5s\n{text}")
    check(program("haproxy"), "-c", "-f", tmp_path / "haproxy.cfg")


def test_caddy_reads_its_block(tmp_path: Path) -> None:
    (tmp_path / "Caddyfile").write_text(block("caddy"))
    check(program("caddy"), "validate", "--adapter", "caddyfile", "--config", tmp_path / "Caddyfile")


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was sent."""

    def do_POST(self) -> None:
        size = len(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"path": self.path, "size": size, "headers": dict(self.headers)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def nginx(folder: Path, certificate: Path, upstream: int) -> Iterator[int]:
    """The page's block, served on a port of its own before a server of ours."""
    port, binary = free_port(), program("nginx")
    text = (
        block("nginx")
        .replace("listen 443", f"listen 127.0.0.1:{port}")
        .replace("127.0.0.1:8000", f"127.0.0.1:{upstream}")
    )
    text = re.sub(r"/etc/ssl/sms\.example\.com\.(pem|key)", str(certificate), text)
    own = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{own}{text}}}\n"
    )
    command = [binary, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    check(*command, "-t")
    process = subprocess.Popen(command)
    try:
        for _ in range(200):
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_nginx_serves_by_its_block(tmp_path: Path, certificate: Path) -> None:
    program("nginx")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    context = ssl.create_default_context(cafile=str(certificate.with_suffix(".crt")))
    context.check_hostname = False

    def ask(path: str, body: bytes, **headers: str) -> tuple[int, Mapping[str, object]]:
        with closing(HTTPSConnection("127.0.0.1", port, context=context, timeout=30)) as connection:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("POST", path, body, {"Host": "sms.example.com"} | named)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if answer.status == 200 else {}

    try:
        with nginx(tmp_path, certificate, server.server_port) as port:
            for private in ("/metrics", "/readyz"):
                assert ask(private, b"") == (403, {})
            status, found = ask("/v1/messages", b"x" * 4_000_000, X_Forwarded_For="203.0.113.4")
            headers = found["headers"]
            assert isinstance(headers, dict)
            assert (status, found["path"], found["size"]) == (200, "/v1/messages", 4_000_000)
            assert headers["Host"] == "sms.example.com"
            assert headers["X-Forwarded-For"] == "203.0.113.4, 127.0.0.1"
            assert headers["X-Forwarded-Proto"] == "https"
            assert ("Upgrade" in headers, headers.get("Connection")) == (False, None)
            _, found = ask("/graphql", b"", Connection="Upgrade", Upgrade="websocket")
            assert isinstance(found["headers"], dict)
            assert (found["headers"]["Upgrade"], found["headers"]["Connection"]) == ("websocket", "upgrade")
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
