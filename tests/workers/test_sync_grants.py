"""Access to services by OAuth: who may grant it, what becomes of the code, and what the account has to choose from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from msvs.api import ids
from msvs.api.contacts import sources
from msvs.api.contacts.source_options import UpdateSource
from msvs.api.context import Context
from msvs.api.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from msvs.api.unit_of_work import unit_of_work
from msvs.connectors.base import Unavailable
from msvs.models import ContactList, ListSource, ListSync, Role, SourceStatus
from tests.services import SERVICES
from tests.workers.fake_service import SECRET, Service, serving
from tests.workers.test_syncs import MARIA, ZOE, act, connect, last_sync, members, source_of, work

APP = {"client_id": "app-1", "client_secret": "app-secret-1"}


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    SERVICES.keyring.seal_with(SECRET)
    async with serving() as found:
        found.put("1", MARIA, "Maria")
        found.put("2", ZOE, "Zoë")
        yield found


@pytest.fixture
def user(ctx: Context) -> Context:
    return replace(ctx, actor=ids.encode_id(ids.USER, ids.new_id()), role=Role.MEMBER)


async def authorize(ctx: Context, row: ContactList) -> str:
    """Return the state of the address that a user is sent to."""
    told = await act(sources.authorize_source, ctx, row)
    query = parse_qs(urlsplit(told.url).query)
    assert query["redirect_uri"] == [f"{SERVICES.base_url}/dashboard/connections/authorized"]
    return query["state"][0]


async def grant(ctx: Context, state: str, code: str = "code-1") -> ContactList:
    async with unit_of_work():
        return await sources.grant_source(ctx, state=state, code=code)


async def choose(ctx: Context, row: ContactList, list_id: str = "7") -> None:
    await act(sources.update_source, ctx, row, UpdateSource(settings={"list_id": list_id}))
    await work()


async def test_a_user_grants_access_and_chooses_a_list(user: Context, service: Service) -> None:
    row = await connect(user, "granting", settings=APP)
    source = await source_of(row)
    assert source.error is not None
    assert (source.status, source.error["code"]) == ("checking", "access_not_granted")
    assert (await work(), await ListSync.all().count()) == (0, 0), "there is nothing to read with"
    with pytest.raises(Conflict):
        await act(sources.sync_list, user, row)

    assert (await grant(user, await authorize(user, row))).id == row.id
    await work()
    assert service.asked == [f"code-1 {SERVICES.base_url}/dashboard/connections/authorized"]
    source = await source_of(row)
    assert source.error == {"code": "invalid_setting", "message": "Choose one: list.", "setting": "list_id"}
    told = sources.source_resource(user, source, None).setting_choices
    assert [(each.setting, [choice.label for choice in each.choices]) for each in told] == [
        ("list_id", ["Cohort 07", "C" * 200])
    ]

    await choose(user, row)
    assert (await source_of(row)).status is SourceStatus.CHECKED
    await act(sources.confirm_sync, user, row)
    await work()
    assert await members(row) == {MARIA, ZOE}
    kept = sources.open_settings(user, await source_of(row))
    assert kept == {**APP, "access_token": "key-1", "list_id": "7"}
    shown = str(vars(await source_of(row))) + str(sources.source_resource(user, await source_of(row), None))
    assert not any(secret in shown for secret in ("app-secret-1", "key-1", "code-1"))


async def test_access_is_granted_again_after_it_was_taken_away(user: Context, service: Service) -> None:
    row = await connect(user, "granting", settings={**APP, "list_id": "7"})
    await grant(user, await authorize(user, row))
    await work()
    await act(sources.confirm_sync, user, row)
    await work()
    service.token = "key-2"
    service.codes.add("code-2")
    await ListSource.all().update(next_sync_at=user.services.clock())
    await work()
    assert (await source_of(row)).status is SourceStatus.STOPPED
    assert await members(row) == {MARIA, ZOE}

    await grant(user, await authorize(user, row), "code-2")
    await work()
    assert ((await source_of(row)).status, (await last_sync(row)).status) == ("active", "completed")


async def test_a_state_is_good_once_for_its_user_in_time(
    user: Context, live_ctx: Context, other_ctx: Context, service: Service
) -> None:
    """Nobody can have another user connect an account that is not theirs, which is what the state is against."""
    row = await connect(user, "granting", settings=APP)
    state = await authorize(user, row)
    before = await source_of(row)
    another = replace(user, actor=ids.encode_id(ids.USER, ids.new_id()))
    name, _, token = state.partition(".")
    refused: list[tuple[Context, str, str]] = [
        (another, state, "code-1"),
        (replace(live_ctx, actor=user.actor), state, "code-1"),
        (replace(other_ctx, actor=user.actor), state, "code-1"),
        (user, f"{name}.{token[:-1]}", "code-1"),
        (user, f"{name}.", "code-1"),
        (user, token, "code-1"),
        (user, "", "code-1"),
        (user, state, " "),
        (user, state, "x" * 3000),
        (user, state, "a\x00b"),
    ]
    for ctx, given, code in refused:
        with pytest.raises(InvalidRequest) as error:
            await grant(ctx, given, code)
        assert error.value.param == ("state" if code == "code-1" else "code"), given
        assert token not in str(error.value)
    for keyed in (replace(user, actor="key_1", role=None), replace(user, role=Role.READ_ONLY)):
        with pytest.raises(PermissionDenied):
            await grant(keyed, state)
        with pytest.raises(PermissionDenied):
            await authorize(keyed, row)
    at = SERVICES.clock() + sources.STATE_LIFE
    with pytest.raises(InvalidRequest):
        await grant(replace(user, services=replace(SERVICES, clock=lambda: at)), state)
    assert (await source_of(row)).secrets == before.secrets
    assert await ListSync.all().count() == 0

    newer = await authorize(user, row)
    with pytest.raises(InvalidRequest):
        await grant(user, state)
    await grant(user, newer)
    with pytest.raises(InvalidRequest):
        await grant(user, newer)


async def test_a_code_that_is_refused_stops_the_list_and_is_forgotten(user: Context, service: Service) -> None:
    row = await connect(user, "granting", settings=APP)
    await grant(user, await authorize(user, row), "code-9")
    await work()
    source = await source_of(row)
    assert source.error is not None
    assert (source.status, source.error["code"]) == ("stopped", "credentials_refused")
    assert sources.open_settings(user, source) == APP
    await grant(user, await authorize(user, row))
    await work()
    await choose(user, row)
    assert (await source_of(row)).status is SourceStatus.CHECKED


async def test_a_code_is_tried_again_while_the_service_is_away(user: Context, service: Service) -> None:
    row = await connect(user, "granting", settings={**APP, "list_id": "7"})
    await grant(user, await authorize(user, row))
    service.errors = [Unavailable("Away.")]
    await work()
    assert (await work(), service.asked) == (0, []), "it waits its time"
    await ListSync.all().update(due_at=user.services.clock() - timedelta(seconds=1))
    await work()
    assert (len(service.asked), (await source_of(row)).status) == (1, SourceStatus.CHECKED)


async def test_what_has_no_oauth_or_no_app_grants_nothing(user: Context, other_ctx: Context, service: Service) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await connect(user, "granting", settings={"list_id": "7"})
    assert refused.value.param == "source.settings.client_id"
    keyed = await connect(user)
    with pytest.raises(Conflict):
        await authorize(user, keyed)
    row = await connect(user, "granting", settings={"client_id": "app-1"})
    with pytest.raises(InvalidRequest) as refused:
        await authorize(user, row)
    assert refused.value.param == "source.settings.client_secret"
    with pytest.raises(NotFound):
        await authorize(replace(other_ctx, actor=user.actor), row)


@pytest.mark.parametrize(
    ("settings", "param"), [({}, "api_key"), ({"client_id": "app-1"}, "client_secret"), ({"tag_id": "1"}, "api_key")]
)
async def test_kit_needs_a_key_or_an_app(user: Context, service: Service, settings: dict[str, str], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await connect(user, "kit", settings=settings)
    assert refused.value.param == f"source.settings.{param}"
    assert await ListSource.all().count() == 0


async def test_kit_waits_for_access_with_an_app_alone(user: Context, service: Service) -> None:
    for settings, code in (({"api_key": "key-1"}, None), (APP, "access_not_granted")):
        source = await source_of(await connect(user, "kit", settings=settings))
        assert (source.error or {}).get("code") == code
    assert await ListSync.all().count() == 1
