"""Key care over a whole run: no key, secret, number or text in any log, no key or secret in a dump of the database."""

from __future__ import annotations

import asyncio
import base64
import http.client
import io
import json
import re
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from msvs.api.accounts.keys import make_key
from msvs.api.webhooks.signatures import new_secret
from msvs.settings import DEMO_FILE, Settings
from scripts.contract.service import LOOPBACK, Service, running_service
from tests.engines import Engines, create_database, eventually

ROOT = Path(__file__).parents[1]
MARK = "zirconium"  # in every text that somebody writes to somebody
PHONES = ["+12125550171", "+12125550172", "+12125550173", "+14155550105"]
OWN_SECRET = "own-words-nobody-guesses"
OPERATOR_PASSWORD = "opens-the-operators-page"


def patterns() -> list[re.Pattern[str]]:
    """The published patterns of leaked keys."""
    text = (ROOT / "docs" / "operations.md").read_text()
    (block,) = re.findall(r"```regex\n(.+?)```", text, re.DOTALL)
    return [re.compile(line) for line in block.splitlines()]


@pytest.mark.parametrize("make", [lambda: make_key(True), lambda: make_key(False), new_secret])
def test_the_published_patterns_find_a_leak(make: Any) -> None:
    for _ in range(100):
        leaked = make()
        text = f'{{"authorization": "Bearer {leaked}", "n": 1}}'
        assert [match for pattern in patterns() for match in pattern.findall(text)] == [leaked]


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "openapi.yaml"]), ids=lambda p: p.name
)
def test_the_published_patterns_find_nothing_in_what_is_published(path: Path) -> None:
    assert [match for pattern in patterns() for match in pattern.findall(path.read_text())] == []


@dataclass
class Session:
    """A caller, and every secret that it was shown."""

    service: Service
    secrets: set[str] = field(default_factory=set)

    def call(self, method: str, path: str, body: Any = None, key: str | None = None, **headers: str) -> tuple[int, Any]:
        """One request, under the sandbox key unless another is given; an empty one is none."""
        address = urllib.parse.urlsplit(self.service.unlimited_url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        sent = {"Content-Type": "application/json"} | {name.replace("_", "-"): each for name, each in headers.items()}
        if key != "":
            sent.setdefault("Authorization", f"Bearer {key or self.service.test_key}")
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def made(self, path: str, body: Any = None, **headers: str) -> Any:
        """What a POST makes."""
        status, answer = self.call("POST", path, body, **headers)
        assert status in (200, 201), answer
        if "secret" in answer:
            self.secrets.add(answer["secret"])
        return answer


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """The whole service, saying all that it can say."""
    with running_service(MSVS_LOG_LEVEL="DEBUG", MSVS_OPERATOR_PASSWORD=OPERATOR_PASSWORD) as service:
        yield service


def work(session: Session) -> None:
    """A day of an integrator, with everything that shows or takes a secret."""
    with socket.socket() as nobody:  # bound and never listening: deliveries to it fail
        nobody.bind((LOOPBACK, 0))
        url = f"http://{LOOPBACK}:{nobody.getsockname()[1]}/webhooks/sms"
        first = session.made("/v1/webhooks", {"url": url, "events": ["*"]}, Idempotency_Key="w-1")
        again = session.made("/v1/webhooks", {"url": url, "events": ["*"]}, Idempotency_Key="w-1")
        assert again == first
        own = session.made(
            "/v1/webhooks", {"url": f"{url}/own", "events": ["*"], "secret": OWN_SECRET}, Idempotency_Key="w-2"
        )
        session.made(f"/v1/webhooks/{own['id']}/rotate_secret", Idempotency_Key="w-3")
        session.made(f"/v1/webhooks/{first['id']}/test")
        contact = session.made(
            "/v1/contacts", {"phone": PHONES[0], "first_name": MARK, "opt_in": {"source": "checkout"}}
        )
        contacts = session.made("/v1/lists", {"name": "Cohort 06"})
        session.made(f"/v1/lists/{contacts['id']}/contacts", {"contact_ids": [contact["id"]]})
        campaign = {"name": "Launch", "body": f"{{firstName}} {MARK}", "audience": {"list_ids": [contacts["id"]]}}
        launched = session.made("/v1/campaigns", campaign)
        for number in PHONES[1:]:
            session.made("/v1/messages", {"to": number, "body": f"Doors open, {MARK}"})
        last = session.made("/v1/messages", {"to": PHONES[1], "body": MARK}, Idempotency_Key="m-1")

        def status(path: str) -> str:
            return str(session.call("GET", path)[1]["status"])

        eventually(lambda: status(f"/v1/messages/{last['id']}") == "delivered")
        session.made("/v1/test/inbound", {"from": PHONES[1], "body": f"What is {MARK}?"})
        session.made("/v1/test/inbound", {"from": PHONES[2], "body": "STOP"})
        assert session.call("GET", f"/v1/contacts?phone={PHONES[0].replace('+', '%2B')}&q={MARK}")[0] == 200
        assert session.call("POST", "/v1/messages", {"to": PHONES[2], "body": MARK})[0] == 422
        assert session.call("POST", "/v1/messages", {"to": "+1abc", "body": MARK})[0] == 400
        assert session.call("GET", "/v1/credits", key=session.service.live_key)[0] == 200
        eventually(lambda: status(f"/v1/messages/{last['id']}") == "replied")
        eventually(lambda: status(f"/v1/campaigns/{launched['id']}") == "completed")
        attempts = f"/v1/webhooks/{first['id']}/attempts"
        eventually(lambda: session.call("GET", attempts)[1]["data"])


# The path of a request that named a key, as the request log has it.
LOGGED = "/v1/messages/msvs_test_•••"


def misplace(session: Session) -> None:
    """Keys and texts where they do not belong; each is refused."""
    key = session.service.test_key
    live = session.service.live_key
    basic = base64.b64encode(f"{key}:".encode()).decode()
    odd: list[tuple[str, str, Any, dict[str, str]]] = [
        ("GET", f"/v1/credits?api_key={key}", None, {}),
        ("GET", f"/v1/messages?starting_after={key}", None, {}),
        ("GET", f"/v1/messages/{key}", None, {}),
        ("GET", f"/{live}", None, {}),
        ("GET", f"/v1/contacts?phone={PHONES[0]}", None, {}),
        ("GET", "/v1/credits", None, {"Authorization": key}),
        ("GET", "/v1/credits", None, {"Authorization": f"Basic {basic}"}),
        ("GET", "/v1/credits", None, {"Authorization": f"Bearer {key}x"}),
        ("GET", "/v1/credits", None, {"Authorization": f"Bearer {key}, Bearer {live}"}),
        ("GET", "/v1/credits", None, {"Authorization": "", "X_Api_Key": key, "Cookie": f"key={live}"}),
        ("GET", "/nowhere", None, {"User_Agent": key, "Referer": f"https://cohortlabs.co/?key={live}"}),
        (key, "/v1/credits", None, {}),
        ("POST", "/v1/messages", {"to": key, "body": MARK}, {}),
        ("POST", "/v1/messages", {live: key, "to": PHONES[0], "body": MARK}, {}),
        ("POST", "/v1/messages", f'{{"to": "{PHONES[0]}", "body": "{MARK}", "key": {key}'.encode(), {}),
        ("POST", "/v1/messages", {"to": PHONES[0], "body": f"{{{key}}} {MARK}"}, {}),
        ("POST", "/v1/webhooks", {"url": f"https://{key}:{OWN_SECRET}@cohortlabs.co/", "events": ["*"]}, {}),
        ("POST", "/v1/webhooks", {"url": "https://cohortlabs.co/", "events": [OWN_SECRET]}, {}),
        ("POST", "/graphql", {"query": f'{{ node(id: "{key}") {{ id }} {MARK} }}'}, {}),
        ("POST", "/graphql", {"query": "{", "variables": {"to": PHONES[0], "body": MARK, "key": live}}, {}),
    ]
    for method, path, body, headers in odd:
        status, _ = session.call(method, path, body, **headers)
        assert 200 <= status < 500, (method, path[:20])
        assert status != 200 or path == "/graphql", (method, path[:20])
    address = urllib.parse.urlsplit(session.service.unlimited_url)
    for garbage in (f"{key} {MARK}\r\n\r\n", f"GET /{key} HTTP/1.1\r\nBad {live}\r\n\r\n"):
        with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
            connection.sendall(garbage.encode())
            assert b"400" in connection.recv(4096)


def logs(service: Service) -> str:
    """All that the service and its engines have written."""
    paths = [service.log, *service.data_dir.glob("*/log")]
    assert len(paths) == 3
    return "\n".join(path.read_text(errors="replace") for path in paths)


async def dump(database_url: str) -> str:
    """Every table of the database as text, as pg_dump would write its rows."""
    connection = await asyncpg.connect(database_url)
    try:
        tables = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'm') AND relnamespace = 'public'::regnamespace"
        )
        text = io.BytesIO()
        for table in tables:
            await connection.copy_from_query(f'SELECT * FROM "{table["relname"]}"', output=text)
        assert {"api_keys", "messages", "webhook_endpoints", "idempotency_records"} <= {t["relname"] for t in tables}
        return text.getvalue().decode()
    finally:
        await connection.close()


def database_url(service: Service) -> str:
    engine = service.data_dir / "postgresql"
    password, port = (engine / "password").read_text().strip(), json.loads((engine / "port").read_text())
    return f"postgresql://msvs:{password}@{LOOPBACK}:{port}/msvs"


def found(secrets: set[str], text: str) -> list[str]:
    """The first letters of the secrets that are in a text; of a key, its random part alone counts too."""
    parts = {secret.removeprefix("msvs_test_").removeprefix("msvs_live_")[:30] for secret in secrets}
    return sorted(part[:4] for part in parts if part in text)


@pytest.mark.processes
@pytest.mark.timeout(240)
def test_a_whole_run_leaks_nothing(service: Service) -> None:
    session = Session(service)
    work(session)
    misplace(session)
    keys = {service.test_key, service.live_key}
    secrets = keys | session.secrets | {OPERATOR_PASSWORD, (service.data_dir / "secret.key").read_text().strip()}
    # Both kinds of secret that the service shows: two of its own making, one of the caller's.
    assert OWN_SECRET in session.secrets
    assert len(session.secrets) == 3

    written = logs(service)
    assert "[debug" in written
    assert found(secrets, written) == []
    assert MARK not in written
    # The national number alone counts too, however it is written.
    assert [phone[-4:] for phone in PHONES if phone[2:] in written] == []
    assert [match for pattern in patterns() for match in pattern.findall(written)] == []

    rows = asyncio.run(dump(database_url(service)))
    # The request log is written each second.
    until = time.monotonic() + 30
    while LOGGED not in rows and time.monotonic() < until:
        time.sleep(0.2)
        rows = asyncio.run(dump(database_url(service)))
    assert LOGGED in rows
    assert MARK in rows
    assert PHONES[0] in rows
    assert service.test_key[-4:] in rows
    assert "\tsealed:" in rows
    assert found(secrets, rows) == []
    assert [match for pattern in patterns() for match in pattern.findall(rows)] == []

    kept = b"".join(path.read_bytes() for path in (service.data_dir / "valkey").rglob("*.aof")).decode("latin-1")
    assert "msvs:rate:" in kept
    assert found(secrets, kept) == []


PREPARE = """
import sys
from pathlib import Path
from msvs.cli import processes
from msvs.settings import Settings
environment, url, data_dir, key = sys.argv[1:]
settings = Settings(environment=environment, database_url=url, data_dir=Path(data_dir), secret_key=key or None)
print("\\n".join(processes.prepare(settings)))
"""


def _prepared(settings: Settings) -> str:
    """What `msvs run` prints at its start, from a process of its own: this one is connected already."""
    argv = [sys.executable, "-c", PREPARE, settings.environment, str(settings.database_url), str(settings.data_dir)]
    argv.append(settings.secret_key or "")
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


async def test_production_prints_no_key(engines: Engines, tmp_path: Path) -> None:
    url = await create_database(engines.database_url, "msvs_test_banner")
    for environment, prints in (("development", True), ("production", False)):
        # In production the key is set; of the same database it is the one that development kept.
        key = (tmp_path / "secret.key").read_text().strip() if environment == "production" else None
        # Production refuses a folder that holds the demo's printed keys.
        (tmp_path / DEMO_FILE).unlink(missing_ok=True)
        settings = Settings(environment=environment, database_url=url, data_dir=tmp_path, secret_key=key)
        printed = await asyncio.to_thread(_prepared, settings)
        operator = (tmp_path / "operator.key").read_text().strip()
        assert (operator in printed, "msvs_live_" in printed, "msvs_test_" in printed) == (prints, prints, prints)


async def test_production_makes_no_workspace_and_no_key(engines: Engines, tmp_path: Path) -> None:
    url = await create_database(engines.database_url, "msvs_test_bare")
    settings = Settings(environment="production", database_url=url, data_dir=tmp_path, secret_key="a key of production")
    printed = await asyncio.to_thread(_prepared, settings)
    assert "msvs workspace create" in printed
    assert not (tmp_path / "demo.json").exists()
    connection = await asyncpg.connect(url)
    try:
        made = (
            "SELECT (SELECT count(*) FROM workspaces) + (SELECT count(*) FROM api_keys) + (SELECT count(*) FROM users)"
        )
        assert await connection.fetchval(made) == 0
    finally:
        await connection.close()
