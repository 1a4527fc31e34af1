"""Addresses that count once they are confirmed, and forgotten passwords: what attacks on their links come to."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api.accounts import addresses, users
from msvs.api.accounts.addresses import confirm_email, limit_mails, request_password_reset, reset_password
from msvs.api.accounts.confirmations import confirm_fully
from msvs.api.accounts.keys import issue_key
from msvs.api.accounts.login_sessions import Identity, authenticate_session, enter_workspace, log_in
from msvs.api.accounts.users import SignedUp, SignUp, sign_up
from msvs.api.context import Visitor
from msvs.api.errors import (
    AuthenticationFailed,
    Conflict,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    RateLimited,
)
from msvs.api.unit_of_work import unit_of_work
from msvs.models import AccountToken, ApiKey, AuthenticationEntry, Invitation, Mail, Role, Session, User, Workspace
from msvs.settings import Settings
from msvs.workers.mail import send_mails
from tests.services import SERVICES

EMAIL = "maria@cohortlabs.co"
PASSWORD = "correct horse battery"
OTHER = "an entirely new password"
HERE = Visitor("203.0.113.4", "req_1", services=SERVICES, user_agent="Firefox")
STRANGER = Visitor("198.51.100.7", "req_2", services=SERVICES, user_agent="curl")


async def register(email: str = EMAIL, password: str = PASSWORD, visitor: Visitor = HERE, **values: str) -> SignedUp:
    place = values if "invitation" in values else {"workspace_name": "Cohort Labs", **values}
    async with unit_of_work():
        return await sign_up(visitor, SignUp(email, password, "Maria Silva", **place))


async def mailed() -> list[tuple[str, str, str]]:
    """Whom mail went to by now, its subject, and the token in its link."""
    await send_mails(SERVICES, Settings())
    rows = await Mail.filter(state="kept").order_by("id")
    await Mail.all().delete()
    letters = [(row.recipient, row.letter or {}) for row in rows]
    return [(to, str(each["subject"]), _token(str(each["text"]))) for to, each in letters]


def _token(text: str) -> str:
    return next((line.partition("#")[2] for line in text.splitlines() if line.startswith("http")), "")


async def confirm(token: str) -> UUID:
    async with unit_of_work():
        return await confirm_email(HERE, token)


async def ask_reset(email: str) -> None:
    async with unit_of_work():
        await request_password_reset(STRANGER, email)


async def reset(token: str, password: str = OTHER) -> UUID:
    async with unit_of_work():
        return await reset_password(HERE, token, password)


async def identity_of(made: SignedUp) -> Identity:
    return await authenticate_session(SERVICES, made.session.token)


async def make_owner() -> SignedUp:
    """A user whose address is confirmed."""
    made = await register()
    ((_, _, token),) = await mailed()
    await confirm(token)
    return made


async def test_an_address_counts_once_its_link_was_opened(clean: None) -> None:
    made = await register()
    assert not (await identity_of(made)).is_confirmed
    ((to, subject, token),) = await mailed()
    assert (to, subject) == (EMAIL, "Confirm your e-mail address")
    assert await confirm(token) == made.user_id
    # The link logs nobody in.
    assert await Session.all().count() == 1
    user = await User.get()
    assert (user.email, user.pending_email) == (EMAIL, None)
    assert (await identity_of(made)).is_confirmed
    with pytest.raises(NotFound) as caught:
        await confirm(token)
    assert caught.value.code == "link_invalid"


async def test_an_unconfirmed_user_works_in_the_sandbox_only_and_invites_nobody(clean: None) -> None:
    made = await register()
    sandbox = enter_workspace(await identity_of(made), made.workspace_id, HERE, livemode=False)
    async with unit_of_work():
        await issue_key(sandbox, name="Mine")
    for refused in (
        lambda: issue_key(replace(sandbox, livemode=True)),
        lambda: users.invite_member(sandbox, email="ana@cohortlabs.co", role=Role.MEMBER),
    ):
        with pytest.raises(PermissionDenied) as caught:
            await refused()
        assert caught.value.code == "email_unconfirmed"
    assert await ApiKey.filter(livemode=True).count() + await Invitation.all().count() == 0


async def test_signing_up_with_a_known_address_is_answered_alike_and_notifies_its_owner(clean: None) -> None:
    owner = await make_owner()
    again = await register(password=OTHER, visitor=STRANGER)
    fresh = await register("new@cohortlabs.co", password=OTHER, visitor=STRANGER)
    for made in (again, fresh):
        identity = await identity_of(made)
        assert (identity.is_confirmed, len(identity.memberships), made.test_key is None) == (False, 1, False)
    letters = await mailed()
    assert letters[0][:2] == (EMAIL, "You already have an account")
    assert letters[1][:2] == ("new@cohortlabs.co", "Confirm your e-mail address")
    assert await AccountToken.filter(email=EMAIL).count() == 0
    # Both log in as before; neither reaches the other's workspace.
    assert (await log_in(HERE, email=EMAIL, password=PASSWORD)).user_id == owner.user_id
    assert (await log_in(STRANGER, email=EMAIL, password=OTHER)).user_id == again.user_id
    assert (await log_in(STRANGER, email="new@cohortlabs.co", password=OTHER)).user_id == fresh.user_id


async def test_of_two_who_confirm_one_address_one_has_it(clean: None) -> None:
    await register()
    await register(password=OTHER)
    links = [token for _, _, token in await mailed()]
    outcomes = await asyncio.gather(*(confirm(token) for token in links), return_exceptions=True)
    assert sorted(type(each).__name__ for each in outcomes) == ["NotFound", "UUID"]
    assert await User.filter(email=EMAIL).count() == 1


async def test_a_link_used_twice_at_once_counts_once(clean: None) -> None:
    await make_owner()
    await ask_reset(EMAIL)
    ((_, _, token),) = await mailed()
    outcomes = await asyncio.gather(reset(token), reset(token, "yet another password"), return_exceptions=True)
    assert sorted(type(each).__name__ for each in outcomes) == ["NotFound", "UUID"]


async def test_a_reset_sets_the_password_ends_all_sessions_and_notifies_the_user(clean: None) -> None:
    made = await make_owner()
    await ask_reset(" Maria@CohortLabs.co ")
    ((to, _, token),) = await mailed()
    assert to == EMAIL
    assert await reset(token) == made.user_id
    assert await Session.all().count() == 0
    assert [subject for _, subject, _ in await mailed()] == ["Your password was changed"]
    with pytest.raises(AuthenticationFailed):
        await log_in(HERE, email=EMAIL, password=PASSWORD)
    await log_in(HERE, email=EMAIL, password=OTHER)
    actions = await AuthenticationEntry.all().order_by("id").values_list("action", flat=True)
    assert actions == ["logged_in", "email_confirmed", "password_reset", "login_refused", "logged_in"]


@pytest.mark.parametrize("password", ["short", "a" * 20, EMAIL])
async def test_a_password_that_is_refused_leaves_the_link(clean: None, password: str) -> None:
    await make_owner()
    await ask_reset(EMAIL)
    ((_, _, token),) = await mailed()
    with pytest.raises(InvalidRequest):
        await reset(token, password)
    await log_in(HERE, email=EMAIL, password=PASSWORD)
    await reset(token)


@pytest.mark.parametrize("end", ["expired", "other purpose", "unknown", "later reset"])
async def test_a_link_that_has_ended_sets_no_password(clean: None, end: str) -> None:
    await make_owner()
    await ask_reset(EMAIL)
    ((_, _, token),) = await mailed()
    if end == "expired":
        await AccountToken.all().update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    elif end == "other purpose":
        await AccountToken.all().update(purpose="confirm_email")
    elif end == "unknown":
        token = token[::-1]
    else:
        await ask_reset(EMAIL)
        ((_, _, later),) = await mailed()
        await reset(later, "yet another password")
    before = await db.fetch_value("SELECT password_hash FROM users")
    with pytest.raises(NotFound) as caught:
        await reset(token)
    assert caught.value.code == "link_invalid"
    assert await db.fetch_value("SELECT password_hash FROM users") == before


async def test_a_reset_for_an_unknown_address_is_answered_alike(clean: None) -> None:
    await ask_reset("nobody@cohortlabs.co")
    assert await mailed() == []
    with pytest.raises(InvalidRequest):
        await ask_reset("no address")


async def test_a_reset_confirms_the_address_given_at_signup(clean: None) -> None:
    made = await register()
    await mailed()
    await ask_reset(EMAIL)
    ((_, _, token),) = await mailed()
    assert await reset(token) == made.user_id
    assert (await User.get()).email == EMAIL


async def change_email(made: SignedUp, email: str) -> str | None:
    confirmation = await confirm_fully(HERE, await identity_of(made), PASSWORD)
    async with unit_of_work():
        return await addresses.change_email(HERE, confirmation, email)


async def test_another_address_counts_once_its_link_was_opened(clean: None) -> None:
    made = await make_owner()
    assert await change_email(made, " Ana@Cohortlabs.co ") == "ana@cohortlabs.co"
    link, told = await mailed()
    assert (link[0], told[0]) == ("ana@cohortlabs.co", EMAIL)
    user = await User.get()
    assert (user.email, user.pending_email) == (EMAIL, "ana@cohortlabs.co")
    assert await confirm(link[2]) == made.user_id
    user = await User.get()
    assert (user.email, user.pending_email) == ("ana@cohortlabs.co", None)
    await log_in(HERE, email="ana@cohortlabs.co", password=PASSWORD)
    with pytest.raises(AuthenticationFailed):
        await log_in(HERE, email=EMAIL, password=PASSWORD)
    assert await AuthenticationEntry.filter(action="email_change_asked").count() == 1


async def test_a_change_is_canceled_from_the_old_address(clean: None) -> None:
    """The link of the one before counts no more, and an address that is none changes nothing."""
    made = await make_owner()
    await change_email(made, "ana@cohortlabs.co")
    (_, _, token), _ = await mailed()
    with pytest.raises(InvalidRequest) as caught:
        await change_email(made, "no address")
    assert caught.value.code == "email_invalid"
    assert (await User.get()).pending_email == "ana@cohortlabs.co"
    assert await change_email(made, EMAIL.upper()) is None
    with pytest.raises(NotFound):
        await confirm(token)
    assert ((await User.get()).email, await mailed()) == (EMAIL, [])


async def test_an_address_that_another_has_is_answered_alike_and_never_taken(clean: None) -> None:
    made = await make_owner()
    other = await register("bea@cohortlabs.co")
    ((_, _, token),) = await mailed()
    await confirm(token)
    assert await change_email(made, "bea@cohortlabs.co") == "bea@cohortlabs.co"
    assert [to for to, _, _ in await mailed()] == [EMAIL]
    assert (await User.get(id=other.user_id)).email == "bea@cohortlabs.co"
    assert (await User.get(id=made.user_id)).email == EMAIL


async def test_a_name_and_a_language_are_changed(clean: None) -> None:
    made = await make_owner()
    async with unit_of_work():
        changed = await users.update_profile(await identity_of(made), name=" Maria Silva ", language="es")
    assert (changed.name, changed.language) == ("Maria Silva", "es")
    user = await User.get()
    assert (user.name, user.language) == ("Maria Silva", "es")
    for values in ({"name": " "}, {"name": "a" * 101}, {"language": "xx"}):
        with pytest.raises(InvalidRequest):
            async with unit_of_work():
                await users.update_profile(changed, **values)
    assert dict(await User.get()) == dict(user)


async def test_a_known_user_creates_another_workspace_and_owns_it(clean: None) -> None:
    made = await make_owner()
    identity = await identity_of(made)
    async with unit_of_work():
        changed = await users.create_own_workspace(HERE, identity, " Cohort 08 ")
    assert [(each.workspace_name, each.role) for each in changed.memberships][1:] == [("Cohort 08", Role.OWNER)]
    keys = await ApiKey.filter(workspace_id=changed.memberships[1].workspace_id).values_list("livemode", flat=True)
    assert keys == [False]
    refused = [
        (replace(HERE, sign_up="invitation"), identity, "sign_up_closed"),
        (HERE, replace(identity, is_confirmed=False), "email_unconfirmed"),
    ]
    for visitor, asking, code in refused:
        with pytest.raises(PermissionDenied) as caught:
            async with unit_of_work():
                await users.create_own_workspace(visitor, asking, "Cohort 09")
        assert caught.value.code == code
    with pytest.raises(InvalidRequest):
        async with unit_of_work():
            await users.create_own_workspace(HERE, identity, " ")
    assert await Workspace.all().count() == 2


async def test_mails_are_limited_an_address_and_a_network(clean: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "MAX_MAILS", 2)
    monkeypatch.setattr(addresses, "MAX_NETWORK_MAILS", 4)
    for _ in range(2):
        await limit_mails(STRANGER, EMAIL, "reset")
    for visitor, email in ((STRANGER, EMAIL), (HERE, EMAIL)):
        with pytest.raises(RateLimited) as caught:
            await limit_mails(visitor, email, "reset")
        assert caught.value.code == "mail_throttled"
    await limit_mails(STRANGER, "other@cohortlabs.co", "reset")
    with pytest.raises(RateLimited):
        await limit_mails(STRANGER, "third@cohortlabs.co", "reset")


async def test_a_mailed_invitation_proves_the_address_and_a_shown_one_does_not(workspace: Workspace) -> None:
    owner = await make_owner()
    ctx = enter_workspace(await identity_of(owner), owner.workspace_id, HERE, livemode=True)
    async with unit_of_work():
        _, shown = await users.invite_member(ctx, email="ana@cohortlabs.co", role=Role.MEMBER)
    ((to, subject, sent),) = await mailed()
    assert (to, subject) == ("ana@cohortlabs.co", "You are invited to Cohort Labs")
    assert sent not in (shown, "")
    made = await register("ana@cohortlabs.co", invitation=sent)
    assert (await identity_of(made)).is_confirmed
    async with unit_of_work():
        invitation, shown = await users.invite_member(ctx, email="bea@cohortlabs.co", role=Role.MEMBER)
    ((_, _, first),) = await mailed()
    async with unit_of_work():
        await users.resend_invitation(ctx, invitation.id)
    ((_, _, second),) = await mailed()
    assert first != second
    assert await users.find_invitation(SERVICES, first) is None
    offered = await users.find_invitation(SERVICES, second)
    assert offered is not None
    made = await register("bea@cohortlabs.co", invitation=shown)
    assert not (await identity_of(made)).is_confirmed


async def test_an_operator_confirms_an_address_once(clean: None) -> None:
    made = await register()
    assert await users.confirm_user(SERVICES, EMAIL) == made.user_id
    with pytest.raises(Conflict):
        await users.confirm_user(SERVICES, EMAIL)
    with pytest.raises(NotFound):
        await users.confirm_user(SERVICES, "nobody@cohortlabs.co")


async def test_a_new_device_notifies_its_user_once(clean: None) -> None:
    await make_owner()
    await log_in(HERE, email=EMAIL, password=PASSWORD)
    assert await mailed() == []
    for _ in range(2):
        await log_in(STRANGER, email=EMAIL, password=PASSWORD)
    ((to, subject, _),) = await mailed()
    assert (to, subject) == (EMAIL, "A new device logged in")
