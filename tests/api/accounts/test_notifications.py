"""Notifications: who is told what, in the transaction of what it tells, what they read, and what comes by mail."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.accounts import notifications, users
from msvs.api.accounts.login_sessions import begin_session
from msvs.api.accounts.mail_letters import LANGUAGES
from msvs.api.accounts.mail_outbox import claim_mails
from msvs.api.accounts.mail_texts import NOTIFICATIONS
from msvs.api.accounts.mail_writers import write_mail
from msvs.api.accounts.notifications import list_notifications, mark_notifications_read
from msvs.api.context import Context, Visitor
from msvs.api.credits.credits import tell_low
from msvs.api.dispatch.campaign_stats import campaign_stats
from msvs.api.dispatch.senders import add_sender, remove_sender
from msvs.api.errors import InvalidRequest, NotFound, PermissionDenied
from msvs.api.pages import PageRequest
from msvs.api.resources import campaign_resource, webhook_resource
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.api.webhooks.member_notifications import MOST_KEPT, Notice, NotificationKind, notify_members
from msvs.models import Campaign, Mail, Membership, Notification, Role, User, WebhookEndpoint, Workspace
from tests.services import SERVICES

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
PAGE = PageRequest(100)


async def join(workspace: Workspace, role: Role, *, livemode: bool = True, mailed: list[str] | None = None) -> Context:
    """A member, as the context of what they ask."""
    user = await User.create(email=f"{ids.new_id()}@cohortlabs.co", name=role.value.title(), password_hash="!")
    await Membership.create(user_id=user.id, workspace_id=workspace.id, role=role, mailed_kinds=mailed)
    return Context(workspace.id, livemode, ids.encode_id(ids.USER, user.id), role=role, services=SERVICES)


async def kinds(ctx: Context, *, unread: bool | None = None) -> list[str]:
    page = await list_notifications(ctx, PAGE, unread=unread)
    return [row.kind for row in page.items]


async def tell(ctx: Context, kind: NotificationKind = NotificationKind.CREDITS_LOW, **values: object) -> None:
    async with unit_of_work():
        await notify_members([Notice(kind, ctx.workspace_id, ctx.livemode, **values)], NOW)  # type: ignore[arg-type]


async def test_members_who_can_act_are_notified(workspace: Workspace) -> None:
    owner, member = await join(workspace, Role.OWNER), await join(workspace, Role.MEMBER)
    reader = await join(workspace, Role.READ_ONLY)
    await db.execute("UPDATE credit_balances SET balance = 10 WHERE workspace_id = $1", workspace.id)
    async with unit_of_work():
        await tell_low(workspace.id, NOW)
        await tell_low(workspace.id, NOW)
    assert await kinds(owner) == await kinds(member) == ["credits_low"]
    assert await kinds(reader) == []
    (row,) = (await list_notifications(owner, PAGE)).items
    assert (row.data, row.read_at, row.created_at, row.subject_id) == ({"count": 10}, None, NOW, None)


async def test_a_rolled_back_change_notifies_nobody(workspace: Workspace) -> None:
    owner = await join(workspace, Role.OWNER)
    with suppress(RuntimeError):
        async with unit_of_work():
            await tell_low(workspace.id, NOW)
            raise RuntimeError
    assert (await kinds(owner), await Mail.all().count()) == ([], 0)


async def test_members_are_notified_of_a_disabled_webhook_without_its_secrets(workspace: Workspace) -> None:
    owner, member = await join(workspace, Role.OWNER), await join(workspace, Role.MEMBER)
    row = await WebhookEndpoint.create(
        workspace_id=workspace.id,
        livemode=True,
        url="https://hooks.cohortlabs.co/in/s3cret?token=t0ken",
        events=["*"],
        secret_sealed="",
        enabled=False,
        disabled_reason="gone",
        created_by="key_1",
    )
    event = NewEvent(EventType.WEBHOOK_DISABLED, workspace.id, True, row.id, webhook_resource(row))
    async with unit_of_work():
        await record_events([event], NOW)
    (found,) = (await list_notifications(owner, PAGE)).items
    assert found.data == {"name": "hooks.cohortlabs.co", "reason": "gone"}
    assert found.subject_id == ids.encode_id(ids.WEBHOOK, row.id)
    assert await kinds(member) == []


async def test_members_are_notified_of_a_removed_sender_and_a_new_member(workspace: Workspace) -> None:
    owner, member = await join(workspace, Role.OWNER), await join(workspace, Role.MEMBER)
    await add_sender(SERVICES, workspace.id, "COHORT")
    await remove_sender(SERVICES, workspace.id, "COHORT")
    user = await User.create(email="eva@cohortlabs.co", name="Eva", password_hash="!")
    async with unit_of_work():
        _, token = await users.invite_member(owner, email="eva@cohortlabs.co", role=Role.ADMIN)
        await users._join(Visitor(services=SERVICES), user.id, "eva@cohortlabs.co", token, SERVICES.clock())
    eva = Context(workspace.id, True, ids.encode_id(ids.USER, user.id), role=Role.ADMIN, services=SERVICES)
    assert await kinds(owner) == ["member_joined", "sender_removed"]
    assert [row.data for row in (await list_notifications(owner, PAGE)).items] == [{"name": "Eva"}, {"name": "COHORT"}]
    assert (await kinds(member), await kinds(eva)) == ([], [])


async def test_the_sandbox_shows_live_s_beside_its_own_and_live_only_its_own(workspace: Workspace) -> None:
    live = await join(workspace, Role.OWNER)
    sandbox = Context(workspace.id, False, live.actor, role=Role.OWNER, services=SERVICES)
    await tell(live)
    await tell(sandbox, NotificationKind.CAMPAIGN_PAUSED)
    assert await kinds(live) == ["credits_low"]
    assert await kinds(sandbox) == ["campaign_paused", "credits_low"]
    assert await mark_notifications_read(live) == 0
    assert await kinds(sandbox, unread=True) == ["campaign_paused"]
    assert await mark_notifications_read(sandbox) == 0


async def test_each_reads_their_own_and_no_others(workspace: Workspace, other_ctx: Context) -> None:
    owner, admin = await join(workspace, Role.OWNER), await join(workspace, Role.ADMIN)
    elsewhere = Context(other_ctx.workspace_id, True, owner.actor, role=Role.OWNER, services=SERVICES)
    for _ in range(3):
        await tell(owner)
    mine = (await list_notifications(owner, PAGE)).items
    assert await mark_notifications_read(admin, [row.id for row in mine]) == 3
    assert await mark_notifications_read(elsewhere, [row.id for row in mine]) == 0
    assert await mark_notifications_read(owner, [mine[1].id, mine[1].id, ids.new_id()]) == 2
    assert [row.id for row in (await list_notifications(owner, PAGE, unread=True)).items] == [mine[0].id, mine[2].id]
    assert await mark_notifications_read(owner, []) == 2
    assert await mark_notifications_read(owner) == 0
    assert len(await kinds(owner, unread=False)) == 3
    assert len(await kinds(admin, unread=True)) == 3
    assert await kinds(elsewhere) == []


async def test_what_is_read_keeps_its_time(workspace: Workspace) -> None:
    owner = await join(workspace, Role.OWNER)
    await tell(owner)
    await mark_notifications_read(owner)
    first = (await Notification.get(user_id=ids.decode_id(ids.USER, owner.actor))).read_at
    await mark_notifications_read(owner)
    assert (await Notification.get(user_id=ids.decode_id(ids.USER, owner.actor))).read_at == first


async def test_too_many_ids_and_keys_are_refused(workspace: Workspace) -> None:
    owner = await join(workspace, Role.OWNER)
    with pytest.raises(InvalidRequest):
        await mark_notifications_read(owner, [ids.new_id()] * 201)
    key = Context(workspace.id, True, ids.encode_id(ids.API_KEY, ids.new_id()), services=SERVICES)
    with pytest.raises(PermissionDenied):
        await list_notifications(key, PAGE)
    with pytest.raises(PermissionDenied):
        await mark_notifications_read(key)
    with pytest.raises(PermissionDenied):
        await notifications.choose_mail(key, [])


async def test_the_newest_are_kept(workspace: Workspace) -> None:
    owner = await join(workspace, Role.OWNER)
    sandbox = Context(workspace.id, False, owner.actor, role=Role.OWNER, services=SERVICES)
    await tell(sandbox)
    user_id = ids.decode_id(ids.USER, owner.actor)
    old = [ids.new_id() for _ in range(MOST_KEPT + 3)]
    await Notification.bulk_create(
        Notification(
            id=id, workspace_id=workspace.id, livemode=True, user_id=user_id, kind="credits_low", created_at=NOW
        )
        for id in old
    )
    await tell(owner, NotificationKind.CAMPAIGN_PAUSED)
    left = await Notification.filter(user_id=user_id, livemode=True).order_by("id")
    assert len(left) == MOST_KEPT
    assert left[-1].kind == "campaign_paused"
    assert [row.id for row in left[:-1]] == old[-(MOST_KEPT - 1) :]
    assert await Notification.filter(user_id=user_id, livemode=False).count() == 1


async def test_mail_goes_to_users_who_chose_it_or_have_the_role(workspace: Workspace) -> None:
    owner = await join(workspace, Role.OWNER)
    await join(workspace, Role.ADMIN, mailed=[])
    chose = await join(workspace, Role.MEMBER, mailed=["credits_low"])
    await join(workspace, Role.MEMBER)
    unconfirmed = await join(workspace, Role.OWNER)
    await User.filter(id=ids.decode_id(ids.USER, unconfirmed.actor)).update(email=None)
    await tell(owner, count=7)
    mailed = {ids.encode_id(ids.USER, (await User.get(email=mail.recipient)).id) for mail in await Mail.all()}
    assert mailed == {owner.actor, chose.actor}
    await tell(Context(workspace.id, False, services=SERVICES))
    assert await Mail.all().count() == 2


@pytest.mark.parametrize("language", ["en", "pt-BR", "es"])
@pytest.mark.parametrize("kind", [kind for kind in NotificationKind if kind is not NotificationKind.NEW_DEVICE])
async def test_every_kind_has_a_letter(kind: NotificationKind, language: str, workspace: Workspace) -> None:
    owner = await join(workspace, Role.OWNER, mailed=[kind.value])
    user_id = ids.decode_id(ids.USER, owner.actor)
    await User.filter(id=user_id).update(language=language)
    await tell(owner, kind, name="Cart {close}", reason="daily_cap", count=7)
    (mail,) = await claim_mails(NOW + timedelta(seconds=1), limit=9)
    letter = await write_mail(SERVICES, mail)
    assert letter is not None
    assert "/dashboard/notifications" in letter.text
    assert "{" not in letter.text.replace("Cart {close}", "")
    assert any(word in letter.text for word in ("Cart {close}", "Cohort Labs"))
    await mark_notifications_read(owner)
    assert await write_mail(SERVICES, mail) is None


def test_every_kind_has_its_texts() -> None:
    assert set(NOTIFICATIONS) == {kind.value for kind in NotificationKind} - {"new_device"}
    assert {frozenset(texts) for texts in NOTIFICATIONS.values()} == {frozenset(LANGUAGES)}


async def test_what_is_chosen(workspace: Workspace) -> None:
    admin, reader = await join(workspace, Role.ADMIN), await join(workspace, Role.READ_ONLY)
    first = {each.kind.value: each.by_mail for each in await notifications.read_mail_choices(admin)}
    assert [kind for kind, by_mail in first.items() if by_mail] == [
        "credits_low", "campaign_paused", "approval_requested", "approval_decided", "list_sync_stopped",
        "webhook_disabled", "sender_removed", "workspace_deleting"]  # fmt: skip
    assert "new_device" not in first
    chosen = await notifications.choose_mail(admin, [NotificationKind.MEMBER_JOINED, NotificationKind.MEMBER_JOINED])
    assert [each.kind.value for each in chosen if each.by_mail] == ["member_joined"]
    assert [each.kind.value for each in await notifications.read_mail_choices(reader)] == [
        "campaign_completed", "campaign_paused", "approval_decided", "workspace_deleting"]  # fmt: skip
    with pytest.raises(InvalidRequest):
        await notifications.choose_mail(admin, [NotificationKind.NEW_DEVICE])


async def test_a_new_device_notifies_in_each_workspace_and_is_read_once(
    workspace: Workspace, other_ctx: Context
) -> None:
    owner = await join(workspace, Role.OWNER)
    user_id = ids.decode_id(ids.USER, owner.actor)
    assert user_id is not None
    await Membership.create(user_id=user_id, workspace_id=other_ctx.workspace_id, role=Role.READ_ONLY)
    other = Context(other_ctx.workspace_id, True, owner.actor, role=Role.READ_ONLY, services=SERVICES)
    user = await User.get(id=user_id)
    for agent in ("Firefox", "Safari"):
        visitor = Visitor("203.0.113.4", user_agent=agent, services=SERVICES)
        await begin_session(visitor, user, password_changed_at=user.password_changed_at)
    assert await kinds(owner) == await kinds(other) == ["new_device"]
    (row,) = (await list_notifications(owner, PAGE)).items
    assert await mark_notifications_read(owner, [row.id]) == 0
    assert await kinds(other, unread=True) == []


async def test_who_has_less_power_now_reads_and_is_mailed_less(workspace: Workspace) -> None:
    admin = await join(workspace, Role.ADMIN, mailed=[NotificationKind.WEBHOOK_DISABLED.value])
    for kind in (NotificationKind.CAMPAIGN_COMPLETED, NotificationKind.WEBHOOK_DISABLED, NotificationKind.CREDITS_LOW):
        await tell(admin, kind)
    (mail,) = await claim_mails(NOW + timedelta(seconds=1), limit=9)
    assert await write_mail(SERVICES, mail) is not None
    user_id = ids.decode_id(ids.USER, admin.actor)
    await Membership.filter(user_id=user_id).update(role=Role.READ_ONLY)
    reader = replace(admin, role=Role.READ_ONLY)
    assert await kinds(reader) == ["campaign_completed"]
    assert await write_mail(SERVICES, mail) is None
    assert await mark_notifications_read(reader) == 0
    unread = await Notification.filter(user_id=user_id, read_at=None)
    assert sorted(row.kind for row in unread) == ["credits_low", "webhook_disabled"]
    await Membership.filter(user_id=user_id).update(role=Role.ADMIN)
    assert len(await kinds(admin)) == 3
    assert await write_mail(SERVICES, mail) is not None


async def test_who_is_removed_keeps_none(workspace: Workspace) -> None:
    owner, member = await join(workspace, Role.OWNER), await join(workspace, Role.MEMBER)
    await tell(owner)
    user_id = ids.decode_id(ids.USER, member.actor)
    assert isinstance(user_id, UUID)
    async with unit_of_work():
        await users.remove_member(owner, user_id)
    assert await Notification.filter(user_id=user_id).count() == 0
    assert await kinds(owner) == ["credits_low"]
    with pytest.raises(NotFound):
        await users.get_member(owner, user_id)


@pytest.mark.parametrize(
    ("type", "status", "reason", "told"),
    [
        ("campaign.paused", "paused", "insufficient_credits", ["campaign_paused"]),
        ("campaign.paused", "paused", "daily_cap", ["campaign_paused"]),
        ("campaign.paused", "paused", "manual", []),
        ("campaign.completed", "completed", None, ["campaign_completed"]),
        ("campaign.completed", "canceled", None, []),
        ("campaign.started", "preparing", None, []),
    ],
)
async def test_a_campaign_notifies_members_of_its_outcome(
    type: str, status: str, reason: str | None, told: list[str], workspace: Workspace
) -> None:
    owner = await join(workspace, Role.READ_ONLY, livemode=False)
    row = await Campaign.create(
        workspace_id=workspace.id,
        livemode=False,
        name="Cart close",
        body="Hey",
        sender="MASSIVESMS",
        audience={},
        status=status,
        pause_reason=reason,
    )
    stats = (await campaign_stats([row.id]))[row.id]
    event = NewEvent(EventType(type), workspace.id, False, row.id, campaign_resource(row, stats))
    async with unit_of_work():
        await record_events([event], NOW)
    assert await kinds(owner) == told
