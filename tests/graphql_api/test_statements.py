"""The operations that need a browser, or answer more than once, take a fixed number of SQL statements as well."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.applications import Starlette

from msvs.api import ids
from msvs.api.accounts import users
from msvs.api.accounts.login_sessions import SESSION, open_session
from msvs.api.accounts.tokens import TokenPurpose, make_token
from msvs.api.campaigns import campaigns
from msvs.api.contacts import import_jobs
from msvs.api.context import Context, Visitor
from msvs.api.inbound import replies
from msvs.api.limits import Limiter
from msvs.api.messages import export_jobs
from msvs.api.messages.export_requests import CreateExport
from msvs.api.unit_of_work import unit_of_work
from msvs.graphql import live
from msvs.graphql.context import RequestContext
from msvs.graphql.documents import Documents
from msvs.graphql.live import Feed
from msvs.graphql.operations import Operation
from msvs.graphql.schema import schema
from msvs.graphql.streams import results
from msvs.models import ListSync, Role, Session, SyncStatus, SyncTrigger, User, Workspace
from tests import factories
from tests.graphql_api.browser import PASSWORD, Browser, document, make_user
from tests.graphql_api.operations import RUN_ELSEWHERE, SECOND_STEPS
from tests.graphql_api.test_live import ping
from tests.graphql_api.test_operations import statements
from tests.services import SERVICES

PATIENCE = 20.0
NEW = {"email": "eva@cohortlabs.co", "password": PASSWORD, "name": "Eva", "workspaceName": "Cohort 07"}


@dataclass(frozen=True)
class Scene:
    """A user, another who is invited, and the invitation's token."""

    rosa: User
    luis: User
    token: str
    link: str
    reset: str
    other: str
    workspace: str


@dataclass(frozen=True)
class Ask:
    """A document that people run: who has logged in, its variables and how many statements the request takes.

    `code` is that of the error it answers, if it does.

    Where somebody has logged in, one of the statements finds out who is asking.
    """

    name: str
    statements: int
    variables: Callable[[Scene], dict[str, Any]] = lambda scene: {}
    email: Callable[[Scene], str | None] = lambda scene: scene.rosa.email
    code: str | None = None


ASKED = [
    Ask("SignUp", 11, lambda scene: {"input": NEW}, lambda scene: None),
    Ask("LogIn", 14, lambda scene: {"email": scene.rosa.email, "password": PASSWORD}, lambda scene: None),
    Ask("AuthenticationLog", 2, lambda scene: {"first": 5}),
    Ask("RequestPasswordReset", 2, lambda scene: {"email": scene.rosa.email}, lambda scene: None),
    Ask("ResendConfirmation", 2),
    Ask("ConfirmEmail", 6, lambda scene: {"token": scene.link}, lambda scene: None),
    Ask(
        "ResetPassword",
        10,
        lambda scene: {"token": scene.reset, "password": "an entirely new password"},
        lambda scene: None,
    ),
    Ask("Sessions", 2),
    Ask("EndSession", 3, lambda scene: {"id": scene.other}),
    Ask("Viewer", 1),
    Ask("LogOut", 2),
    Ask("ChangePassword", 15, lambda scene: {"currentPassword": PASSWORD, "password": "an entirely new password"}),
    Ask("CreateWorkspace", 8, lambda scene: {"name": "Cohort 08"}),
    Ask(
        "TransferOwnership",
        7,
        lambda scene: {"userId": ids.encode_id(ids.USER, scene.luis.id), "currentPassword": PASSWORD},
        code="resource_missing",
    ),
    Ask("DeleteWorkspace", 15, lambda scene: {"name": "Cohort Labs", "currentPassword": PASSWORD}),
    Ask(
        "CancelWorkspaceDeletion",
        8,
        lambda scene: {"workspaceId": scene.workspace, "currentPassword": PASSWORD},
        code="workspace_not_deleting",
    ),
    Ask("LeaveWorkspace", 2, lambda scene: {"workspaceId": scene.workspace}, code="last_owner"),
    Ask("UpdateProfile", 2, lambda scene: {"name": "Rosa Lima"}),
    Ask("ChangeEmail", 12, lambda scene: {"email": "rosa@elsewhere.example", "currentPassword": PASSWORD}),
    Ask("InvitationPreview", 1, lambda scene: {"token": scene.token}, lambda scene: None),
    Ask("AcceptInvitation", 10, lambda scene: {"token": scene.token}, lambda scene: scene.luis.email),
]
FOLLOWED = (
    *("CampaignProgress", "EventTail", "ExportProgress", "ImportProgress", "ListSyncProgress"),
    *("NewNotifications", "NewReplies"),
)


@pytest.fixture
async def scene(ctx: Context, workspace: Workspace) -> Scene:
    """The workspace's owner, and one whom they invited."""
    rosa = await make_user("rosa@cohortlabs.co", (workspace, Role.OWNER))
    luis = await make_user("luis@cohortlabs.co")
    owner = Context(ctx.workspace_id, False, ids.encode_id(ids.USER, rosa.id), role=Role.OWNER, services=SERVICES)
    async with unit_of_work():
        _, token = await users.invite_member(owner, email=str(luis.email), role=Role.MEMBER)
    bea = await User.create(email=None, pending_email="bea@cohortlabs.co", name="Bea", password_hash="!")
    link = await make_token(SERVICES, TokenPurpose.CONFIRM_EMAIL, bea.id, email="bea@cohortlabs.co")
    reset = await make_token(SERVICES, TokenPurpose.RESET_PASSWORD, rosa.id, email=str(rosa.email))
    await open_session(Visitor("198.51.100.7", services=SERVICES), rosa.id)
    other = ids.encode_id(SESSION, (await Session.get(user_id=rosa.id)).id)
    return Scene(rosa, luis, token, link, reset, other, ids.encode_id(ids.WORKSPACE, workspace.id))


def test_every_other_document_is_counted() -> None:
    assert sorted([*(ask.name for ask in ASKED), *FOLLOWED, *SECOND_STEPS]) == sorted(RUN_ELSEWHERE)


@pytest.mark.parametrize("ask", ASKED, ids=lambda ask: ask.name)
async def test_what_people_ask(ask: Ask, app: Starlette, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Browser(app)
    email = ask.email(scene)
    if email is not None:
        await browser.log_in(email)
    with statements(monkeypatch) as run:
        (answer,) = (await browser.run(document(ask.name), ask.variables(scene))).values()
    await browser.http.aclose()
    assert (answer.get("code") if isinstance(answer, dict) else None) == ask.code
    assert len(run) == ask.statements, "\n".join(run)


# Subscriptions: the statements of beginning one, and of telling what a poll found


class Followed:
    """A subscription whose poller is the test."""

    def __init__(self, operation: Operation, ctx: Context) -> None:
        self.feed = Feed()
        # Set once what happens from then on is told.
        self.begun = asyncio.Event()
        self.feed.keep_polling = self.begun.set  # type: ignore[method-assign]
        self._stream = results(operation, RequestContext(ctx, Limiter(None), self.feed))
        self._next: asyncio.Task[dict[str, Any]] | None = None

    def ask(self) -> None:
        """Wait for the next item, in the background."""
        self._next = asyncio.ensure_future(anext(self._stream))

    async def item(self) -> Any:
        """What the next item holds."""
        if self._next is None:
            self.ask()
        assert self._next is not None
        answer = await asyncio.wait_for(self._next, PATIENCE)
        self._next = None
        assert "errors" not in answer, answer
        (value,) = answer["data"].values()
        return value

    async def close(self) -> None:
        """End it."""
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)
        await self._stream.aclose()


@asynccontextmanager
async def following(ctx: Context, name: str, variables: dict[str, Any]) -> AsyncIterator[Followed]:
    """A subscription of docs/graphql that nobody polls."""
    text = document(name)
    read = Documents(schema._schema, introspection=False).read(text)
    followed = Followed(Operation(text, read, read.operation(None), variables), ctx)
    try:
        yield followed
    finally:
        await followed.close()


async def reply(ctx: Context, *texts: str) -> None:
    async with unit_of_work():
        for text in texts:
            await replies.receive_inbound(
                ctx, from_phone="+12125550101", to_sender="MASSIVESMS", text=text, dedupe_key=text
            )


@pytest.mark.parametrize(
    ("name", "happen", "of_an_item"),
    [("EventTail", ping, 0), ("NewReplies", reply, 1)],
)
async def test_what_is_told_as_it_happens(
    name: str,
    happen: Callable[..., Awaitable[None]],
    of_an_item: int,
    ctx: Context,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with following(ctx, name, {"types": ["TEST_PING"]} if name == "EventTail" else {}) as followed:
        with statements(monkeypatch) as run:
            followed.ask()
            await asyncio.wait_for(followed.begun.wait(), PATIENCE)
        assert len(run) == 1, "\n".join(run)
        for texts in (["one"], ["two", "three", "four"]):
            await happen(ctx, *texts)
            with statements(monkeypatch) as run:
                await followed.feed.poll()
                for _ in texts:
                    await followed.item()
            # The ids and the rows, however many, and what each item asks for besides.
            assert len(run) == 2 + of_an_item * len(texts), "\n".join(run)
            followed.ask()
        with statements(monkeypatch) as run:
            await followed.feed.poll()
        assert len(run) == 1, "\n".join(run)


async def test_an_import_that_is_followed(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "POLL_SECONDS", 0)
    async with unit_of_work():
        row = await import_jobs.import_file(
            ctx, io.BytesIO(b"phone\n+12125550123\n"), "people.csv", import_jobs.ImportOptions()
        )
    async with following(ctx, "ImportProgress", {"id": ids.encode_id(ids.IMPORT, row.id)}) as followed:
        with statements(monkeypatch) as run:
            assert (await followed.item())["status"] == "QUEUED"
        assert len(run) == 1, "\n".join(run)
        async with unit_of_work():
            await import_jobs.cancel_import(ctx, row.id)
        with statements(monkeypatch) as run:
            assert (await followed.item())["status"] == "CANCELED"
        assert len(run) == 1, "\n".join(run)


async def test_an_export_that_is_followed(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "POLL_SECONDS", 0)
    async with unit_of_work():
        row = await export_jobs.create_export(ctx, CreateExport(kind="contacts"))
    async with following(ctx, "ExportProgress", {"id": ids.encode_id(ids.EXPORT, row.id)}) as followed:
        with statements(monkeypatch) as run:
            assert (await followed.item())["status"] == "QUEUED"
        assert len(run) == 1, "\n".join(run)
        async with unit_of_work():
            await export_jobs.cancel_export(ctx, row.id)
        with statements(monkeypatch) as run:
            assert (await followed.item())["status"] == "CANCELED"
        assert len(run) == 1, "\n".join(run)


async def test_a_sync_that_is_followed(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "POLL_SECONDS", 0)
    contact_list = await factories.make_list(ctx)
    row = await ListSync.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        source_id=ids.new_id(),
        list_id=contact_list.id,
        trigger=SyncTrigger.MANUAL,
        due_at=datetime.now(UTC),
    )
    async with following(ctx, "ListSyncProgress", {"id": ids.encode_id(ids.LIST_SYNC, row.id)}) as followed:
        with statements(monkeypatch) as run:
            assert (await followed.item())["status"] == "QUEUED"
        assert len(run) == 1, "\n".join(run)
        row.status = SyncStatus.COMPLETED
        await row.save()
        with statements(monkeypatch) as run:
            assert (await followed.item())["status"] == "COMPLETED"
        assert len(run) == 1, "\n".join(run)


async def test_a_campaign_that_is_followed(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    contact_list = await factories.make_list(ctx, [await factories.make_contact(ctx)])
    later = datetime.now(UTC) + timedelta(days=1)
    async with unit_of_work():
        row = await campaigns.create_campaign(
            ctx, campaigns.CreateCampaign(name="C", body="Hey", list_ids=[contact_list.id], scheduled_at=later)
        )
    async with following(ctx, "CampaignProgress", {"id": ids.encode_id(ids.CAMPAIGN, row.id)}) as followed:
        with statements(monkeypatch) as run:
            assert (await followed.item())["status"] == "SCHEDULED"
        assert len(run) == 3, "\n".join(run)
        async with unit_of_work():
            await campaigns.pause_campaign(ctx, row.id)
        followed.ask()
        with statements(monkeypatch) as run:
            await followed.feed.poll()
            assert (await followed.item())["pauseReason"] == "manual"
        assert len(run) == 2, "\n".join(run)
