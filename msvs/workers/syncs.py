"""Sync lists: read people from other services, one page per transaction, and write opt-outs back.

A worker leases a source. Each transaction commits the data read from the service together with the cursor, so when a
worker is killed, the next one rereads only the uncommitted page and applies it once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from uuid import UUID

import structlog

from msvs import database
from msvs.api import ids
from msvs.api.contacts import import_files, sources, sync_merge, sync_runs
from msvs.api.contacts.sources import HOOK_TOKEN, HOOKS, OAUTH_CODE
from msvs.api.contacts.sync_runs import RELEASE_SOURCE, Held, LeaseLost, Lookup, OptOut
from msvs.api.context import Context, Services
from msvs.api.unit_of_work import in_unit_of_work
from msvs.connectors.base import (
    Account,
    Choice,
    Connection,
    Connector,
    ConnectorError,
    Field,
    InvalidSetting,
    Page,
    Person,
    PersonState,
)
from msvs.connectors.registry import open_connector
from msvs.database import execute
from msvs.http_client import HttpClient
from msvs.models import ListSource, ListSync, SourceStatus, SyncTrigger
from msvs.workers.retrying import Failures
from msvs.workers.stopping import StopFlag

log = structlog.get_logger(__name__)

# How long a worker stays on one source before it claims the next.
TURN_SECONDS = 15.0
SWEEP_BATCH = 500


async def run_syncs(services: Services, http: HttpClient, *, stop: StopFlag | None = None) -> int:
    """Run due sources one at a time until none is left. Return the number of people read."""
    stop = stop or StopFlag()
    failures = Failures()
    read = 0
    while not stop.is_set:
        token = ids.new_id()
        source = await sync_runs.claim_source(token, await database.now())
        if source is None:
            break
        read += await failures.outlive("sync", Turn(services, http, stop, source, token).run(), 0)
    failures.end()
    return read


class Turn:
    """A worker's turn at a source."""

    def __init__(
        self, services: Services, http: HttpClient, stop: StopFlag, source: sync_runs.Claimed, token: UUID
    ) -> None:
        self._services, self._http, self._stop = services, http, stop
        self._id, self._tries, self._token = source.id, source.tries, token
        self._read = 0
        self._is_broken = False
        self._until = time.monotonic() + TURN_SECONDS

    async def run(self) -> int:
        """Write opt-outs back, then look up and sync people, until nothing is due or the turn is over."""
        connector: Connector | None = None
        try:
            source = await ListSource.get_or_none(id=self._id)
            if source is None:
                raise LeaseLost
            if self._tries > sync_runs.TRIES:
                await in_unit_of_work(self._break_off)
                return 0
            connector = self._open(source)
            if await self._exchange(connector, source):
                await connector.close()
                connector = self._open(await ListSource.get(id=self._id))
            await self._write_opt_outs(connector)
            await self._look_up(connector)
            if await in_unit_of_work(self._begin):
                await self._sync(connector)
        except LeaseLost:
            pass
        except Exception:
            self._is_broken = True
            raise
        finally:
            if connector is not None:
                with suppress(ConnectorError):
                    await connector.close()
            # After an unexpected error, the lease runs out by itself: once released, this source, which has waited
            # longest, would be claimed again at once, and no other would get a turn.
            if not self._is_broken:
                await execute(RELEASE_SOURCE, self._id, self._token)
        return self._read

    def _open(self, source: ListSource) -> Connector:
        return open_connector(
            source.kind,
            Connection(
                settings=sources.connector_settings(self._ctx(source), source),
                http=self._http,
                keep_secrets=self._keep_secrets,
                read_table=import_files.read_table,
                now=self._services.real_clock,
            ),
        )

    def _ctx(self, source: ListSource) -> Context:
        return Context(source.workspace_id, source.livemode, source.actor, services=self._services)

    async def _exchange(self, connector: Connector, source: ListSource) -> bool:
        """Exchange the code of a grant for tokens, if there is one. Return whether there was. Raises LeaseLost."""
        code = sources.open_settings(self._ctx(source), source).get(OAUTH_CODE)
        if code is None:
            return False
        # Check the lease before calling the service: a code is valid once.
        await in_unit_of_work(self._hold)
        try:
            granted = await connector.exchange_code(code, redirect_uri=sources.redirect_uri(self._services))
        except ConnectorError as error:
            await in_unit_of_work(partial(self._refuse_grant, code, error))
            raise LeaseLost from None

        async def keep() -> None:
            await sync_runs.keep_grant(await self._hold(), code, granted)

        await in_unit_of_work(keep)
        return True

    async def _refuse_grant(self, code: str, error: ConnectorError) -> None:
        held = await self._hold()
        if error.is_lasting:
            await sync_runs.keep_grant(held, code, None)
        await sync_runs.stumble(held, await sync_runs.hold_sync(held), error)

    async def _hold(self) -> Held:
        return await sync_runs.hold(self._services, self._id, self._token, await database.now())

    @property
    def _is_over(self) -> bool:
        return self._stop.is_set or time.monotonic() >= self._until

    async def _keep_secrets(self, secrets: Mapping[str, str]) -> None:
        """Commit rotated secrets at once: the service no longer accepts the old ones."""

        async def keep() -> None:
            await sync_runs.keep_secrets(await self._hold(), secrets)

        await in_unit_of_work(keep)

    # Reading

    async def _begin(self) -> bool:
        return await sync_runs.begin_due_sync(await self._hold())

    async def _sync(self, connector: Connector) -> None:
        try:
            sync = await self._open_sync()
            if sync.started_at is None and not await self._start(connector, sync):
                return
            while not sync.is_walked:
                page = await connector.fetch_page(since=sync.since, cursor=sync.cursor)
                sync = await in_unit_of_work(partial(self._take, page, sync.cursor))
                self._read += len(page.people)
                if self._is_over:
                    return
            await self._end(connector, sync)
        except ConnectorError as error:
            await in_unit_of_work(partial(self._stumble, error))

    async def _open_sync(self) -> ListSync:
        row = await ListSync.filter(source_id=self._id, status__in=sync_runs.RUNS).first()
        if row is None:
            raise LeaseLost
        return row

    async def _start(self, connector: Connector, sync: ListSync) -> bool:
        if sync.is_dry_run or sync.trigger is not SyncTrigger.SCHEDULE:
            # First, so that a setting that is missing or gone can be chosen.
            await self._read_choices(connector)
        account, found = await connector.check(), await connector.fields()

        async def start(account: Account, found: list[Field]) -> bool:
            held = await self._hold()
            return await sync_runs.start(held, await sync_runs.hold_sync(held), account, found)

        return await in_unit_of_work(partial(start, account, found))

    async def _read_choices(self, connector: Connector) -> None:
        """Store what the account has for settings. Raises ConnectorError."""
        listed = [each for each in connector.settings if each.is_listed]
        choices: dict[str, list[Choice]] = {}
        for each in listed:
            try:
                choices[each.name] = await connector.choices(each.name)
            except ConnectorError as error:
                if not error.is_lasting:
                    raise
                # The check that follows reports it.
                choices[each.name] = []

        async def keep() -> None:
            await sync_runs.keep_choices(await self._hold(), choices)

        await in_unit_of_work(keep)
        for each in listed:
            if each.is_required and choices[each.name] and not connector.values.get(each.name):
                raise InvalidSetting(f"Choose one: {each.label.lower()}.", setting=each.name)

    async def _take(self, page: Page, cursor: str | None) -> ListSync:
        held = await self._hold()
        sync = await sync_runs.hold_sync(held)
        if sync.is_walked or sync.cursor != cursor:
            raise LeaseLost
        taken = await sync_merge.take_people(
            held.ctx, held.source, sync.id, page.people, held.now, is_dry_run=sync.is_dry_run
        )
        sync.cursor = page.cursor
        if page.is_last:
            sync.is_walked, sync.is_complete, sync.bookmark = True, page.is_complete, page.bookmark
        await sync_runs.note(held, sync, taken)
        return sync

    async def _break_off(self) -> None:
        await sync_runs.break_off(await self._hold())

    async def _stumble(self, error: ConnectorError) -> None:
        held = await self._hold()
        sync = await sync_runs.hold_sync(held)
        await sync_runs.stumble(held, sync, error)
        log.info("sync interrupted", sync_id=str(sync.id), kind=held.source.kind, code=error.code)

    async def _end(self, connector: Connector, sync: ListSync) -> None:
        """Sweep the people that a complete full sync did not see, and complete the sync."""
        if sync.is_complete and sync.is_full and not sync.is_dry_run:
            if await in_unit_of_work(self._shrinks):
                return
            sweep = self._sweep_sure if connector.capabilities.looks_up else self._sweep
            while await sweep(connector):
                if self._is_over:
                    return
        await in_unit_of_work(self._complete)
        await self._register_hook(connector)

    async def _shrinks(self) -> bool:
        held = await self._hold()
        return await sync_runs.shrinks(held, await sync_runs.hold_sync(held))

    async def _sweep(self, _: Connector) -> int:
        async def sweep() -> int:
            held = await self._hold()
            sync = await sync_runs.hold_sync(held)
            left, removed = await sync_merge.sweep(held.source, sync.id, SWEEP_BATCH)
            taken = sync_merge.Taken()
            taken.counts.update(left=left, removed_from_list=removed)
            await sync_runs.note(held, sync, taken)
            return left

        return await in_unit_of_work(sweep)

    async def _sweep_sure(self, connector: Connector) -> int:
        """Look up a batch of unseen people before removing any: the service's list endpoint may lag behind its data."""
        sync = await self._open_sync()
        unseen = await sync_runs.find_unseen(sync)
        if not unseen:
            return 0
        found = await connector.look_up([row.external_id for row in unseen])
        # No answer does not mean gone: mark these people as seen, so that they stay on the list.
        silent = [row.person_key for row in unseen if row.external_id not in found]

        async def take() -> None:
            held = await self._hold()
            sync = await sync_runs.hold_sync(held)
            taken = await sync_merge.take_people(
                held.ctx, held.source, sync.id, list(found.values()), held.now, is_dry_run=False
            )
            await execute(sync_merge.SEE_PEOPLE, held.source.id, silent, sync.id)
            await sync_runs.note(held, sync, taken)

        await in_unit_of_work(take)
        return len(unseen)

    async def _complete(self) -> None:
        held = await self._hold()
        sync = await sync_runs.hold_sync(held)
        await sync_runs.complete(held, sync)
        log.info("sync completed", sync_id=str(sync.id), kind=held.source.kind, **sync.counts)

    async def _register_hook(self, connector: Connector) -> None:
        """Register our hook URL with the service once the list is active; if that fails, scheduled syncs go on."""
        source = await ListSource.get_or_none(id=self._id)
        if (
            source is None
            or source.hook_registered_at is not None
            or source.hook_hash is None
            or not connector.capabilities.registers_hook
            or source.status is not SourceStatus.ACTIVE
        ):
            return
        token = sources.open_settings(self._ctx(source), source)[HOOK_TOKEN]
        try:
            secrets = await connector.register_hook(f"{self._services.base_url}{HOOKS}/{token}")
        except ConnectorError as error:
            log.warning("hook not registered", kind=source.kind, code=error.code)
            return

        async def keep() -> None:
            held = await self._hold()
            held.source.hook_registered_at = held.now
            await sync_runs.keep_secrets(held, secrets)

        await in_unit_of_work(keep)

    # Lookups and opt-out write-back

    async def _look_up(self, connector: Connector) -> None:
        while wanted := await sync_runs.find_lookups(self._id, await database.now()):
            try:
                found = await connector.look_up([row.external_id for row in wanted])
            except ConnectorError as error:
                await in_unit_of_work(partial(self._defer_lookups, wanted, error))
                return
            await in_unit_of_work(partial(self._take_found, wanted, found))
            self._read += len(found)
            if self._is_over:
                return

    async def _take_found(self, wanted: Sequence[Lookup], found: Mapping[str, Person]) -> None:
        held = await self._hold()
        names = [row.external_id for row in wanted]
        await execute(sync_runs.DROP_LOOKUPS, self._id, names, max(row.due_at for row in wanted))
        sync_id = await sync_runs.current_sync(held)
        gone = [Person(name, state=PersonState.DELETED) for name in names if name not in found]
        people = [*found.values(), *gone]
        taken = await sync_merge.take_people(held.ctx, held.source, sync_id, people, held.now, is_dry_run=False)
        await sync_runs.note_hook(held, taken)

    async def _defer_lookups(self, wanted: Sequence[Lookup], error: ConnectorError) -> None:
        held = await self._hold()
        again = held.now + sync_runs.pause_of(error, 1)
        await execute(sync_runs.DEFER_LOOKUPS, self._id, [row.external_id for row in wanted], again)
        if error.is_lasting:
            await sync_runs.stop(held, sync_runs.fault_of(error))

    async def _write_opt_outs(self, connector: Connector) -> None:
        while rows := await sync_runs.find_opt_outs(self._id, await database.now()):
            for row in rows:
                error = await self._write_opt_out(connector, row)
                await in_unit_of_work(partial(self._settle, row, error))
                if self._is_over or (error is not None and error.code != "gone"):
                    return

    async def _write_opt_out(self, connector: Connector, row: OptOut) -> ConnectorError | None:
        if row.external_id is None:
            return None
        # Check the lease before calling the service.
        await in_unit_of_work(self._hold)
        try:
            await connector.write_opt_out(row.external_id, at=row.opted_out_at)
        except ConnectorError as error:
            return error
        return None

    async def _settle(self, row: OptOut, error: ConnectorError | None) -> None:
        await sync_runs.settle_opt_out(await self._hold(), row, error)
