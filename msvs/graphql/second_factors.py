"""The current user's second factors, and logging in with one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.accounts import login_sessions, passkeys, second_factors
from msvs.api.unit_of_work import unit_of_work
from msvs.graphql.accounts import Accepted, Session, begin, for_people
from msvs.graphql.confirmations import Code, CurrentPassword, PasskeyGiven, confirm
from msvs.graphql.context import Info, RequestContext, user_of
from msvs.graphql.errors import (
    AuthenticationError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PermissionRefusedError,
    RateLimitError,
)
from msvs.graphql.fields import field, mutation
from msvs.graphql.shapes import from_row
from msvs.models.rows import PasskeyRow


@strawberry.type(description="The secret of an authenticator app; shown only once.")
class TotpSecret:
    secret: str = strawberry.field(description="The secret, in base32, to type in.")
    uri: str = strawberry.field(description="The secret as an otpauth URI, for a QR code.")


@strawberry.type(description="Recovery codes, each of which replaces a second factor once; shown only once.")
class RecoveryCodes:
    codes: list[str] = strawberry.field(description="Ten codes. Earlier codes no longer work.")


@strawberry.type(description="A passkey challenge for the browser.")
class PasskeyChallenge:
    token: str = strawberry.field(description="The token to send with the browser's answer. It works once.")
    options: str = strawberry.field(
        description="JSON for `PublicKeyCredential.parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON`."
    )


@strawberry.type(description="A passkey of a user.")
class Passkey:
    id: ID = strawberry.field(description="The id of the passkey.")
    name: str = strawberry.field(description="The name.")
    is_backed_up: bool = strawberry.field(description="Whether it is synchronized to more than one device.")
    created_at: datetime = strawberry.field(description="When it was created.")
    last_used_at: datetime | None = strawberry.field(description="When it was last used; null if never.")

    @classmethod
    def from_row(cls, row: PasskeyRow) -> Passkey:
        """Return the type of a row."""
        return from_row(cls, row, id=ID(ids.encode_id(passkeys.PASSKEY, row.id)))


@strawberry.type(description="A new passkey.")
class PasskeyAdded:
    passkey: Passkey = strawberry.field(description="The passkey.")
    recovery_codes: list[str] = strawberry.field(
        description="Recovery codes, shown only once, for the user's first second factor; otherwise empty."
    )


@strawberry.type(description="The second factors of the current user.")
class SecondFactors:
    has_totp: bool = strawberry.field(description="Whether an authenticator app is set up.")
    recovery_codes_left: int = strawberry.field(description="The number of unused recovery codes.")
    passkeys: list[Passkey] = strawberry.field(description="The passkeys, the oldest first.")


BeginTotpResult = Annotated[
    TotpSecret | InvalidRequestError | ConflictError | RateLimitError | PermissionRefusedError,
    strawberry.union("BeginTotpResult", description="The secret for the authenticator app, or an error."),
]
RecoveryCodesResult = Annotated[
    RecoveryCodes | InvalidRequestError | ConflictError | RateLimitError | PermissionRefusedError,
    strawberry.union("RecoveryCodesResult", description="The recovery codes, or an error."),
]
RemoveSecondFactorResult = Annotated[
    Accepted | InvalidRequestError | NotFoundError | RateLimitError | PermissionRefusedError,
    strawberry.union(
        "RemoveSecondFactorResult", description="Confirmation that the second factor was deleted, or an error."
    ),
]
BeginPasskeyResult = Annotated[
    PasskeyChallenge | InvalidRequestError | AuthenticationError | RateLimitError | PermissionRefusedError,
    strawberry.union("BeginPasskeyResult", description="The challenge for the browser, or an error."),
]
AddPasskeyResult = Annotated[
    PasskeyAdded | InvalidRequestError | ConflictError | PermissionRefusedError,
    strawberry.union("AddPasskeyResult", description="The passkey, or an error."),
]
RenamePasskeyResult = Annotated[
    Passkey | InvalidRequestError | NotFoundError | PermissionRefusedError,
    strawberry.union("RenamePasskeyResult", description="The updated passkey, or an error."),
]
SecondStepResult = Annotated[
    Session | AuthenticationError | RateLimitError | PermissionRefusedError,
    strawberry.union("SecondStepResult", description="The session, or an error."),
]
RequireSecondFactorResult = Annotated[
    Accepted | PermissionRefusedError,
    strawberry.union(
        "RequireSecondFactorResult", description="Confirmation that the setting was changed, or an error."
    ),
]


@strawberry.type
class SecondFactorQuery:
    @field("The second factors of the current user.")
    async def second_factors(self, info: Info) -> SecondFactors:
        identity = user_of(info.context)
        has_totp, left = await second_factors.count_factors(identity.user_id)
        found = [Passkey.from_row(row) for row in await passkeys.list_passkeys(identity)]
        return SecondFactors(has_totp=has_totp, recovery_codes_left=left, passkeys=found)


@strawberry.type
class SecondFactorMutation:
    @mutation(BeginTotpResult, "Start to set up an authenticator app. It takes effect after `confirmTotp`.")
    async def begin_totp(
        self, info: Info, current_password: CurrentPassword, code: Code = None, passkey: PasskeyGiven = None
    ) -> object:
        async def begin_(request: RequestContext) -> TotpSecret:
            confirmation = await confirm(request, current_password, code, passkey)
            async with unit_of_work():
                secret, uri = await second_factors.begin_totp(request.caller.visitor, confirmation)
            return TotpSecret(secret=secret, uri=uri)

        return await for_people(info, begin_)

    @mutation(RecoveryCodesResult, "Finish setting up an authenticator app. Ends the user's other sessions.")
    async def confirm_totp(
        self, info: Info, code: Annotated[str, strawberry.argument(description="The code that the app shows.")]
    ) -> object:
        async def finish(request: RequestContext) -> RecoveryCodes:
            visitor, identity = request.caller.visitor, user_of(request)
            await second_factors.limit_codes(visitor, identity.user_id)
            async with unit_of_work():
                codes = await second_factors.confirm_totp(visitor, identity, code)
            return RecoveryCodes(codes=list(codes))

        return await for_people(info, finish)

    @mutation(RemoveSecondFactorResult, "Remove the authenticator app.")
    async def remove_totp(
        self, info: Info, current_password: CurrentPassword, code: Code = None, passkey: PasskeyGiven = None
    ) -> object:
        async def remove(request: RequestContext) -> Accepted:
            confirmation = await confirm(request, current_password, code, passkey)
            async with unit_of_work():
                await second_factors.remove_totp(request.caller.visitor, confirmation)
            return Accepted(accepted=True)

        return await for_people(info, remove)

    @mutation(RecoveryCodesResult, "Replace the recovery codes.")
    async def make_recovery_codes(
        self, info: Info, current_password: CurrentPassword, code: Code = None, passkey: PasskeyGiven = None
    ) -> object:
        async def make(request: RequestContext) -> RecoveryCodes:
            confirmation = await confirm(request, current_password, code, passkey)
            async with unit_of_work():
                codes = await second_factors.make_recovery_codes(request.caller.visitor, confirmation)
            return RecoveryCodes(codes=list(codes))

        return await for_people(info, make)

    @mutation(BeginPasskeyResult, "Start to create a passkey.")
    async def begin_passkey(
        self, info: Info, current_password: CurrentPassword, code: Code = None, passkey: PasskeyGiven = None
    ) -> object:
        async def begin_(request: RequestContext) -> PasskeyChallenge:
            confirmation = await confirm(request, current_password, code, passkey)
            async with unit_of_work():
                token, options = await passkeys.begin_passkey(request.caller.visitor, confirmation)
            return PasskeyChallenge(token=token, options=options)

        return await for_people(info, begin_)

    @mutation(AddPasskeyResult, "Save the passkey that the browser created.")
    async def add_passkey(
        self,
        info: Info,
        token: Annotated[str, strawberry.argument(description="The token of `beginPasskey`.")],
        credential: Annotated[str, strawberry.argument(description="The browser's answer, as JSON.")],
        name: Annotated[str, strawberry.argument(description="The name, at most 100 characters.")],
    ) -> object:
        async def add(request: RequestContext) -> PasskeyAdded:
            visitor, identity = request.caller.visitor, user_of(request)
            async with unit_of_work():
                row, codes = await passkeys.add_passkey(visitor, identity, token, credential, name=name)
            return PasskeyAdded(passkey=Passkey.from_row(row), recovery_codes=list(codes))

        return await for_people(info, add)

    @mutation(RenamePasskeyResult, "Rename a passkey.")
    async def rename_passkey(
        self,
        info: Info,
        id: Annotated[ID, strawberry.argument(description="The passkey's id.")],
        name: Annotated[str, strawberry.argument(description="The name.")],
    ) -> object:
        async def rename(request: RequestContext) -> Passkey:
            found = ids.find_id(passkeys.PASSKEY, id, "passkey")
            return Passkey.from_row(await passkeys.rename_passkey(user_of(request), found, name))

        return await for_people(info, rename)

    @mutation(RemoveSecondFactorResult, "Remove a passkey.")
    async def remove_passkey(
        self,
        info: Info,
        id: Annotated[ID, strawberry.argument(description="The passkey's id.")],
        current_password: CurrentPassword,
        code: Code = None,
        passkey: PasskeyGiven = None,
    ) -> object:
        async def remove(request: RequestContext) -> Accepted:
            found = ids.find_id(passkeys.PASSKEY, id, "passkey")
            confirmation = await confirm(request, current_password, code, passkey)
            async with unit_of_work():
                await passkeys.remove_passkey(request.caller.visitor, confirmation, found)
            return Accepted(accepted=True)

        return await for_people(info, remove)

    @mutation(SecondStepResult, "Log in with a code of the app or a recovery code, after the password. Needs no login.")
    async def log_in_with_code(
        self,
        info: Info,
        token: Annotated[str, strawberry.argument(description="The token that `logIn` returned.")],
        code: Annotated[str, strawberry.argument(description="A code of the authenticator app, or a recovery code.")],
    ) -> object:
        async def log_in(request: RequestContext) -> Session:
            return await begin(request, await second_factors.log_in_with_code(request.caller.visitor, token, code))

        return await for_people(info, log_in)

    @mutation(
        BeginPasskeyResult,
        "Start to log in with a passkey: after the password, or instead of address and password. Needs no login.",
    )
    async def begin_passkey_login(
        self,
        info: Info,
        token: Annotated[
            str | None,
            strawberry.argument(description="The token that `logIn` returned; null to log in without a password."),
        ] = None,
    ) -> object:
        async def begin_(request: RequestContext) -> PasskeyChallenge:
            visitor = request.caller.visitor
            await login_sessions.limit_passkey_logins(visitor)
            made, options = await passkeys.begin_passkey_login(visitor, token)
            return PasskeyChallenge(token=made, options=options)

        return await for_people(info, begin_)

    @mutation(
        BeginPasskeyResult,
        "Start to confirm an action, such as deleting a workspace, with a passkey of the current user.",
    )
    async def begin_passkey_confirmation(self, info: Info) -> object:
        async def begin_(request: RequestContext) -> PasskeyChallenge:
            visitor, identity = request.caller.visitor, user_of(request)
            await login_sessions.limit_passkey_logins(visitor)
            made, options = await passkeys.begin_passkey_confirmation(visitor, identity)
            return PasskeyChallenge(token=made, options=options)

        return await for_people(info, begin_)

    @mutation(SecondStepResult, "Log in with a passkey. Needs no login.")
    async def log_in_with_passkey(
        self,
        info: Info,
        token: Annotated[str, strawberry.argument(description="The token of `beginPasskeyLogin`.")],
        credential: Annotated[str, strawberry.argument(description="The browser's answer, as JSON.")],
    ) -> object:
        async def log_in(request: RequestContext) -> Session:
            return await begin(request, await passkeys.log_in_with_passkey(request.caller.visitor, token, credential))

        return await for_people(info, log_in)

    @mutation(RequireSecondFactorResult, "Set whether the workspace requires a second factor of its members.")
    async def require_second_factor(
        self, info: Info, required: Annotated[bool, strawberry.argument(description="Whether it is required.")]
    ) -> object:
        async def demand(request: RequestContext) -> Accepted:
            has_one = user_of(request).has_second_factor
            async with unit_of_work():
                await second_factors.demand_second_factor(request.ctx, required, has_second_factor=has_one)
            return Accepted(accepted=True)

        return await for_people(info, demand)
