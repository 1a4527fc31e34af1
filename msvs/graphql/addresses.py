"""The current user's addresses, forgotten passwords and authentication log."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.accounts import addresses, authentication_log, login_sessions, users
from msvs.api.unit_of_work import unit_of_work
from msvs.graphql.accounts import Accepted, Session, for_people
from msvs.graphql.confirmations import Code, CurrentPassword, PasskeyGiven, confirm
from msvs.graphql.connections import After, Before, First, Last, read_page
from msvs.graphql.context import Info, RequestContext, user_of
from msvs.graphql.errors import InvalidRequestError, NotFoundError, PermissionRefusedError, RateLimitError
from msvs.graphql.fields import field, mutation
from msvs.graphql.shapes import from_row
from msvs.models import AuthenticationEntry as EntryRow


@strawberry.type(description="An entry of the user's sign-in and security log.")
class AuthenticationEntry:
    id: ID = strawberry.field(description="The id of the entry.")
    action: str = strawberry.field(description="What happened, such as `logged_in`, `login_refused` or `totp_added`.")
    network: str | None = strawberry.field(description="The network of the request; null if unknown.")
    device: str | None = strawberry.field(description="The browser, as it identified itself; null if it did not.")
    created_at: datetime = strawberry.field(description="When it happened.")

    @classmethod
    def from_entry(cls, row: EntryRow) -> AuthenticationEntry:
        """Return the type of a row."""
        return from_row(cls, row, id=ID(ids.encode_id(authentication_log.AUTHENTICATION_ENTRY, row.id)))


ConfirmEmailResult = Annotated[
    Accepted | NotFoundError | PermissionRefusedError,
    strawberry.union("ConfirmEmailResult", description="Confirmation that the address is now confirmed, or an error."),
]
ResendConfirmationResult = Annotated[
    Accepted | RateLimitError | PermissionRefusedError,
    strawberry.union("ResendConfirmationResult", description="Confirms that the link is sent again, or an error."),
]
RequestPasswordResetResult = Annotated[
    Accepted | InvalidRequestError | RateLimitError | PermissionRefusedError,
    strawberry.union(
        "RequestPasswordResetResult",
        description="Confirms that a link is sent if a user has the address, or why not; not whether one has.",
    ),
]
ResetPasswordResult = Annotated[
    Accepted | InvalidRequestError | NotFoundError | PermissionRefusedError,
    strawberry.union("ResetPasswordResult", description="Confirms that the password is set, or an error."),
]

UpdateProfileResult = Annotated[
    Session | InvalidRequestError | PermissionRefusedError,
    strawberry.union("UpdateProfileResult", description="The updated session, or an error."),
]
ChangeEmailResult = Annotated[
    Session | InvalidRequestError | RateLimitError | PermissionRefusedError,
    strawberry.union("ChangeEmailResult", description="The session, with the unconfirmed address, or an error."),
]

CreateWorkspaceResult = Annotated[
    Session | InvalidRequestError | RateLimitError | PermissionRefusedError,
    strawberry.union(
        "CreateWorkspaceResult", description="The session with the new workspace as the last membership, or an error."
    ),
]

LinkToken = Annotated[str, strawberry.argument(description="The part of the link after `#`.")]


@strawberry.type
class AddressQuery:
    @field("The sign-in and security log of the current user, newest first.")
    async def authentication_log(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> list[AuthenticationEntry]:
        identity = user_of(info.context)
        page = read_page(authentication_log.AUTHENTICATION_ENTRY, first, after, last, before)
        found = await authentication_log.read_authentication_log(identity.user_id, page)
        return [AuthenticationEntry.from_entry(row) for row in found.items]


@strawberry.type
class AddressMutation:
    @mutation(ConfirmEmailResult, "Confirm the address that a link was sent to. Needs no login.")
    async def confirm_email(self, info: Info, token: LinkToken) -> object:
        async def confirm(request: RequestContext) -> Accepted:
            async with unit_of_work():
                await addresses.confirm_email(request.caller.visitor, token)
            return Accepted(accepted=True)

        return await for_people(info, confirm)

    @mutation(UpdateProfileResult, "Change the name of the current user or the language of their e-mail.")
    async def update_profile(
        self,
        info: Info,
        name: Annotated[str | None, strawberry.argument(description="The name; null to keep it.")] = None,
        language: Annotated[
            str | None, strawberry.argument(description="The language of mail: en, pt-BR or es; null to keep it.")
        ] = None,
    ) -> object:
        async def update(request: RequestContext) -> Session:
            async with unit_of_work():
                identity = await users.update_profile(user_of(request), name=name, language=language)
            return Session.from_identity(identity)

        return await for_people(info, update)

    @mutation(
        ChangeEmailResult,
        "Change the e-mail address of the current user: a link is sent to the new address, which takes effect when the"
        " link is opened. A user with a second factor gives a code or a passkey too. The old address is notified; give"
        " the old address again to cancel the change.",
    )
    async def change_email(
        self,
        info: Info,
        email: Annotated[str, strawberry.argument(description="The other address.")],
        current_password: CurrentPassword,
        code: Code = None,
        passkey: PasskeyGiven = None,
    ) -> object:
        async def change(request: RequestContext) -> Session:
            visitor, identity = request.caller.visitor, user_of(request)
            # Before the code is used up: a slip in the address is no reason to wait for the next one.
            addresses.read_address(email)
            confirmation = await confirm(request, current_password, code, passkey)
            await addresses.limit_mails(visitor, email, "confirmation")
            async with unit_of_work():
                waiting = await addresses.change_email(visitor, confirmation, email)
            return Session.from_identity(replace(identity, pending_email=waiting))

        return await for_people(info, change)

    @mutation(CreateWorkspaceResult, "Create another workspace, owned by the current user.")
    async def create_workspace(
        self, info: Info, name: Annotated[str, strawberry.argument(description="Its name, 1 to 100 characters.")]
    ) -> object:
        async def make(request: RequestContext) -> Session:
            visitor, identity = request.caller.visitor, user_of(request)
            await login_sessions.limit_sign_ups(visitor)
            async with unit_of_work():
                return Session.from_identity(await users.create_own_workspace(visitor, identity, name))

        return await for_people(info, make)

    @mutation(ResendConfirmationResult, "Send the confirmation link of the current user's address again.")
    async def resend_confirmation(self, info: Info) -> object:
        async def resend(request: RequestContext) -> Accepted:
            visitor, identity = request.caller.visitor, user_of(request)
            await addresses.limit_mails(visitor, identity.email, "confirmation")
            async with unit_of_work():
                await addresses.resend_confirmation(visitor, identity)
            return Accepted(accepted=True)

        return await for_people(info, resend)

    @mutation(
        RequestPasswordResetResult,
        "Send a link to an address, to set a new password. The answer is the same whether or not a user has the"
        " address. Needs no login.",
    )
    async def request_password_reset(
        self, info: Info, email: Annotated[str, strawberry.argument(description="The e-mail address.")]
    ) -> object:
        async def ask(request: RequestContext) -> Accepted:
            visitor = request.caller.visitor
            await addresses.limit_mails(visitor, email, "reset")
            async with unit_of_work():
                await addresses.request_password_reset(visitor, email)
            return Accepted(accepted=True)

        return await for_people(info, ask)

    @mutation(
        ResetPasswordResult,
        "Set a new password with the link that was sent. All sessions of the user end; the link works once."
        " Needs no login.",
    )
    async def reset_password(
        self,
        info: Info,
        token: LinkToken,
        password: Annotated[str, strawberry.argument(description="The new password, 10 to 256 characters.")],
    ) -> object:
        async def reset(request: RequestContext) -> Accepted:
            async with unit_of_work():
                await addresses.reset_password(request.caller.visitor, token, password)
            return Accepted(accepted=True)

        return await for_people(info, reset)
