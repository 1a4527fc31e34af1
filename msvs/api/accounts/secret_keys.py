"""Secret keys of the database: which keys open it, how a process proves that it has one, and rotation.

What is sealed and hashed depends on a data key, which the database holds, sealed under the secret key of the service
(MSVS_SECRET_KEY). So a rotation seals one short text again, and no process has to start again.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg
import structlog

from msvs.api import crypto
from msvs.api.crypto import HeldKey, Keyring, SecretBox, SecretUnreadable, derive_key
from msvs.api.ids import new_id
from msvs.database import ConnectionCheck, Row, execute, fetch, fetch_row, fetch_value, now, transaction
from msvs.settings import Settings, SettingsError

log = structlog.get_logger(__name__)

LOCK = 0x6D73766B
# How often a process asks whether the database still has the data key that it uses.
WATCH_SECONDS = 10.0
RETRY_SECONDS = 1.0
LOOK_SECONDS = 10.0
SHOWN = 12
# How many hashes and how many secrets of a database without a fingerprint are tried, at most.
SAMPLE = 500

_BOX_PURPOSE = b"msvs data key 1"
_FINGERPRINT = b"msvs secret key fingerprint 1"
_DATA_FINGERPRINT = b"msvs data key fingerprint 1"

KEYS = """
SELECT fingerprint, data_fingerprint, sealed, created_at, retires_at,
    coalesce(retires_at <= clock_timestamp(), false) AS is_retired
FROM secret_keys ORDER BY created_at, id
"""
ADD_FINGERPRINT = """
INSERT INTO secret_keys (id, fingerprint, data_fingerprint, sealed, created_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (fingerprint) DO UPDATE SET sealed = excluded.sealed, retires_at = NULL
"""
RETIRE = """
UPDATE secret_keys SET retires_at = least(retires_at, $2),
    sealed = CASE WHEN least(retires_at, $2) <= $3 THEN NULL ELSE sealed END
WHERE fingerprint <> $1
"""
FORGET_RETIRED_KEYS = "UPDATE secret_keys SET sealed = NULL WHERE sealed IS NOT NULL AND retires_at <= $1"
CHECK = """
SELECT data_fingerprint,
    coalesce(bool_or(retires_at <= clock_timestamp()) FILTER (WHERE fingerprint = $1), false) AS is_retired
FROM secret_keys GROUP BY data_fingerprint
"""

# What a key can be tried on, in a database from before fingerprints.
SEALED = f"SELECT secret_sealed FROM webhook_endpoints ORDER BY id LIMIT {SAMPLE}"
HASHED = "SELECT workspace_id, livemode, phone, phone_hash FROM consent_events WHERE phone IS NOT NULL"
HASHED = f"{HASHED} AND phone_hash IS NOT NULL ORDER BY id {{order}} LIMIT {SAMPLE}"
IS_HASHED = """
SELECT EXISTS (SELECT FROM erased_suppressions) OR EXISTS (SELECT FROM consent_events WHERE phone_hash IS NOT NULL)
"""


class SecretKeyRefused(SettingsError):
    """The secret key of this process does not open the database."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """The result of a rotation: the current key, and the time until which earlier ones are accepted."""

    key: str
    previous: Sequence[str]
    previous_until: datetime | None


def fingerprint_of(secret: str) -> str:
    """Return what stands for a secret key in the database: nobody learns the key from it."""
    return derive_key(secret, _FINGERPRINT).hex()


async def unlock(keyring: Keyring, settings: Settings, *, adopt: bool = False) -> None:
    """Open the data key of the connected database and hold it; the first process ever settles which it is.

    With `adopt`, also where nothing in the database proves that the key is its own. Raises SettingsError.
    """
    rows = await fetch(KEYS)
    if not rows:
        async with transaction():
            await fetch_value("SELECT pg_advisory_xact_lock($1)", LOCK)
            # A statement of its own, after the lock: it sees what the lock's last holder committed.
            rows = await fetch(KEYS)
            if not rows:
                await _settle(settings, adopt=adopt)
                rows = await fetch(KEYS)
    row, secret, data_secret = _opened(rows, settings)
    keyring.hold(data_secret, HeldKey(row.fingerprint, row.data_fingerprint))
    if secret != (settings.secret_key or secret):
        log.info("the database was opened with a previous secret key: run `msvs secrets rotate`")


async def is_settled() -> bool:
    """Return whether the connected database has a data key; False also before its migrations."""
    try:
        return bool(await fetch_value("SELECT EXISTS (SELECT FROM secret_keys)"))
    except asyncpg.UndefinedTableError:
        return False


async def recheck(keyring: Keyring) -> None:
    """Raise SecretKeyRefused where the database has another data key than the one in use.

    Once the key that this process started with is retired, say so once: the data key is the same, so it goes on.
    """
    if keyring.held is not None:
        _compare(keyring, await fetch(CHECK, keyring.held.fingerprint))


async def rotate(settings: Settings, *, overlap: timedelta) -> Rotation:
    """Let MSVS_SECRET_KEY open the database from now on, and every other key for no longer than `overlap`.

    Running processes are not concerned. Raises SettingsError where neither MSVS_SECRET_KEY nor one of
    MSVS_SECRET_KEYS_PREVIOUS opens it now.
    """
    if settings.secret_key is None:
        raise SettingsError(
            "MSVS_SECRET_KEY must be set to the new key, and MSVS_SECRET_KEYS_PREVIOUS to the present one "
            f"(what {settings.secret_file} holds, where the present one is kept there)"
        )
    new = fingerprint_of(settings.secret_key)
    async with transaction():
        await fetch_value("SELECT pg_advisory_xact_lock($1)", LOCK)
        row, _, data_secret = _opened(await fetch(KEYS), settings)
        at = await now()
        sealed = SecretBox(settings.secret_key, purpose=_BOX_PURPOSE).seal(data_secret)
        await execute(ADD_FINGERPRINT, new_id(), new, row.data_fingerprint, sealed, at)
        await execute(RETIRE, new, at + overlap, at)
        others = [each for each in await fetch(KEYS) if each.fingerprint != new and not each.is_retired]
    until = max((each.retires_at for each in others), default=None)
    return Rotation(new[:SHOWN], [each.fingerprint[:SHOWN] for each in others], until)


async def list_keys(keyring: Keyring) -> list[dict[str, object]]:
    """List every secret key that the database knows, oldest first, by the beginning of its fingerprint."""
    used = "" if keyring.held is None else keyring.held.fingerprint
    return [
        {
            "key": row.fingerprint[:SHOWN],
            "since": row.created_at.isoformat(),
            "until": row.retires_at and row.retires_at.isoformat(),
            "state": "refused" if row.is_retired else "taken",
            "used_here": row.fingerprint == used,
        }
        for row in await fetch(KEYS)
    ]


async def forget_retired(at: datetime) -> int:
    """Remove the data key as sealed under keys that are refused by now. Return the count."""
    return await execute(FORGET_RETIRED_KEYS, at)


@asynccontextmanager
async def watching(keyring: Keyring, settings: Settings, stop: Callable[[], object]) -> AsyncIterator[None]:
    """Unlock, as soon as PostgreSQL can be asked, and look now and then whether the data key is still the same.

    Raises SettingsError at once where the key is refused; where that is found later, calls `stop`, and raises it at the
    end.
    """
    watch = _Watch(keyring, settings)
    await watch.look()
    task = asyncio.create_task(watch.run())
    task.add_done_callback(lambda done: None if done.cancelled() else stop())
    try:
        yield
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        keyring.hold(None)
        if isinstance(ended, SettingsError):
            raise ended


async def wait_unlocked(keyring: Keyring, settings: Settings) -> None:
    """Unlock, waiting for PostgreSQL and its migrations where they are not there. Raises SettingsError."""
    watch = _Watch(keyring, settings)
    while not await watch.look():  # noqa: ASYNC110
        await asyncio.sleep(RETRY_SECONDS)


class _Watch:
    """Looks at the database's key, and tells once for each kind of error that it cannot."""

    def __init__(self, keyring: Keyring, settings: Settings) -> None:
        self._keyring = keyring
        self._settings = settings
        self._failing: str | None = None

    async def run(self) -> None:
        """Look now and then, forever. Raises SettingsError."""
        is_known = self._keyring.held is not None
        while True:
            await asyncio.sleep(WATCH_SECONDS if is_known else RETRY_SECONDS)
            is_known = await self.look()

    async def look(self) -> bool:
        """Unlock or check again; return whether the database could be asked. Raises SettingsError."""
        keyring = self._keyring
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await (unlock(keyring, self._settings) if keyring.held is None else recheck(keyring))
        except SettingsError:
            raise
        except Exception as error:
            name = type(error).__name__
            if name != self._failing:
                log.warning("the database cannot be asked about the secret key", error=name)
            self._failing = name
            return False
        self._failing = None
        return True


def connection_check(keyring: Keyring) -> ConnectionCheck:
    """Return a check that lets no connection be used to a database with another data key than the one held.

    The database may have been exchanged beneath the process.
    """

    async def check(connection: asyncpg.Connection) -> None:
        if keyring.held is None:
            return
        try:
            rows = await connection.fetch(CHECK, keyring.held.fingerprint)
        except asyncpg.UndefinedTableError:
            return
        _compare(keyring, rows)

    return check


def _compare(keyring: Keyring, rows: Sequence[Row]) -> None:
    held = keyring.held
    if held is None or not rows:
        return
    if [row["data_fingerprint"] for row in rows] != [held.data_fingerprint]:
        raise SecretKeyRefused(
            "the database has another data key than this process started with: start it again with the "
            "MSVS_SECRET_KEY of this database"
        )
    if rows[0]["is_retired"] and not keyring.has_warned:
        keyring.has_warned = True
        log.warning("the secret key of this process was replaced: give it the new one before it starts again")


def _opened(rows: Sequence[Row], settings: Settings) -> tuple[Row, str, str]:
    """Return the row of the first known key that the database takes, the key, and the data secret.

    Raises SettingsError.
    """
    by_fingerprint = {row.fingerprint: row for row in rows}
    retired: Row | None = None
    known = settings.known_secrets()
    for secret in known:
        row = by_fingerprint.get(fingerprint_of(secret))
        if row is None:
            continue
        if row.is_retired or row.sealed is None:
            retired = retired or row
            continue
        return row, secret, _unsealed(row, secret)
    raise SecretKeyRefused(_refusal(settings, known, retired))


def _unsealed(row: Row, secret: str) -> str:
    """Return the data secret in a row. Raises SecretKeyRefused where it is not the one that was written."""
    try:
        data_secret = SecretBox(secret, purpose=_BOX_PURPOSE).open(row.sealed)
    except SecretUnreadable:
        data_secret = ""
    if not data_secret or _data_fingerprint_of(data_secret) != row.data_fingerprint:
        raise SecretKeyRefused("the data key in the table secret_keys was altered: restore the table")
    return data_secret


def _data_fingerprint_of(data_secret: str) -> str:
    return derive_key(data_secret, _DATA_FINGERPRINT).hex()


def _refusal(settings: Settings, known: Sequence[str], retired: Row | None) -> str:
    kept = "MSVS_SECRET_KEY" if settings.secret_key else f"{settings.secret_file.name} in {settings.data_dir}"
    if not known:
        return f"no secret in {settings.data_dir}: set DATA_DIR or MSVS_SECRET_KEY as the service has it"
    if retired is not None:
        return (
            f"{kept} was replaced by `msvs secrets rotate` and is refused since "
            f"{retired.retires_at:%Y-%m-%d %H:%M} UTC: give this process the new key"
        )
    return f"{kept} is not the key of this database: set DATA_DIR or MSVS_SECRET_KEY as the service has it"


async def _settle(settings: Settings, *, adopt: bool) -> None:
    """Record the first key: a new database gets a data key of its own, one in use keeps its key as the data key.

    Raises SettingsError.
    """
    if not await fetch_value("SELECT EXISTS (SELECT FROM workspaces)"):
        secret, data_secret = settings.encryption_secret(), secrets.token_urlsafe(32)
    else:
        secret = data_secret = settings.encryption_secret() if adopt else await _proven(settings)
    await execute(
        ADD_FINGERPRINT,
        new_id(),
        fingerprint_of(secret),
        _data_fingerprint_of(data_secret),
        SecretBox(secret, purpose=_BOX_PURPOSE).seal(data_secret),
        await now(),
    )


async def _proven(settings: Settings) -> str:
    """Return the known secret that opens most of what the database holds, if it is more than half.

    Raises SecretKeyRefused.
    """
    sealed = [row.secret_sealed for row in await fetch(SEALED)]
    hashed = [row for order in ("ASC", "DESC") for row in await fetch(HASHED.format(order=order))]
    total = len(sealed) + len(hashed)
    known = settings.known_secrets()
    counts = [_count_opened(secret, sealed, hashed) for secret in known]
    most = max(counts, default=0)
    if most * 2 > total:
        return known[counts.index(most)]
    if not total and not await fetch_value(IS_HASHED):
        return settings.encryption_secret()
    if not known:
        raise SecretKeyRefused(_refusal(settings, known, None))
    raise SecretKeyRefused(
        f"the secret key opens {most} of {total} secrets and hashes that were tried in this database, which has no "
        "fingerprint yet: set MSVS_SECRET_KEY as the service has it, or, if it is certain, run `msvs secrets adopt`"
    )


def _count_opened(secret: str, sealed: Sequence[str], hashed: Sequence[Row]) -> int:
    box = SecretBox(secret)
    key = crypto.derive_consent_key(secret)
    hashes = [crypto.hash_phone_with(key, row.workspace_id, row.livemode, row.phone) for row in hashed]
    matches = [row.phone_hash == hash for row, hash in zip(hashed, hashes, strict=True)]
    return [*map(box.can_open, sealed), *matches].count(True)


async def adopt(keyring: Keyring, settings: Settings) -> list[dict[str, object]]:
    """Take the key of this process for that of a database that knows none. Raises SettingsError where it knows one."""
    if await fetch_row(KEYS) is not None:
        raise SettingsError("the database knows its key already: `msvs secrets list` shows it")
    await unlock(keyring, settings, adopt=True)
    return await list_keys(keyring)
