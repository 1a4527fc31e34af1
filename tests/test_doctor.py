"""`msvs doctor`: each check finds its fault, and says what to do."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from msvs import connections, database
from msvs.api.notifier import WorkQueue
from msvs.cli.doctor import report
from msvs.doctor import availability, billing, machine, network
from msvs.doctor import engines as checks
from msvs.doctor.examination import examine
from msvs.doctor.findings import Finding, Level, ok, warning
from msvs.local.pretend_stripe import PretendStripe, Refused
from msvs.local.pretend_stripe import serving as serving_stripe
from msvs.ops.metric_families import CRON_KEY, WORKER_KEY
from msvs.settings import Insecure, Settings
from tests.engines import Engines, create_database
from tests.pooler import pgbouncer
from tests.sentinels import watched_servers

STRONG = "kV8rT2xLq9Zp4WmB7sYd"
SECRET = "Qw7zXn4Lp0sVb2Hj9TgR"
HOUR = 3600
# A PostgreSQL, a role and a Redis of which nothing is to be said; each case changes one thing.
SERVER: Mapping[str, Any] = {
    "major": 18, "version": "PostgreSQL 18.1 on x86_64", "encoding": "UTF8", "fsync": "on", "synchronous_commit": "on",
}  # fmt: skip
ROLE: Mapping[str, Any] = {
    "name": "msvs_service", "rolsuper": False, "rolcreaterole": False, "rolcreatedb": False, "rolreplication": False,
    "rolbypassrls": False, "creates": False, "owned": 0, "deletes": None, "changes": None, "unread": None,
}  # fmt: skip
INFO: Mapping[str, Any] = {"redis_version": "7.2.4", "maxmemory_policy": "noeviction", "maxmemory": 0}


def levels(found: Iterable[Finding], check: str | None = None) -> list[Level]:
    """The levels of what was found, and that each fault says what to do."""
    listed = [each for each in found if check in (None, each.check)]
    for each in listed:
        assert (each.action is not None) == (each.level in (Level.WARNING, Level.ERROR)), each
    return [each.level for each in listed]


async def gather(check: AsyncIterable[Finding]) -> list[Finding]:
    return [each async for each in check]


@pytest.fixture
def production(tmp_path: Path) -> Settings:
    """The settings of a deployment with which nothing is wrong."""
    return Settings(
        environment="production",
        data_dir=tmp_path,
        public_url="https://sms.example.com",
        secret_key=SECRET,
        operator_password=STRONG,
        metrics_token=STRONG[::-1],
        trusted_proxies=("10.0.0.0/8",),
    )


# This machine and its settings


def test_settings_of_production_are_well(production: Settings) -> None:
    assert levels(machine.check_settings(production)) == [Level.OK]


@pytest.mark.parametrize(
    ("change", "level"),
    [
        ({"environment": "development"}, Level.WARNING),
        ({"secret_key": None}, Level.ERROR),
        ({"secret_key": "aaaaaaaaaaaaaaaaaaaa"}, Level.ERROR),
        ({"operator_password": "change-me-please-now"}, Level.ERROR),
        ({"operator_password": None}, Level.WARNING),
        ({"metrics_token": None}, Level.WARNING),
        ({"database_url": "postgresql://msvs:postgres@db/msvs"}, Level.ERROR),
        ({"public_url": "http://sms.example.com"}, Level.ERROR),
        ({"public_url": None}, Level.ERROR),
        ({"live_carrier": "virtual"}, Level.ERROR),
        ({"allow_insecure": (Insecure.HTTP_URL,)}, Level.WARNING),
        ({"trusted_proxies": ()}, Level.WARNING),
    ],
)
def test_an_unsafe_setting_is_found(production: Settings, change: dict[str, Any], level: Level) -> None:
    assert level in levels(machine.check_settings(replace(production, **change)))


def test_an_old_python_is_found() -> None:
    assert levels(machine.check_versions((3, 11, 0))) == [Level.OK]
    assert levels(machine.check_versions((3, 10, 14))) == [Level.ERROR]


def test_a_folder_that_others_may_enter_is_found(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "secret.key").touch()
    assert levels(machine.check_disk(tmp_path))[0] is Level.ERROR
    tmp_path.chmod(0o700)
    assert Level.ERROR not in levels(machine.check_disk(tmp_path))
    assert levels(machine.check_disk(tmp_path / "missing")) == [Level.WARNING]


def test_a_full_disk_is_found() -> None:
    gigabyte = 1024**3
    assert machine.judge_disk(50 * gigabyte, 100 * gigabyte).level is Level.OK
    assert machine.judge_disk(1 * gigabyte, 8 * gigabyte).level is Level.WARNING
    assert machine.judge_disk(5 * gigabyte, 100 * gigabyte).level is Level.WARNING


def test_a_backup_that_is_old_missing_or_empty_is_found(tmp_path: Path) -> None:
    assert levels(machine.check_backups(None, 26)) == [Level.SKIPPED]
    assert levels(machine.check_backups(tmp_path / "missing", 26)) == [Level.ERROR]
    assert levels(machine.check_backups(tmp_path, 26)) == [Level.ERROR]
    (tmp_path / "empty.dump").touch()
    (tmp_path / "msvs.dump.part").write_text("half")
    assert levels(machine.check_backups(tmp_path, 26)) == [Level.ERROR]
    dump = tmp_path / "msvs.dump"
    dump.write_text("rows")
    assert levels(machine.check_backups(tmp_path, 26)) == [Level.OK]
    os.utime(dump, (dump.stat().st_mtime - 30 * HOUR,) * 2)
    assert levels(machine.check_backups(tmp_path, 26)) == [Level.ERROR]
    assert levels(machine.check_backups(tmp_path, 40)) == [Level.OK]


def test_backups_of_the_service_count_once_they_are_whole(tmp_path: Path) -> None:
    for name in ("base", "wal", "dumps"):
        (tmp_path / name).mkdir()
    (tmp_path / "wal" / "000000010000000000000001").write_text("log")
    part = tmp_path / "base" / ".20261128T090000Z.part"
    (part / "data").mkdir(parents=True)
    (part / "backup.json").write_text("{}")
    assert levels(machine.check_backups(tmp_path, 26)) == [Level.ERROR]
    part.rename(tmp_path / "base" / "20261128T090000Z")
    assert levels(machine.check_backups(tmp_path, 26)) == [Level.OK]


# PostgreSQL


@pytest.mark.parametrize(
    "change",
    [{"major": 14}, {"encoding": "SQL_ASCII"}, {"fsync": "off"}, {"synchronous_commit": "off"}],
    ids=lambda change: next(iter(change)),
)
def test_a_server_that_is_old_or_loses_rows_is_found(change: dict[str, Any]) -> None:
    assert levels(checks.judge_server(SERVER)) == [Level.OK]
    assert Level.ERROR in levels(checks.judge_server({**SERVER, **change}))


def test_a_clock_that_is_off_is_found() -> None:
    assert checks.judge_clock("Redis", 100.2, 100.0, 100.4).level is Level.OK
    # However long the answer took.
    assert checks.judge_clock("Redis", 100.2, 100.0, 130.0).level is Level.OK
    for there in (97.0, 103.0):
        assert checks.judge_clock("Redis", there, 100.0, 100.1).level is Level.WARNING
    for there in (40.0, 3700.0):
        assert checks.judge_clock("Redis", there, 100.0, 100.1).level is Level.ERROR


@pytest.mark.parametrize(
    ("change", "level"),
    [
        ({"rolsuper": True}, Level.ERROR),
        ({"rolbypassrls": True}, Level.ERROR),
        ({"rolcreaterole": True}, Level.ERROR),
        ({"owned": 40}, Level.WARNING),
        ({"creates": True}, Level.ERROR),
        ({"deletes": ["ledger_entries"]}, Level.ERROR),
        ({"changes": ["audit_entries"]}, Level.ERROR),
        ({"unread": ["messages"]}, Level.ERROR),
    ],
)
def test_a_role_with_too_many_or_too_few_rights_is_found(change: dict[str, Any], level: Level) -> None:
    assert levels(checks.judge_role(ROLE)) == [Level.OK]
    found = levels(checks.judge_role({**ROLE, **change}))
    assert level in found
    assert Level.OK not in found


async def test_the_roles_of_a_database_are_read(database: str, owner_url: str) -> None:
    service = await asyncpg.connect(database)
    owner = await asyncpg.connect(owner_url)
    role = await service.fetchval("SELECT current_user")
    try:
        of_owner = dict(await owner.fetchrow(checks.OWNER))
        of_service = dict(await service.fetchrow(checks.OWNER))
        assert levels(await gather(checks.check_roles(of_owner))) == [Level.OK]
        # The service's role in the place of the owner's.
        assert levels(await gather(checks.check_roles(of_service))) == [Level.OK, Level.ERROR]
        await owner.execute(f"GRANT DELETE ON ledger_entries TO {role}")
        assert levels(await gather(checks.check_roles(of_owner))) == [Level.ERROR]
        await owner.execute(f"REVOKE DELETE ON ledger_entries FROM {role}")
        await owner.execute(f"REVOKE SELECT ON messages FROM {role}")
        assert levels(await gather(checks.check_roles(of_owner))) == [Level.ERROR]
    finally:
        await owner.execute(f"REVOKE DELETE ON ledger_entries FROM {role}")
        await owner.execute(f"GRANT SELECT ON messages TO {role}")
        await service.close()
        await owner.close()


async def test_a_role_that_owns_the_tables_is_found(owner_url: str) -> None:
    async with database.connected(owner_url, pool_size=1, is_inner=True):
        found = levels(await gather(checks.check_roles(None)))
    assert Level.WARNING in found
    assert Level.OK not in found


async def test_a_schema_without_its_migrations_is_found(engines: Engines, database: str) -> None:
    found = await gather(checks.check_postgresql(database))
    # The tests' own server is fast at the price of this.
    wrong = {each.message.split()[0] for each in found if each.level is not Level.OK}
    assert wrong <= {"fsync", "synchronous_commit"}
    assert levels(found, "schema") == [Level.OK]
    empty = await create_database(engines.database_url, "doctor_empty")
    found = await examine(Settings(database_url=empty))
    assert levels(found, "schema") == [Level.ERROR]


def test_too_few_connections_are_found(production: Settings) -> None:
    # The API, nine workers, cron with 2, the clocks' 4, and 10 to spare.
    judged = partial(checks.judge_connections, production)
    assert judged(most=116, used=20).level is Level.OK
    assert judged(most=115, used=20).level is Level.WARNING
    assert judged(most=116, used=105).level is Level.ERROR
    # Workers on other machines count, and the process that holds binds.
    assert judged(most=136, used=20, alive={"messages": 4, "webhooks": 1}).level is Level.OK
    assert judged(most=135, used=20, alive={"messages": 4}).level is Level.WARNING
    assert judged(most=128, used=20, binds=2).level is Level.OK
    assert judged(most=127, used=20, binds=2).level is Level.WARNING


async def test_a_pooler_by_transaction_is_found(database: str, production: Settings) -> None:
    with pgbouncer(database, pool_mode="transaction") as url:
        found = await examine(replace(production, database_url=url))
    connections.forget()
    assert levels(found, "pooler") == [Level.ERROR]


async def test_a_pooler_by_session_is_named(database: str, production: Settings) -> None:
    with pgbouncer(database, pool_mode="session") as url:
        found = await examine(replace(production, database_url=url))
    connections.forget()
    assert [each.message for each in found if each.check == "pooler"] == ["a pooler in session mode is in front"]


@pytest.mark.parametrize(
    ("row", "level"),
    [
        ({"is_standby": True, "lacks": False, "age": 900.0}, Level.OK),
        ({"is_standby": True, "lacks": True, "age": 1.0}, Level.OK),
        ({"is_standby": True, "lacks": True, "age": 9.0}, Level.WARNING),
        ({"is_standby": True, "lacks": True, "age": None}, Level.WARNING),
        ({"is_standby": False, "lacks": False, "age": None}, Level.ERROR),
    ],
)
def test_a_standby_that_does_not_follow_is_found(row: dict[str, object], level: Level) -> None:
    assert checks.judge_replica(0, row, 5).level is level


def test_wal_that_is_not_archived_is_found() -> None:
    well = {"mode": "on", "failed_count": 0, "age": 90.0, "is_failing": False}
    assert checks.judge_archiving(well).level is Level.OK
    assert checks.judge_archiving({**well, "mode": "off"}).level is Level.WARNING
    assert checks.judge_archiving({**well, "age": None}).level is Level.WARNING
    assert checks.judge_archiving({**well, "is_failing": True}).level is Level.ERROR
    assert checks.judge_archiving({**well, "mode": "off", "is_followed": True}).level is Level.OK
    assert checks.judge_archiving({**well, "mode": "off", "is_followed": False}).level is Level.ERROR


async def test_a_secret_key_that_does_not_open_the_database_is_found(engines: Engines, tmp_path: Path) -> None:
    url = await create_database(engines.database_url, "doctor_keys")

    async def msvs(*command: str, secret: str = SECRET) -> None:
        environ = os.environ | {"DATABASE_URL": url, "MSVS_SECRET_KEY": secret, "DATA_DIR": str(tmp_path)}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "msvs", *command), env=environ, stdout=subprocess.DEVNULL
        )
        assert await process.wait() == 0

    await msvs("migrate", secret="")
    own = Settings(database_url=url, secret_key=SECRET, data_dir=tmp_path)
    async with database.connected(url, pool_size=1, is_inner=True):
        # A look does not settle which key it is.
        assert levels(await gather(checks.check_secret_key(own))) == [Level.SKIPPED]
        await msvs("workspace", "create", "--name", "Cohort Labs")
        assert levels(await gather(checks.check_secret_key(own))) == [Level.OK]
        other = replace(own, secret_key=STRONG)
        assert levels(await gather(checks.check_secret_key(other))) == [Level.ERROR]


# Redis


@pytest.mark.parametrize(
    ("info", "config", "level"),
    [
        ({}, {}, Level.OK),
        ({"valkey_version": "8.1.3"}, {"appendonly": "yes", "save": ""}, Level.OK),
        ({"redis_version": "6.2.0"}, {}, Level.ERROR),
        ({}, {"maxmemory-policy": "allkeys-lru"}, Level.ERROR),
        ({"maxmemory_policy": "volatile-lru"}, {}, Level.ERROR),
        ({"evicted_keys": 3}, {}, Level.WARNING),
        ({"maxmemory": 1000, "used_memory": 950}, {}, Level.ERROR),
        ({"aof_last_write_status": "err"}, {}, Level.ERROR),
        ({"rdb_last_bgsave_status": "err"}, {}, Level.ERROR),
        ({}, {"save": "3600 1", "stop-writes-on-bgsave-error": "yes"}, Level.WARNING),
        ({}, {"save": "3600 1", "stop-writes-on-bgsave-error": "no"}, Level.OK),
    ],
)
def test_a_redis_that_loses_or_refuses_jobs_is_found(
    info: dict[str, Any], config: dict[str, Any], level: Level
) -> None:
    found = levels(checks.judge_redis({**INFO, **info}, config))
    assert (level in found) if level is not Level.OK else set(found) == {Level.OK}


async def test_who_is_not_alive_is_found(clean: None, engines: Engines) -> None:
    async with Redis.from_url(engines.redis_url) as redis:
        found = await gather(checks.check_redis(redis))
        missing = [each.message for each in found if each.check == "processes"]
        assert len(missing) == len(WorkQueue)  # each queue but billing, and cron
        for queue in WorkQueue:
            await redis.set(f"{WORKER_KEY}{queue}-host-1-abc", "1")
        await redis.set(f"{CRON_KEY}host-1", "1")
        assert levels(await gather(checks.check_redis(redis)), "processes") == [Level.OK]
        await redis.delete(f"{WORKER_KEY}reports-host-1-abc")
        found = await gather(checks.check_redis(redis))
        assert [each.message for each in found if each.check == "processes"] == [
            "no worker of the queue reports is alive"
        ]
        await redis.set(f"{WORKER_KEY}reports-host-1-abc", "1")
        await redis.delete(f"{WORKER_KEY}billing-host-1-abc")
        assert levels(await gather(checks.check_redis(redis)), "processes") == [Level.OK]
        found = await gather(checks.check_redis(redis, sells=True))
        assert [each.message for each in found if each.check == "processes"] == [
            "no worker of the queue billing is alive"
        ]


async def test_engines_that_are_away_are_found(production: Settings) -> None:
    away = replace(production, database_url="postgresql://msvs@127.0.0.1:1/msvs", redis_url="redis://127.0.0.1:1/0")
    found = await examine(away)
    assert levels(found, "redis") == levels(found, "postgresql") == [Level.ERROR]
    found = await examine(production)
    assert levels(found, "redis") == levels(found, "postgresql") == [Level.ERROR]


# The network


async def test_a_name_without_an_address_is_found(production: Settings) -> None:
    lost = replace(production, public_url="https://nowhere.invalid")
    assert levels(await gather(network.check_dns(lost))) == [Level.ERROR]
    assert levels(await gather(network.check_dns(replace(production, public_url="https://127.0.0.1")))) == [
        Level.WARNING
    ]
    assert levels(await gather(network.check_dns(replace(production, public_url=None)))) == [Level.SKIPPED]


class Answer(BaseHTTPRequestHandler):
    """Answers as the service does, or as the test has it."""

    status = 200
    headers_sent: Mapping[str, str] = {"Strict-Transport-Security": "max-age=1"}

    def do_GET(self) -> None:
        self.send_response(self.status)
        for name, value in self.headers_sent.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path, days: int, answer: type[Answer]) -> Iterator[tuple[str, ssl.SSLContext]]:
    """A server with a certificate for so many days; its address, and who trusts it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: nothing is proved about certificates")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", str(days))
    files = ("-keyout", key, "-out", certificate)
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *names, *files)
    subprocess.run(command, check=True, capture_output=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), answer)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(certificate, key)
    server.socket = own.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://localhost:{server.server_port}", ssl.create_default_context(cafile=str(certificate))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("days", "status", "sent", "wanted"),
    [
        (90, 200, Answer.headers_sent, [Level.OK, Level.OK]),
        (15, 200, Answer.headers_sent, [Level.WARNING, Level.OK]),
        (2, 200, Answer.headers_sent, [Level.ERROR, Level.OK]),
        (90, 502, Answer.headers_sent, [Level.OK, Level.ERROR]),
        (90, 200, {}, [Level.OK, Level.WARNING]),
    ],
)
async def test_what_is_wrong_at_the_public_url_is_found(
    tmp_path: Path, production: Settings, days: int, status: int, sent: Mapping[str, str], wanted: list[Level]
) -> None:
    answer = type("Own", (Answer,), {"status": status, "headers_sent": sent})
    with serving(tmp_path, days, answer) as (url, trusting):
        settings = replace(production, public_url=url)
        assert levels(await gather(network.check_public_url(settings, trusting))) == wanted
        # Nobody vouches for its certificate.
        assert levels(await gather(network.check_public_url(settings))) == [Level.ERROR]
    assert levels(await gather(network.check_public_url(settings, trusting))) == [Level.ERROR]


async def test_a_mail_server_that_is_away_is_found(production: Settings) -> None:
    assert levels(await gather(network.check_mail(production))) == [Level.WARNING]
    assert levels(await gather(network.check_mail(replace(production, environment="development")))) == [Level.SKIPPED]
    away = replace(production, smtp_url="smtp://localhost:1")
    assert levels(await gather(network.check_mail(away))) == [Level.ERROR]


async def test_carriers_that_cannot_be_used_are_found(database: str, production: Settings, tmp_path: Path) -> None:
    assert levels(await gather(network.check_carriers(production))) == [Level.WARNING]
    file = tmp_path / "carriers.toml"
    settings = replace(production, carriers=file)
    for text, level in (
        ("[smsc]\nkind = 'pigeon'\n", Level.ERROR),
        ("[smsc\n", Level.ERROR),
        # Its binds are held by nobody.
        ("[smsc]\nkind = 'smpp'\nhost = '127.0.0.1'\nport = 1\nsystem_id = 'a'\npassword = 'b'\n", Level.ERROR),
    ):
        file.write_text(text)
        assert levels(await gather(network.check_carriers(settings))) == [level]
    assert levels(await gather(network.check_carriers(replace(production, live_carrier="other")))) == [Level.ERROR]


# What is sold


PACK = '[[pack]]\nid = "a"\ncredits = 10\namount = 900\ncurrency = "usd"\nlabel = "A"\n'


@pytest.fixture
def selling(production: Settings, tmp_path: Path) -> Iterator[tuple[Settings, PretendStripe]]:
    """The settings of a deployment that sells a pack by a price of Stripe's, and its account."""
    file = tmp_path / "packs.toml"
    file.write_text(PACK + 'price = "price_a"\n')
    account = PretendStripe()
    account.prices["price_a"] = {"unit_amount": 900, "currency": "usd"}
    with serving_stripe(account) as url:
        yield replace(production, billing=file, stripe_key=account.key, stripe_url=url), account


async def test_a_price_at_stripe_that_is_not_the_packs_is_found(selling: tuple[Settings, PretendStripe]) -> None:
    settings, account = selling
    assert levels(await gather(billing.check_billing(settings))) == [Level.OK]
    price = account.prices["price_a"]
    for change, told in (
        ({"unit_amount": 90}, "price_a is 0.90 USD at Stripe, and 9.00 USD in the file"),
        ({"currency": "jpy"}, "price_a is 900 JPY at Stripe, and 9.00 USD in the file"),
        ({"unit_amount": None}, "price_a is no fixed amount at Stripe"),
        ({"active": False}, "price_a is archived"),
        ({"type": "recurring"}, "price_a is a subscription's"),
    ):
        account.prices["price_a"] = {**price, **change}
        (found,) = await gather(billing.check_billing(settings))
        assert (found.level, told in found.message) == (Level.ERROR, True), found
    account.prices.clear()
    (found,) = await gather(billing.check_billing(settings))
    assert (found.level, found.message) == (Level.ERROR, "a: Stripe has no price price_a")
    assert [method for method, _, _ in account.calls if method != "GET"] == []


async def test_a_key_that_stripe_refuses_is_found(selling: tuple[Settings, PretendStripe]) -> None:
    settings, account = selling
    wrong = replace(settings, stripe_key="sk_test_other")
    (found,) = await gather(billing.check_billing(wrong))
    assert (found.level, found.message.startswith("Stripe refuses the key")) == (Level.ERROR, True)
    assert "sk_test" not in found.message
    away = replace(settings, stripe_url="http://127.0.0.1:1")
    (found,) = await gather(billing.check_billing(away))
    assert (found.level, found.message.startswith("Stripe cannot be reached")) == (Level.ERROR, True)
    # A restricted key may sell and not read prices.
    account.refusals += [Refused(200, "", ""), Refused(403, "invalid_request_error", "The key may not", None)]
    account.refusals[0].body = {"object": "list", "data": [], "has_more": False}
    assert levels(await gather(billing.check_billing(settings))) == [Level.WARNING, Level.OK]


async def test_a_file_of_packs_that_cannot_be_used_is_found(selling: tuple[Settings, PretendStripe]) -> None:
    settings, _ = selling
    assert settings.billing is not None
    assert levels(await gather(billing.check_billing(replace(settings, stripe_key=None)))) == [Level.SKIPPED]
    settings.billing.write_text(PACK.replace("900", "9.00"))
    assert levels(await gather(billing.check_billing(settings))) == [Level.ERROR]
    settings.billing.write_text(PACK + "active = false\n")
    assert levels(await gather(billing.check_billing(settings))) == [Level.WARNING]


async def test_payments_that_wait_are_found(clean: None, selling: tuple[Settings, PretendStripe]) -> None:
    settings, _ = selling
    assert await gather(billing.check_unsettled(settings)) == []
    event = """
    INSERT INTO stripe_events (id, type, object_id, state, attempt_count, next_attempt_at, created_at, received_at)
    VALUES ($1, 'refund.created', 're_1', $2, 0, now(), now(), now() - $3::interval)
    """
    await database.execute(event, "evt_1", "pending", timedelta(minutes=20))
    await database.execute(event, "evt_2", "done", timedelta(minutes=40))
    assert await gather(billing.check_unsettled(settings)) == []
    await database.execute(event, "evt_3", "pending", timedelta(minutes=40))
    await database.execute(event, "evt_4", "failed", timedelta(minutes=40))
    assert levels(await gather(billing.check_unsettled(settings))) == [Level.ERROR, Level.WARNING]
    assert levels(billing.judge_unsettled({"late": 0, "review": 1, "failed": 0})) == [Level.WARNING]
    assert await gather(billing.check_unsettled(replace(settings, stripe_key=None))) == []


# The command


def doctor(folder: Path, *options: str, **environ: str) -> tuple[int, str]:
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "DATA_DIR": str(folder),
    } | environ
    done = subprocess.run([sys.executable, "-m", "msvs", "doctor", *options], env=env, capture_output=True, text=True)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_the_command_says_what_to_do_and_fails(engines: Engines, database: str, tmp_path: Path) -> None:
    status, text = doctor(tmp_path, "--json", DATABASE_URL=database, REDIS_URL=engines.redis_url)
    found = json.loads(text)
    assert status == (1 if any(each["level"] == "error" for each in found) else 0)
    assert {each["check"] for each in found} >= {
        "settings",
        "versions",
        "disk",
        "redis",
        "schema",
        "roles",
        "connections",
    }
    assert [each for each in found if each["level"] in ("warning", "error") and not each["action"]] == []
    # Neither a password nor a key.
    password = database.partition("://")[2].partition("@")[0].partition(":")[2]
    assert password
    assert password not in text
    # This is development: a warning.
    assert "warning" in {each["level"] for each in found if each["check"] == "settings"}
    assert doctor(tmp_path, "--strict", DATABASE_URL=database, REDIS_URL=engines.redis_url)[0] == 1
    status, text = doctor(tmp_path, DATABASE_URL=database, REDIS_URL="redis://127.0.0.1:1/0")
    assert status == 1
    assert "cannot be reached" in text
    assert "→ check REDIS_URL" in text


def test_a_pooler_by_transaction_fails_the_command(database: str, engines: Engines, tmp_path: Path) -> None:
    with pgbouncer(database, pool_mode="transaction") as url:
        status, text = doctor(tmp_path, DATABASE_URL=url, REDIS_URL=engines.redis_url)
    assert status == 1
    assert "set pool_mode = session" in text


def test_the_report_has_what_to_do_below_each_fault() -> None:
    lines = report([ok("disk", "well"), warning("settings", "development", "set it")]).splitlines()
    assert lines == [
        "ok       disk      well",
        "warning  settings  development",
        "                   → set it",
        "",
        "1 ok, 1 warning",
    ]


# High availability

STANDBY: Mapping[str, Any] = {
    "names": "db2", "commits": "on", "sees": True, "is_standby": False, "role": "msvs_service", "standbys": 1,
    "synchronous": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "hosts", "expected"),
    [
        ({}, 2, [Level.OK]),
        ({"commits": "remote_apply"}, 2, [Level.OK]),
        ({}, 0, [Level.OK, Level.WARNING]),
        ({"names": "", "standbys": 0, "synchronous": 0}, 0, [Level.SKIPPED]),
        ({"names": "", "standbys": 0, "synchronous": 0}, 2, [Level.ERROR]),
        ({"names": "", "synchronous": 0}, 0, [Level.ERROR]),
        ({"commits": "remote_write"}, 2, [Level.ERROR]),
        ({"commits": "local"}, 2, [Level.ERROR]),
        ({"sees": False, "synchronous": 0}, 2, [Level.WARNING]),
        ({"synchronous": 0}, 2, [Level.ERROR]),
        ({"is_standby": True}, 2, [Level.ERROR]),
    ],
)
def test_a_failover_that_would_lose_something_is_told(
    change: Mapping[str, Any], hosts: int, expected: list[Level]
) -> None:
    assert levels(availability.judge_standby({**STANDBY, **change}, hosts=hosts)) == expected


async def test_this_postgresql_has_no_standby(database: str) -> None:
    settings = Settings(database_url=database)
    assert levels(await gather(availability.check_standby(settings))) == [Level.SKIPPED]
    several = Settings(database_url=database.replace("@", "@127.0.0.1:1,"))
    assert levels(await gather(availability.check_standby(several))) == [Level.ERROR]


async def test_sentinels_that_agree_and_one_that_is_gone() -> None:
    with watched_servers() as watched:
        url = watched.url
        assert levels(await gather(availability.check_sentinels(Settings(redis_url=url)))) == [Level.OK]
        gone = url.replace(f":{watched.sentinels[0]},", ":1,")
        assert levels(await gather(availability.check_sentinels(Settings(redis_url=gone)))) == [Level.ERROR]
        few = url.replace(f"127.0.0.1:{watched.sentinels[0]},", "")
        found = levels(await gather(availability.check_sentinels(Settings(redis_url=few))))
        assert found == [Level.WARNING, Level.OK]
        other = url.replace("master=studio", "master=other")
        assert levels(await gather(availability.check_sentinels(Settings(redis_url=other)))) == [Level.ERROR] * 3
