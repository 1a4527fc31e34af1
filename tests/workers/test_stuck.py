"""Processes that are stuck: stopped, swapped out or debugged in a transaction, they hold up nobody else for long."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from redis import Redis

from msvs import database as db
from msvs.api.context import Context
from msvs.api.dispatch import senders, set_aside
from msvs.api.inbound import carrier_events
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.notifier import Notifier, WorkQueue, back_off_key, forget_failures, note_failure, waiting_key
from msvs.api.text import phones
from msvs.api.unit_of_work import single_statement
from msvs.carriers.virtual import VirtualCarrier
from msvs.looks import BEGINNING
from msvs.models import Contact, Message
from msvs.models.identity import new_id
from msvs.workers import cron, exports, retrying
from msvs.workers.dispatch import Carriers, dispatch_messages
from msvs.workers.reports import collect_reports
from tests import factories
from tests.engines import Engines
from tests.owner import run_as_owner
from tests.services import SERVICES
from tests.workers.test_carrier_binds import until
from tests.workers.test_dispatch import hurry


@pytest.fixture
def carriers() -> Iterator[Carriers]:
    SERVICES.carriers.live = "virtual"
    yield {"virtual": VirtualCarrier()}
    SERVICES.carriers.live = None


@pytest.fixture
async def neighbor(clean: None) -> Context:
    """The live mode of another workspace."""
    other = await factories.make_workspace(name="Another Studio")
    return Context(other.id, livemode=True, actor="test", services=SERVICES)


@asynccontextmanager
async def held(url: str, sql: str, *values: Any) -> AsyncIterator[asyncpg.Connection[Any]]:
    """Locks that somebody else has for as long as the block goes on."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            assert await connection.fetch(sql, *values) != []
            yield connection
    finally:
        await connection.close()


async def send(ctx: Context, phone: str | None = None) -> UUID:
    contact = phone or (await factories.make_contact(ctx)).phone
    async with single_statement():
        return (await send_message(ctx, SendMessage(contact, "Doors open"))).id


async def write(ctx: Context, phone: str, text: str) -> None:
    """A message from a phone, as the carrier will bring it."""
    await db.execute(
        "INSERT INTO virtual_signals (id, message_id, workspace_id, livemode, kind, phone, sender, text, due_at)"
        " VALUES (gen_random_uuid(), gen_random_uuid(), $1, $2, 'inbound', $3, 'COHORTLABS', $4, clock_timestamp())",
        ctx.workspace_id,
        ctx.livemode,
        phone,
        text,
    )


async def statuses(*message_ids: UUID) -> list[str]:
    rows = {row.id: row.status.value for row in await Message.filter(id__in=message_ids)}
    return [rows[message_id] for message_id in message_ids]


STOPPED = """
import asyncio, os, signal, sys
from uuid import UUID
from msvs import database
from msvs.api.credits.credits import try_reserve

async def main(url, workspace_id):
    async with database.connected(url):
        try:
            async with database.transaction():
                print(await try_reserve(UUID(workspace_id), {UUID(int=1): 7}, await database.now()), flush=True)
                os.kill(os.getpid(), signal.SIGSTOP)
        except Exception as error:
            from msvs.workers.retrying import is_away
            print(is_away(error), flush=True)
        print(await database.fetch_value("SELECT 1"), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_stopped_process_holds_its_workspace_up_for_a_moment_only(
    database: str, live_ctx: Context, carriers: Carriers
) -> None:
    url = f"{database}?idle_in_transaction_session_timeout=500ms"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STOPPED, url, str(live_ctx.workspace_id), stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"True\n"
        # It holds the balance, which the send waits for.
        message_id = await send(live_ctx)
        assert await dispatch_messages(SERVICES, carriers) == 1
        assert await statuses(message_id) == ["sent"]
        process.send_signal(signal.SIGCONT)
        # It notices, and goes on.
        assert await process.stdout.read() == b"True\n1\n"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    entries = await db.fetch("SELECT kind, amount FROM ledger_entries WHERE workspace_id = $1", live_ctx.workspace_id)
    assert sorted((row.kind, row.amount) for row in entries) == [("capture", 0), ("grant", 10_000), ("reserve", -1)]
    balance = await db.fetch_value("SELECT balance FROM credit_balances WHERE workspace_id = $1", live_ctx.workspace_id)
    assert balance == 9_999


async def test_every_connection_has_limits(database: str) -> None:
    rows = await db.fetch(
        "SELECT name, setting, unit FROM pg_settings WHERE name = ANY($1)", [*db.LIMITS, "tcp_user_timeout"]
    )
    found = {row.name: f"{row.setting}{row.unit}" for row in rows}
    version = await db.fetch_value("SELECT current_setting('server_version_num')::int")
    assert found == {
        "idle_in_transaction_session_timeout": "10000ms",
        "lock_timeout": "5000ms",
        "tcp_user_timeout": "7000ms",
        "tcp_keepalives_idle": "5s",
        "tcp_keepalives_interval": "2s",
        "tcp_keepalives_count": "3None",
    } | ({"transaction_timeout": "60000ms"} if version >= 170000 else {})
    shown = "SELECT current_setting('statement_timeout'), current_setting('transaction_timeout', true)"
    assert [tuple(row) for row in await db.fetch(shown)] == [("1min", "1min" if version >= 170000 else None)]
    # One that may take longer says so to PostgreSQL, for itself alone.
    assert [tuple(row) for row in await db.fetch(shown, timeout=600)] == [("10min", "0" if version >= 170000 else None)]
    async with db.transaction():
        await db.wait_for_locks(0.25)
        assert await db.fetch_value("SELECT current_setting('lock_timeout')") == "250ms"
    assert await db.fetch_value("SELECT current_setting('lock_timeout')") == "5s"


async def test_what_took_too_long_is_no_database_that_is_away(database: str, live_ctx: Context) -> None:
    """A batch over its time would be repeated whole for ever."""
    lock = "SELECT FROM credit_balances WHERE workspace_id = $1 FOR UPDATE"
    errors: list[Exception] = []
    async with held(database, lock, live_ctx.workspace_id):
        for sql, timeout in ((lock, 0.1), (lock, None)):
            try:
                async with db.transaction():
                    await db.wait_for_locks(0.05 if timeout is None else 10)
                    await db.fetch(sql, live_ctx.workspace_id, timeout=timeout)
            except Exception as error:
                errors.append(error)
    assert [type(error) for error in errors] == [TimeoutError, asyncpg.LockNotAvailableError]
    errors += [asyncpg.QueryCanceledError(), asyncpg.IdleInTransactionSessionTimeoutError()]
    assert [(retrying.is_stuck(error), retrying.is_away(error)) for error in errors] == [(True, False)] * 4
    assert (retrying.is_stuck(OSError()), retrying.is_away(OSError())) == (False, True)


async def test_the_report_of_a_held_message_waits_alone(
    database: str, live_ctx: Context, neighbor: Context, carriers: Carriers
) -> None:
    stuck, same_workspace, bystander = await send(live_ctx), await send(live_ctx), await send(neighbor)
    assert await dispatch_messages(SERVICES, carriers) == 3
    await hurry()
    async with held(database, "SELECT FROM messages WHERE id = $1 FOR UPDATE", stuck):
        await collect_reports(SERVICES)
        assert await statuses(stuck, same_workspace, bystander) == ["sent", "delivered", "delivered"]
    await hurry()
    await collect_reports(SERVICES)
    assert await statuses(stuck) == ["delivered"]
    assert await db.fetch_value("SELECT count(*) FROM virtual_signals") == 0


async def test_a_stop_passes_those_who_wait_for_somebody_stuck(
    database: str, live_ctx: Context, neighbor: Context
) -> None:
    held_up = [await factories.make_contact(live_ctx) for _ in range(3)]
    bystander = await factories.make_contact(neighbor)
    for contact in held_up:
        await write(live_ctx, contact.phone, "START")
        await write(live_ctx, contact.phone, "STOP")
    await write(neighbor, bystander.phone, "STOP")

    async def consent(contacts: list[Contact]) -> list[str]:
        return [(await Contact.get(id=contact.id)).opt_in_status.value for contact in contacts]

    ids = [contact.id for contact in held_up]
    async with held(database, "SELECT FROM contacts WHERE id = ANY($1) FOR UPDATE", ids):
        await collect_reports(SERVICES)
        assert await consent([bystander]) == ["opted_out"]
        assert await db.fetch_value("SELECT count(*) FROM virtual_signals") == 6
    await db.execute("UPDATE virtual_signals SET due_at = due_at - interval '1 minute'")
    await collect_reports(SERVICES)
    # In the order in which they were written.
    assert await consent(held_up) == ["opted_out"] * 3
    assert await db.fetch_value("SELECT count(*) FROM virtual_signals") == 0


async def bring(phone: str, text: str) -> None:
    """A message from a phone, as a real carrier brought it."""
    await db.execute(
        "INSERT INTO carrier_signals (id, carrier, kind, dedupe_key, from_phone, to_sender, text, tries, received_at,"
        " due_at) VALUES ($1, 'smsc', 'inbound', gen_random_uuid()::text, $2, 'COHORTLABS', $3, 0, clock_timestamp(),"
        " clock_timestamp())",
        new_id(),
        phone,
        text,
    )


@pytest.mark.parametrize("is_real", [False, True])
@pytest.mark.parametrize(("first", "then", "becomes"), [("STOP", "START", "opted_in"), ("START", "STOP", "opted_out")])
async def test_what_a_phone_writes_later_never_passes_what_waits(
    database: str, live_ctx: Context, neighbor: Context, first: str, then: str, becomes: str, is_real: bool
) -> None:
    """One that waits for somebody stuck stays in front of what its phone writes meanwhile, for every worker."""
    await senders.add_sender(SERVICES, live_ctx.workspace_id, "COHORTLABS")
    contact, bystander = await factories.make_contact(live_ctx), await factories.make_contact(neighbor)

    async def say(text: str) -> None:
        await (bring(contact.phone, text) if is_real else write(live_ctx, contact.phone, text))

    async def status(of: Contact) -> str:
        return (await Contact.get(id=of.id)).opt_in_status.value

    before = await status(contact)
    await say(first)
    async with held(database, "SELECT FROM contacts WHERE id = $1 FOR UPDATE", contact.id):
        await collect_reports(SERVICES, seconds=0.1)
        await say(then)
        await write(neighbor, bystander.phone, "STOP")
        await collect_reports(SERVICES, seconds=0.1)
        assert (await status(bystander), await status(contact)) == ("opted_out", before)
        # Two wait for the contact, one for its phone.
        waiting = [asyncio.create_task(collect_reports(SERVICES, seconds=0.1)) for _ in range(3)]
        await asyncio.sleep(0.3)
    await asyncio.gather(*waiting)
    while await collect_reports(SERVICES):
        pass
    assert await status(contact) == becomes
    rows = await db.fetch("SELECT body FROM inbound_messages WHERE contact_id = $1 ORDER BY id", contact.id)
    assert [row.body for row in rows] == [first, then]


# One phone, as carriers write it.
SPELLINGS = [
    ("+525512345678", "+5215512345678"),
    ("+447400123456", "00447400123456"),
    ("+447400123456", "+44 (0)7400 123456"),
    ("+447400123456", "tel:+44-7400-123456;isub=12345;v=2"),
    ("+447400123456", "sip:447400123456@10.0.0.7:5060"),
    ("+12125550123", "12125550123"),
    ("+12125550123", "\uff0b\uff11\uff12\uff11\uff12\uff15\uff15\uff15\uff10\uff11\uff12\uff13"),
    ("+970599123456", "+972599123456"),
    ("+5491123456789", "+541123456789"),
    ("ACME", "ACME"),
]


@pytest.mark.parametrize(("first", "then"), [*SPELLINGS, *((then, first) for first, then in SPELLINGS)])
async def test_what_a_phone_writes_is_in_order_however_its_number_is_written(
    database: str, clean: None, first: str, then: str
) -> None:
    for phone in (first, then, "+18005550199", "BRAND"):
        await bring(phone, "Hi")
    rows = await db.fetch("SELECT id, from_phone FROM carrier_signals ORDER BY received_at, id")
    async with held(database, "SELECT FROM carrier_signals WHERE id = $1 FOR UPDATE", rows[0].id), db.transaction():
        now = await db.now()
        picked = await db.fetch_row(carrier_events.PICK_INBOUND, now, [], BEGINNING)
        assert picked is not None
        last = await db.fetch_row(carrier_events.PICK_INBOUND, now, [picked.id], BEGINNING)
        assert last is not None
        assert {picked.from_phone, last.from_phone} == {"+18005550199", "BRAND"}
        assert await db.fetch_row(carrier_events.PICK_INBOUND, now, [picked.id, last.id], BEGINNING) is None


def test_every_spelling_of_a_phone_ends_alike() -> None:
    for row in (*phones._SPELLINGS["former"], *phones._SPELLINGS["same"]):
        assert re._parser.parse(row["rest"]).getwidth()[0] >= 7, row["name"]  # type: ignore[attr-defined]


@asynccontextmanager
async def unwritable(message_id: UUID, when: str) -> AsyncIterator[None]:
    """A message that cannot be written under a condition on its new row."""
    await run_as_owner(
        "CREATE FUNCTION refuse_write() RETURNS trigger LANGUAGE plpgsql AS $$"
        " BEGIN RAISE 'no' USING ERRCODE = 'XX001'; END $$"
    )
    await run_as_owner(
        "CREATE TRIGGER refuse_write BEFORE UPDATE ON messages FOR EACH ROW"
        f" WHEN (new.id = '{message_id}' AND {when}) EXECUTE FUNCTION refuse_write()"
    )
    try:
        yield
    finally:
        await run_as_owner("DROP FUNCTION refuse_write CASCADE")


@pytest.mark.parametrize(
    ("when", "becomes"), [("new.status = 'sending'", "queued"), ("true", "queued"), ("new.status = 'sent'", "sending")]
)
async def test_messages_behind_one_that_cannot_be_written_are_sent(
    live_ctx: Context, carriers: Carriers, monkeypatch: pytest.MonkeyPatch, when: str, becomes: str
) -> None:
    poisoned, *others = [await send(live_ctx) for _ in range(6)]
    async with unwritable(poisoned, when):
        for _ in range(3):
            try:
                await dispatch_messages(SERVICES, carriers)
            except asyncpg.PostgresError as error:
                assert error.sqlstate == "XX001"  # noqa: PT017
        assert await statuses(poisoned, *others) == [becomes] + ["sent"] * 5
        # It is not tried again and again.
        assert await dispatch_messages(SERVICES, carriers) == 0
    SERVICES.keep(set_aside.LeftOut).take_back_in(seconds=0)
    if becomes == "queued":
        await db.execute("UPDATE messages SET due_at = created_at WHERE id = $1", poisoned)
        assert await dispatch_messages(SERVICES, carriers) == 1
        assert await statuses(poisoned) == ["sent"]
    submitted = await db.fetch("SELECT message_id FROM virtual_submissions")
    assert sorted(row.message_id for row in submitted) == sorted([poisoned, *others])


async def test_a_scheduled_message_that_cannot_be_written_keeps_nothing_from_going_out(
    live_ctx: Context, carriers: Carriers
) -> None:
    ids = [await send(live_ctx) for _ in range(3)]
    await db.execute("UPDATE messages SET status = 'scheduled' WHERE id = ANY($1)", ids[:2])
    async with unwritable(ids[0], "new.status = 'queued'"):
        with pytest.raises(asyncpg.PostgresError):
            await dispatch_messages(SERVICES, carriers)
        assert await dispatch_messages(SERVICES, carriers) == 0
        assert await statuses(*ids) == ["scheduled", "sent", "sent"]


@pytest.mark.parametrize(("name", "limit"), [(db.APP, "seconds"), (exports.OWN_NAME, "export_seconds")])
async def test_cron_ends_what_no_limit_reaches(database: str, live_ctx: Context, name: str, limit: str) -> None:
    """A process that is stopped in a COPY."""
    connection = await asyncpg.connect(database, server_settings={"application_name": name})
    began, ended = asyncio.Event(), asyncio.Event()

    async def rows() -> AsyncIterator[bytes]:
        began.set()
        await ended.wait()
        yield b""

    async def stuck() -> None:
        async with connection.transaction():
            await connection.execute("SELECT FROM credit_balances FOR UPDATE")
            await connection.copy_to_table("prefix_usage", source=rows())

    copying = asyncio.create_task(stuck())
    try:
        await began.wait()
        watch = cron.Watch()
        assert (await watch.look(), await watch.look()) == (0, 0)
        pid = connection.get_server_pid()
        in_copy = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Client'"

        async def is_in_copy() -> bool:
            return bool(await db.fetch_value(in_copy, pid))

        await until(is_in_copy)
        setattr(watch, limit, 0.0)
        ends = []
        # Seen twice it is ended, and so is nothing else.
        while not any(ends):
            ends.append(await watch.look())
        assert (ends[0], sum(ends)) == (0, 1)
        await db.execute("UPDATE credit_balances SET balance = balance WHERE workspace_id = $1", live_ctx.workspace_id)
    finally:
        ended.set()
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await copying
        connection.terminate()


async def test_a_bell_and_its_job_come_together_or_not_at_all(clean: None, engines: Engines) -> None:
    notifier = Notifier(engines.redis_url)
    with Redis.from_url(engines.redis_url) as redis:
        redis.set("rq:queue:messages", "no list")
        assert not notifier.enqueue(WorkQueue.MESSAGES)
        assert not redis.exists(waiting_key(WorkQueue.MESSAGES))
        redis.delete("rq:queue:messages")
        assert (notifier.enqueue(WorkQueue.MESSAGES), notifier.enqueue(WorkQueue.MESSAGES)) == (True, False)
        assert redis.llen("rq:queue:messages") == 1
    notifier.close()


async def test_cron_notifies_less_often_while_jobs_fail(clean: None, engines: Engines) -> None:
    notifier = Notifier(engines.redis_url)
    waits = []
    with Redis.from_url(engines.redis_url) as redis:
        for _ in range(7):
            note_failure(redis, WorkQueue.MESSAGES)
            waits.append(redis.pttl(back_off_key(WorkQueue.MESSAGES)))
        assert all(
            low < wait <= high
            for low, wait, high in zip(
                (0, 500, 1000, 2000, 4000, 8000, 8000),
                waits,
                (500, 1000, 2000, 4000, 8000, 10_000, 10_000),
                strict=True,
            )
        ), waits
        assert not notifier.enqueue(WorkQueue.MESSAGES, backs_off=True)
        # What is committed rings at once, and other queues are not concerned.
        assert notifier.enqueue(WorkQueue.REPORTS, backs_off=True)
        assert notifier.enqueue(WorkQueue.MESSAGES)
        redis.delete(waiting_key(WorkQueue.MESSAGES))
        forget_failures(redis, WorkQueue.MESSAGES)
        assert notifier.enqueue(WorkQueue.MESSAGES, backs_off=True)
    notifier.close()
