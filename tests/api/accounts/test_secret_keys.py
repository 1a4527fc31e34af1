"""The secret key: a wrong one ends the process and changes nothing, one alone is first, a rotation loses nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from structlog.testing import capture_logs

from msvs import database as db
from msvs.api import crypto
from msvs.api.accounts import secret_keys
from msvs.api.accounts.secret_keys import SecretKeyRefused
from msvs.api.contacts.contacts import CreateContact, OptInEvidence, create_contact, opt_out_contact
from msvs.api.context import Context
from msvs.api.errors import Unavailable
from msvs.api.privacy.erasure import erase_phone
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks import endpoints
from msvs.api.webhooks.endpoints import CreateWebhook
from msvs.models import ErasedSuppression, SecretKey
from msvs.settings import PRODUCTION, Settings, SettingsError
from tests.factories import next_phone
from tests.services import CONSENT_SECRET, SERVICES

RIGHT, WRONG, NEXT = "the right key of the tests", "the wrong key of the tests", "the next key of the tests"
PHONE = "+12125550123"
ANYWHERE = UUID(int=7)
DAY = timedelta(hours=24)
NOT_THE_KEY = "MSVS_SECRET_KEY is not the key of this database: set DATA_DIR or MSVS_SECRET_KEY as the service has it"


@pytest.fixture(autouse=True)
async def _as_a_new_process(clean: None) -> AsyncIterator[None]:
    SERVICES.keyring.hold(None)
    yield
    SERVICES.keyring.hold(None)
    SERVICES.keyring.hash_with(CONSENT_SECRET)


def having(secret: str, *previous: str) -> Settings:
    return Settings(secret_key=secret, secret_keys_previous=previous)


async def started(secret: str, *previous: str) -> str:
    """A process that starts with a key; what it makes of a phone."""
    SERVICES.keyring.hold(None)
    await secret_keys.unlock(SERVICES.keyring, having(secret, *previous))
    return SERVICES.keyring.hash_phone(ANYWHERE, True, PHONE)


async def refused(settings: Settings) -> str:
    """The line with which a process ends; nothing can be hashed or sealed in it, and nothing was written."""
    SERVICES.keyring.hold(None)
    before = await SecretKey.all().order_by("id").values()
    with pytest.raises(SecretKeyRefused) as told:
        await secret_keys.unlock(SERVICES.keyring, settings)
    assert await SecretKey.all().order_by("id").values() == before
    for attempt in (lambda: SERVICES.keyring.hash_phone(ANYWHERE, True, PHONE), lambda: SERVICES.keyring.seal("x")):
        with pytest.raises(Unavailable):
            attempt()
    line = str(told.value)
    assert "\n" not in line
    for secret in (RIGHT, WRONG, NEXT):
        assert secret not in line
    return line


async def fill(ctx: Context, secret: str, *, contacts: int = 1, webhook: bool = True) -> None:
    """What a process from before fingerprints leaves behind: phones and secrets under its secret key itself."""
    SERVICES.keyring.seal_with(secret)
    SERVICES.keyring.hash_with(secret)
    async with unit_of_work():
        for _ in range(contacts):
            await create_contact(ctx, CreateContact(next_phone(), opt_in=OptInEvidence("form", "203.0.113.4")))
        if webhook:
            await endpoints.create_webhook(ctx, CreateWebhook("https://hooks.cohortlabs.co/in", ["*"]))
    SERVICES.keyring.hold(None)


async def forget_phone(ctx: Context, secret: str) -> None:
    """PHONE says STOP and is erased, in a process whose key is `secret`."""
    SERVICES.keyring.seal_with(secret)
    SERVICES.keyring.hash_with(secret)
    async with unit_of_work():
        row = await create_contact(ctx, CreateContact(PHONE, opt_in=OptInEvidence("form", "203.0.113.4")))
    async with unit_of_work():
        await opt_out_contact(ctx, row.id)
    async with unit_of_work():
        await erase_phone(ctx, PHONE)
    SERVICES.keyring.hold(None)


async def is_remembered(ctx: Context) -> bool:
    return await ErasedSuppression.filter(phone_hash=crypto.phone_hash(ctx, PHONE)).exists()


async def test_a_new_database_gets_a_data_key_that_no_key_derives() -> None:
    first = await started(RIGHT)
    row = await SecretKey.get()
    assert (row.fingerprint, row.retires_at) == (secret_keys.fingerprint_of(RIGHT), None)
    assert RIGHT not in f"{row.fingerprint}{row.data_fingerprint}{row.sealed}"
    assert re.fullmatch("[0-9a-f]{64}", row.fingerprint)
    assert await started(RIGHT) == first
    SERVICES.keyring.hash_with(RIGHT)
    assert SERVICES.keyring.hash_phone(ANYWHERE, True, PHONE) != first
    assert await SecretKey.all().count() == 1


async def test_a_wrong_key_is_refused_with_a_line_and_changes_nothing() -> None:
    await started(RIGHT)
    assert await refused(having(WRONG)) == NOT_THE_KEY
    assert await refused(having(WRONG, NEXT)) == NOT_THE_KEY
    await started(WRONG, NEXT, RIGHT)  # one of the previous is right


async def test_a_key_kept_in_a_file_is_held_against_the_database_and_none_is_made(tmp_path: Path) -> None:
    own, other = Settings(data_dir=tmp_path / "own"), Settings(data_dir=tmp_path / "other")
    await secret_keys.unlock(SERVICES.keyring, own)
    assert (
        await refused(other) == f"no secret in {other.data_dir}: set DATA_DIR or MSVS_SECRET_KEY as the service has it"
    )
    assert not other.data_dir.exists()
    other.encryption_secret()
    line = await refused(other)
    assert line.startswith(f"secret.key in {other.data_dir} is not the key of this database")
    await secret_keys.unlock(SERVICES.keyring, own)


async def test_production_has_no_key_but_the_one_that_is_set(tmp_path: Path) -> None:
    settings = Settings(environment=PRODUCTION, data_dir=tmp_path)
    Settings(data_dir=tmp_path).encryption_secret()
    with pytest.raises(SettingsError, match=r"^MSVS_SECRET_KEY must be set in production"):
        await secret_keys.unlock(SERVICES.keyring, settings)
    assert not await SecretKey.exists()


async def test_of_two_first_keys_exactly_one_wins() -> None:
    for _ in range(10):
        await SecretKey.all().delete()
        SERVICES.keyring.hold(None)
        ends = await asyncio.gather(
            *(secret_keys.unlock(SERVICES.keyring, having(secret)) for secret in (RIGHT, WRONG) * 3),
            return_exceptions=True,
        )
        row = await SecretKey.get()
        winner, loser = (0, 1) if row.fingerprint == secret_keys.fingerprint_of(RIGHT) else (1, 0)
        assert ends[winner::2] == [None] * 3
        assert [str(end) for end in ends[loser::2]] == [NOT_THE_KEY] * 3


@pytest.mark.parametrize(("contacts", "webhook"), [(0, True), (1, False), (3, True)])
async def test_a_database_in_use_takes_only_the_key_that_opens_it(
    live_ctx: Context, contacts: int, webhook: bool
) -> None:
    await fill(live_ctx, RIGHT, contacts=contacts, webhook=webhook)
    total = contacts + contacts + webhook
    assert await refused(having(WRONG)) == (
        f"the secret key opens 0 of {total} secrets and hashes that were tried in this database, which has no "
        "fingerprint yet: set MSVS_SECRET_KEY as the service has it, or, if it is certain, run `msvs secrets adopt`"
    )
    hashed = await started(RIGHT)
    # What was hashed and sealed before is still found: the key itself has become the data key.
    SERVICES.keyring.hash_with(RIGHT)
    assert SERVICES.keyring.hash_phone(ANYWHERE, True, PHONE) == hashed
    assert await refused(having(WRONG)) == NOT_THE_KEY


async def test_what_a_wrong_process_wrote_before_does_not_make_its_key_right(live_ctx: Context, ctx: Context) -> None:
    await fill(live_ctx, RIGHT, contacts=3)
    await fill(ctx, WRONG, contacts=1, webhook=False)
    assert "opens 2 of 9 secrets" in await refused(having(WRONG))
    await started(RIGHT)


async def test_a_key_that_was_changed_on_the_way_is_found_among_the_previous(live_ctx: Context) -> None:
    await fill(live_ctx, RIGHT)
    await started(NEXT, RIGHT)
    assert [row.fingerprint for row in await SecretKey.all()] == [secret_keys.fingerprint_of(RIGHT)]
    await secret_keys.rotate(having(NEXT, RIGHT), overlap=timedelta(0))
    await started(NEXT)
    assert "was replaced by `msvs secrets rotate`" in await refused(having(RIGHT))


async def test_the_operator_names_the_key_when_only_erased_phones_are_left(live_ctx: Context) -> None:
    await forget_phone(live_ctx, RIGHT)
    for secret in (WRONG, RIGHT):
        assert "opens 0 of 0 secrets" in await refused(having(secret))
    shown = await secret_keys.adopt(SERVICES.keyring, having(RIGHT))
    assert [(each["key"], each["state"], each["used_here"]) for each in shown] == [
        (secret_keys.fingerprint_of(RIGHT)[:12], "taken", True)
    ]
    assert await is_remembered(live_ctx)
    with pytest.raises(SettingsError, match="knows its key already"):
        await secret_keys.adopt(SERVICES.keyring, having(WRONG))
    assert await refused(having(WRONG)) == NOT_THE_KEY


async def test_the_first_key_is_taken_when_nothing_depends_on_one(ctx: Context) -> None:
    hashed = await started(RIGHT)
    # A process from before fingerprints may still be writing: it hashes with the key itself.
    SERVICES.keyring.hash_with(RIGHT)
    assert SERVICES.keyring.hash_phone(ANYWHERE, True, PHONE) == hashed


async def test_a_rotation_changes_the_key_and_nothing_that_was_made_with_it(live_ctx: Context) -> None:
    hashed = await started(RIGHT)
    sealed = SERVICES.keyring.seal("whsec_1")
    done = await secret_keys.rotate(having(NEXT, RIGHT), overlap=DAY)
    assert (done.key, done.previous) == (
        secret_keys.fingerprint_of(NEXT)[:12],
        [secret_keys.fingerprint_of(RIGHT)[:12]],
    )
    assert done.previous_until is not None
    assert timedelta(hours=23) < done.previous_until - await db.now() <= DAY
    # This process goes on, and both keys start others for a day.
    await secret_keys.recheck(SERVICES.keyring)
    assert (SERVICES.keyring.open(sealed), SERVICES.keyring.hash_phone(ANYWHERE, True, PHONE)) == ("whsec_1", hashed)
    for secret in (RIGHT, NEXT):
        assert await started(secret) == hashed
        assert SERVICES.keyring.open(sealed) == "whsec_1"
    assert await refused(having(WRONG)) == NOT_THE_KEY
    # Again: nothing more; and then at once.
    again = await secret_keys.rotate(having(NEXT, RIGHT), overlap=DAY * 2)
    assert again == done
    ended = await secret_keys.rotate(having(NEXT), overlap=timedelta(0))
    assert (ended.key, ended.previous, ended.previous_until) == (done.key, [], None)
    assert re.fullmatch(
        r"MSVS_SECRET_KEY was replaced by `msvs secrets rotate` and is refused since \d{4}-\d\d-\d\d \d\d:\d\d UTC: "
        "give this process the new key",
        await refused(having(RIGHT)),
    )
    assert await started(NEXT) == hashed
    assert await SecretKey.get(fingerprint=secret_keys.fingerprint_of(RIGHT)).values_list("sealed", flat=True) is None


async def test_a_key_may_come_back(live_ctx: Context) -> None:
    hashed = await started(RIGHT)
    await secret_keys.rotate(having(NEXT, RIGHT), overlap=timedelta(0))
    await secret_keys.rotate(having(RIGHT, NEXT), overlap=timedelta(0))
    assert await started(RIGHT) == hashed
    assert "was replaced" in await refused(having(NEXT))


async def test_rotating_a_key_requires_the_key() -> None:
    await started(RIGHT)
    before = await SecretKey.all().values()
    for settings in (having(NEXT), having(NEXT, WRONG)):
        with pytest.raises(SecretKeyRefused):
            await secret_keys.rotate(settings, overlap=DAY)
    with pytest.raises(SettingsError, match="MSVS_SECRET_KEY must be set to the new key"):
        await secret_keys.rotate(Settings(secret_keys_previous=(RIGHT,)), overlap=DAY)
    assert await SecretKey.all().values() == before


async def test_of_two_rotations_at_once_the_later_finds_the_key_gone() -> None:
    hashed = await started(RIGHT)
    ends = await asyncio.gather(
        *(secret_keys.rotate(having(each, RIGHT), overlap=timedelta(0)) for each in (NEXT, WRONG)),
        return_exceptions=True,
    )
    lost = [isinstance(end, SecretKeyRefused) for end in ends]
    assert sorted(lost) == [False, True]
    winner, loser = (NEXT, WRONG) if lost == [False, True] else (WRONG, NEXT)
    assert await started(winner) == hashed
    assert await refused(having(loser)) == NOT_THE_KEY


async def test_an_erased_stop_is_remembered_through_key_rotations(live_ctx: Context) -> None:
    await forget_phone(live_ctx, RIGHT)
    await secret_keys.adopt(SERVICES.keyring, having(RIGHT))
    for new, old in ((NEXT, RIGHT), (WRONG, NEXT), (RIGHT, WRONG)):
        await secret_keys.rotate(having(new, old), overlap=timedelta(0))
        await started(new)
        assert await is_remembered(live_ctx)


async def test_what_a_retired_key_could_open_is_removed() -> None:
    await started(RIGHT)
    await secret_keys.rotate(having(NEXT, RIGHT), overlap=DAY)
    now = await db.now()
    assert await secret_keys.forget_retired(now) == 0
    assert await secret_keys.forget_retired(now + DAY) == 1
    assert await secret_keys.forget_retired(now + DAY) == 0
    states = {row.fingerprint: row.sealed is None for row in await SecretKey.all()}
    assert states == {secret_keys.fingerprint_of(RIGHT): True, secret_keys.fingerprint_of(NEXT): False}
    assert "was replaced" in await refused(having(RIGHT))


async def test_a_data_key_that_was_altered_is_refused() -> None:
    await started(RIGHT)
    row = await SecretKey.get()
    altered = "the data key in the table secret_keys was altered: restore the table"
    await SecretKey.all().update(sealed="gAAAAA")
    assert await refused(having(RIGHT)) == altered
    await SecretKey.all().update(sealed=row.sealed, data_fingerprint="0" * 64)
    assert await refused(having(RIGHT)) == altered


async def test_a_database_exchanged_beneath_a_process_is_noticed(database: str) -> None:
    await started(RIGHT)
    await secret_keys.recheck(SERVICES.keyring)
    await SecretKey.all().update(data_fingerprint="0" * 64)
    told = "the database has another data key than this process started with"
    with pytest.raises(SecretKeyRefused, match=told):
        await secret_keys.recheck(SERVICES.keyring)
    # No new connection is used either.
    connection = await asyncpg.connect(database)
    try:
        with pytest.raises(SecretKeyRefused, match=told):
            await secret_keys.connection_check(SERVICES.keyring)(connection)
    finally:
        await connection.close()


async def test_a_process_whose_key_was_retired_goes_on_and_says_so_once() -> None:
    hashed = await started(RIGHT)
    await secret_keys.rotate(having(NEXT, RIGHT), overlap=timedelta(0))
    with capture_logs() as lines:
        for _ in range(3):
            await secret_keys.recheck(SERVICES.keyring)
    assert [line["event"] for line in lines] == [
        "the secret key of this process was replaced: give it the new one before it starts again"
    ]
    assert SERVICES.keyring.hash_phone(ANYWHERE, True, PHONE) == hashed


async def test_watching_ends_the_process_that_finds_another_data_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_keys, "WATCH_SECONDS", 0.01)
    stop = asyncio.Event()

    async def work(secret: str) -> None:
        async with secret_keys.watching(SERVICES.keyring, having(secret), stop.set):
            began.append(secret)
            await SecretKey.all().update(data_fingerprint="0" * 64)
            await stop.wait()

    began: list[str] = []
    with pytest.raises(SecretKeyRefused, match="another data key"):
        await work(RIGHT)
    assert stop.is_set()
    with pytest.raises(SecretKeyRefused, match="is not the key"):
        await work(WRONG)
    assert began == [RIGHT]
