"""Users and sessions: sign up, log in and out, and the current caller."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.accounts import login_sessions, users, workspaces
from msvs.api.accounts.login_sessions import Identity, OpenedSession
from msvs.api.accounts.passwords import check_password
from msvs.api.errors import ApiError, PermissionDenied
from msvs.api.unit_of_work import unit_of_work
from msvs.graphql.confirmations import Code, CurrentPassword, PasskeyGiven, confirm
from msvs.graphql.context import Info, RequestContext, user_of
from msvs.graphql.errors import (
    AuthenticationError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PermissionRefusedError,
    RateLimitError,
    as_member,
)
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import Deleted
from msvs.graphql.shapes import from_row
from msvs.graphql.workspaces import Workspace
from msvs.models import Role
from msvs.models import Session as SessionRow


@strawberry.type(description="A person who logs in.")
class User:
    id: ID = strawberry.field(description="The user's id.")
    email: str = strawberry.field(description="The e-mail address, in lower case.")
    name: str = strawberry.field(description="The name.")
    is_confirmed: bool = strawberry.field(
        description="Whether the address is confirmed. Until then, live mode and invitations are refused."
    )
    pending_email: str | None = strawberry.field(
        description="A new address that is not confirmed yet; null if there is none."
    )
    has_second_factor: bool = strawberry.field(description="Whether logging in asks for a second factor.")
    language: str | None = strawberry.field(description="The language of mail; null if none was chosen.")
    timezone: str | None = strawberry.field(description="An IANA time zone; null if none was chosen.")

    @classmethod
    def from_identity(cls, identity: Identity) -> User:
        """Return the type of a user who is logged in."""
        return cls(
            id=ID(identity.actor),
            email=identity.email,
            name=identity.name,
            is_confirmed=identity.is_confirmed,
            pending_email=identity.pending_email,
            has_second_factor=identity.has_second_factor,
            language=identity.language,
            timezone=identity.timezone,
        )


@strawberry.type(description="A user's membership in a workspace.")
class Membership:
    workspace_id: ID = strawberry.field(description="The workspace's id, for the header X-Workspace.")
    workspace_name: str = strawberry.field(description="The workspace's name.")
    role: Role = strawberry.field(description="The user's role there.")
    requires_second_factor: bool = strawberry.field(description="Whether the workspace requires a second factor.")
    is_suspended: bool = strawberry.field(description="Whether an operator has suspended it.")
    deletes_at: datetime | None = strawberry.field(
        description="When its data will be erased; null if no owner asked for the deletion."
    )


@strawberry.type(description="A browser that is logged in. Its token is in a cookie that scripts cannot read.")
class Session:
    user: User = strawberry.field(description="The user who is logged in.")
    memberships: list[Membership] = strawberry.field(description="The user's workspaces, the oldest membership first.")
    csrf_token: str = strawberry.field(description="The token to send with each request in the header X-CSRF-Token.")
    expires_at: datetime = strawberry.field(description="When the session ends; it ends earlier if it is not used.")

    @classmethod
    def from_identity(cls, identity: Identity) -> Session:
        """Return the type of a session."""
        return cls(
            user=User.from_identity(identity),
            memberships=[
                Membership(
                    workspace_id=ID(ids.encode_id(ids.WORKSPACE, each.workspace_id)),
                    workspace_name=each.workspace_name,
                    role=each.role,
                    requires_second_factor=each.requires_second_factor,
                    is_suspended=each.is_suspended,
                    deletes_at=each.deletes_at,
                )
                for each in identity.memberships
            ],
            csrf_token=identity.csrf_token,
            expires_at=identity.expires_at,
        )


@strawberry.type(description="The current caller.")
class Viewer:
    actor: str = strawberry.field(description="The API key's or user's id.")
    livemode: bool = strawberry.field(description="Whether this is live; false in the sandbox.")
    role: Role | None = strawberry.field(
        description="The user's role in the workspace; null for an API key, or if no workspace is named."
    )
    session: Session | None = strawberry.field(description="The user's session; null for an API key.")

    @field("The workspace of the caller.")
    async def workspace(self, info: Info) -> Workspace:
        return Workspace.from_row(await workspaces.get_workspace(info.context.ctx))


@strawberry.type(description="The workspace, role and address of an invitation.")
class InvitationPreview:
    workspace_name: str = strawberry.field(description="The workspace's name.")
    email: str = strawberry.field(description="The invited e-mail address.")
    role: Role = strawberry.field(description="The role in the workspace.")
    expires_at: datetime = strawberry.field(description="The time until which it can be accepted.")


@strawberry.input(description="A new user, with a new workspace or an invitation to an existing one.")
class SignUpInput:
    email: str = strawberry.field(description="The e-mail address to log in with.")
    password: str = strawberry.field(description="10 to 256 characters.")
    name: str = strawberry.field(description="The name, at most 100 characters.")
    workspace_name: str | None = strawberry.field(default=None, description="The name of the new workspace.")
    invitation: str | None = strawberry.field(default=None, description="The token of an invitation to accept.")
    language: str | None = strawberry.field(default=None, description="The language of mail: `en`, `pt-BR` or `es`.")


@strawberry.type(description="A new user, logged in.")
class SignedUp:
    session: Session = strawberry.field(description="The session that was opened.")
    workspace_id: ID = strawberry.field(description="The new workspace, or the one that was joined.")
    test_key: str | None = strawberry.field(
        description="The sandbox key of the new workspace, which is not shown again; null if a workspace was joined."
    )
    live_key: str | None = strawberry.field(
        deprecation_reason="Live keys wait for a confirmed address; make one by `createApiKey`.",
        description="Always null: a live key can be created after the address is confirmed.",
    )


@strawberry.type(description="Confirms that sessions have ended.")
class LoggedOut:
    session_count: int = strawberry.field(description="The number of sessions; 0 if there was none.")


SignUpResult = Annotated[
    SignedUp | InvalidRequestError | NotFoundError | ConflictError | RateLimitError | PermissionRefusedError,
    strawberry.union("SignUpResult", description="The new user, logged in, or an error."),
]


@strawberry.type(description="The password is correct, and a second factor must follow within ten minutes.")
class SecondFactorNeeded:
    token: str = strawberry.field(description="The token for `logInWithCode` or `beginPasskeyLogin`.")
    has_totp: bool = strawberry.field(description="Whether an authenticator app can be used.")
    has_passkey: bool = strawberry.field(description="Whether a passkey can be used.")


@strawberry.type(
    description="Confirms that something was done, or that a mail is sent if there is somebody to send it to."
)
class Accepted:
    accepted: bool = strawberry.field(description="Always true.")


LogInResult = Annotated[
    Session | SecondFactorNeeded | AuthenticationError | RateLimitError | PermissionRefusedError,
    strawberry.union("LogInResult", description="The session, the second step that follows, or an error."),
]
LogOutResult = Annotated[
    LoggedOut | PermissionRefusedError,
    strawberry.union("LogOutResult", description="Confirms that the session has ended, or an error."),
]
EndSessionResult = Annotated[
    Deleted | NotFoundError | PermissionRefusedError,
    strawberry.union("EndSessionResult", description="Confirms that the session has ended, or an error."),
]
ChangePasswordResult = Annotated[
    Session | InvalidRequestError | RateLimitError | PermissionRefusedError,
    strawberry.union("ChangePasswordResult", description="The session under its new token, or an error."),
]
AcceptInvitationResult = Annotated[
    Session | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("AcceptInvitationResult", description="The session with the new membership, or an error."),
]


@strawberry.type(description="A browser in which the user is logged in.")
class LoginSession:
    id: ID = strawberry.field(description="The id of the session.")
    is_current: bool = strawberry.field(description="Whether it is the current session.")
    ip: str | None = strawberry.field(description="The IP address from which it was opened; null if unknown.")
    device: str | None = strawberry.field(description="The browser, as it identified itself; null if unknown.")
    created_at: datetime = strawberry.field(description="When it was opened.")
    last_seen_at: datetime = strawberry.field(description="When it was last used, to the minute.")
    expires_at: datetime = strawberry.field(description="When the session ends; it ends earlier if it is not used.")

    @classmethod
    def from_row(cls, row: SessionRow, identity: Identity) -> LoginSession:
        """Return the type of a row."""
        id = ID(ids.encode_id(login_sessions.SESSION, row.id))
        return from_row(cls, row, id=id, is_current=row.id == identity.session_id)


@strawberry.type
class AccountQuery:
    @field("The current caller. A page that has lost the session's CSRF token can read it here without the header.")
    def viewer(self, info: Info) -> Viewer:
        caller = info.context.caller
        identity = caller.identity or caller.returning
        if identity is None:
            ctx = info.context.ctx
            return Viewer(actor=ctx.actor, livemode=ctx.livemode, role=ctx.role, session=None)
        return Viewer(
            actor=identity.actor,
            livemode=caller.livemode,
            role=None if caller.ctx is None else caller.ctx.role,
            session=Session.from_identity(identity),
        )

    @field("The active sessions of the current user, newest first.")
    async def sessions(self, info: Info) -> list[LoginSession]:
        identity = user_of(info.context)
        found = await login_sessions.list_sessions(info.context.caller.visitor.services, identity)
        return [LoginSession.from_row(row, identity) for row in found]

    @field("A preview of an invitation, by its token; null if it cannot be accepted. Needs no login.")
    async def invitation_preview(
        self, info: Info, token: Annotated[str, strawberry.argument(description="The invitation's token.")]
    ) -> InvitationPreview | None:
        place = await users.find_invitation(info.context.caller.visitor.services, token)
        if place is None:
            return None
        return InvitationPreview(
            workspace_name=place.workspace_name, email=place.email, role=place.role, expires_at=place.expires_at
        )


@strawberry.type
class AccountMutation:
    @mutation(SignUpResult, "Create a user and log them in. Sets the session's token as a cookie. Needs no login.")
    async def sign_up(
        self, info: Info, input: Annotated[SignUpInput, strawberry.argument(description="The user.")]
    ) -> object:
        async def sign_up(request: RequestContext) -> SignedUp:
            visitor = request.caller.visitor
            await login_sessions.limit_sign_ups(visitor)
            place = (input.workspace_name, input.invitation)
            data = users.SignUp(input.email, input.password, input.name, *place, input.language)
            async with unit_of_work():
                made = await users.sign_up(visitor, data)
            return SignedUp(
                session=await begin(request, made.session),
                workspace_id=ID(ids.encode_id(ids.WORKSPACE, made.workspace_id)),
                test_key=made.test_key,
                live_key=None,
            )

        return await for_people(info, sign_up)

    @mutation(
        LogInResult,
        "Open a session, or ask for the second factor. Sets the session's token as a cookie. Needs no login.",
    )
    async def log_in(
        self,
        info: Info,
        email: Annotated[str, strawberry.argument(description="The user's e-mail address.")],
        password: Annotated[str, strawberry.argument(description="The user's password.")],
    ) -> object:
        async def log_in(request: RequestContext) -> Session | SecondFactorNeeded:
            try:
                opened = await login_sessions.log_in(request.caller.visitor, email=email, password=password)
            except login_sessions.SecondFactorNeeded as needed:
                return SecondFactorNeeded(token=needed.token, has_totp=needed.has_totp, has_passkey=needed.has_passkey)
            return await begin(request, opened)

        return await for_people(info, log_in)

    @mutation(LogOutResult, "End the session and clear its cookie. Ending an ended session changes nothing.")
    async def log_out(
        self,
        info: Info,
        everywhere: Annotated[
            bool, strawberry.argument(description="Whether to end all sessions of the user.")
        ] = False,
    ) -> object:
        async def log_out(request: RequestContext) -> LoggedOut:
            identity = request.caller.identity or request.caller.returning
            request.new_session = ""
            return LoggedOut(
                session_count=0 if identity is None else await login_sessions.log_out(identity, everywhere=everywhere)
            )

        return await for_people(info, log_out)

    @mutation(EndSessionResult, "End one of the current user's sessions, such as that of a lost phone.")
    async def end_session(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The session's id.")]
    ) -> object:
        async def end(request: RequestContext) -> Deleted:
            identity = user_of(request)
            async with unit_of_work():
                await login_sessions.end_session(
                    request.caller.visitor, identity, ids.find_id(login_sessions.SESSION, id, "session")
                )
            return Deleted(id=id)

        return await for_people(info, end)

    @mutation(
        ChangePasswordResult,
        "Set a new password. A user with a second factor gives a code or a passkey too. The user's other sessions"
        " end; this one's cookie is set again.",
    )
    async def change_password(
        self,
        info: Info,
        current_password: CurrentPassword,
        password: Annotated[str, strawberry.argument(description="The new password, 10 to 256 characters.")],
        code: Code = None,
        passkey: PasskeyGiven = None,
    ) -> object:
        async def change_password(request: RequestContext) -> Session:
            visitor = request.caller.visitor
            # Before the code is used up: a password that is too weak is no reason to wait for the next one.
            check_password(password, email=user_of(request).email)
            confirmation = await confirm(request, current_password, code, passkey)
            async with unit_of_work():
                opened = await login_sessions.change_password(visitor, confirmation, password)
            return await begin(request, opened)

        return await for_people(info, change_password)

    @mutation(AcceptInvitationResult, "Accept an invitation that was sent to the user's own e-mail address.")
    async def accept_invitation(
        self, info: Info, token: Annotated[str, strawberry.argument(description="The invitation's token.")]
    ) -> object:
        async def accept(request: RequestContext) -> Session:
            identity = user_of(request)
            async with unit_of_work():
                await users.accept_invitation(request.caller.visitor, identity, token)
            return Session.from_identity(await login_sessions.reread_memberships(identity))

        return await for_people(info, accept)


async def for_people(info: Info, operation: Callable[[RequestContext], Awaitable[object]]) -> object:
    """Run what a user or a stranger may do, but no API key; its result or its error."""
    request = info.context
    try:
        if request.caller.ctx is not None and request.caller.identity is None:
            raise PermissionDenied("An API key cannot act for a user: log in for this.")
        return await operation(request)
    except ApiError as error:
        return as_member(info, error)
    finally:
        request.forget()


async def begin(request: RequestContext, opened: OpenedSession) -> Session:
    """Have the browser keep a session that was opened, in place of the one it came with."""
    identity = await login_sessions.authenticate_session(request.caller.visitor.services, opened.token)
    before = request.caller.identity or request.caller.returning
    if before is not None and before.session_id != identity.session_id:
        await login_sessions.log_out(before)
    request.new_session = opened.token
    return Session.from_identity(identity)
