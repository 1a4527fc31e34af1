"""Members and invitations: types, queries and mutations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.accounts import users, workspace_deletion
from msvs.api.accounts.workspace_deletion import GRACE
from msvs.api.errors import NotFound
from msvs.api.permissions import Permission, allow
from msvs.api.unit_of_work import unit_of_work
from msvs.graphql.accounts import Session, for_people
from msvs.graphql.confirmations import Code, CurrentPassword, PasskeyGiven, confirm
from msvs.graphql.context import Info, RequestContext, user_of
from msvs.graphql.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PermissionRefusedError,
    RateLimitError,
    mutate,
)
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import Deleted
from msvs.graphql.keys import ApiKey
from msvs.graphql.lists import ContactList
from msvs.graphql.nodes import Node, register
from msvs.graphql.shapes import from_row
from msvs.graphql.webhooks import Webhook
from msvs.models import Invitation as InvitationRow
from msvs.models import Role


@strawberry.type(description="A member of the workspace. The id is that of the user.")
class Member(Node):
    email: str = strawberry.field(description="The user's e-mail address.")
    name: str = strawberry.field(description="The user's name.")
    role: Role = strawberry.field(description="The role.")
    created_at: datetime = strawberry.field(description="When they became a member.")

    @classmethod
    def from_row(cls, row: users.Member) -> Member:
        """Return the type of a member."""
        return from_row(cls, row, id=ID(ids.encode_id(ids.USER, row.user_id)))


async def _load(info: Info, id: UUID) -> Member | None:
    try:
        return Member.from_row(await users.get_member(info.context.ctx, id))
    except NotFound:
        return None


register(ids.USER, _load)


@strawberry.type(description="An invitation to a workspace.")
class Invitation:
    id: ID = strawberry.field(description="The id of the invitation.")
    email: str = strawberry.field(description="The invited e-mail address.")
    role: Role = strawberry.field(description="The role in the workspace.")
    invited_by: str = strawberry.field(description="The id of the user who sent it.")
    created_at: datetime = strawberry.field(description="When it was sent.")
    expires_at: datetime = strawberry.field(description="The time until which it can be accepted.")
    accepted_at: datetime | None = strawberry.field(description="When it was accepted; null if it was not.")
    revoked_at: datetime | None = strawberry.field(description="When it was revoked; null if it was not.")

    @classmethod
    def from_row(cls, row: InvitationRow) -> Invitation:
        """Return the type of a row."""
        return from_row(cls, row, id=ID(ids.encode_id(users.INVITATION, row.id)))


@strawberry.type(description="An invitation with its token, which is shown only once.")
class InvitationWithToken:
    invitation: Invitation = strawberry.field(description="The invitation.")
    token: str = strawberry.field(
        description="The token with which the invited person signs up. It is not shown again."
    )


@strawberry.type(
    description="What a member made that is still active, in both modes: keys, webhooks, invitations and synced lists."
)
class MemberHoldings:
    api_keys: list[ApiKey] = strawberry.field(description="The keys that they created.")
    webhooks: list[Webhook] = strawberry.field(description="The webhooks that they or those keys created.")
    invitations: list[Invitation] = strawberry.field(description="The invitations that they sent.")
    synced_lists: list[ContactList] = strawberry.field(
        description="The lists that they or those keys connected to a service, and that are not paused."
    )


InviteMemberResult = Annotated[
    InvitationWithToken | InvalidRequestError | ConflictError | PermissionRefusedError,
    strawberry.union("InviteMemberResult", description="The invitation, with its token, or an error."),
]
RevokeInvitationResult = Annotated[
    Invitation | NotFoundError | PermissionRefusedError,
    strawberry.union("RevokeInvitationResult", description="The updated invitation, or an error."),
]
ResendInvitationResult = Annotated[
    Invitation | NotFoundError | PermissionRefusedError,
    strawberry.union("ResendInvitationResult", description="The updated invitation, or an error."),
]
ChangeMemberRoleResult = Annotated[
    Member | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("ChangeMemberRoleResult", description="The updated member, or an error."),
]
RemoveMemberResult = Annotated[
    Deleted | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("RemoveMemberResult", description="Confirms that the member was deleted, or an error."),
]

MemberId = Annotated[ID, strawberry.argument(description="The user's id.")]
EndHoldings = Annotated[
    bool,
    strawberry.argument(
        description="Whether to revoke the keys that they created, to disable the webhooks that they or those keys"
        " created, and to pause the synced lists that they or those keys connected."
    ),
]


@strawberry.type(description="The scheduled deletion of a workspace.")
class WorkspaceDeletion:
    deletes_at: datetime = strawberry.field(description="When its data is erased.")


@strawberry.type
class UserQuery:
    @field("The members of the workspace, the oldest first.")
    async def members(self, info: Info) -> list[Member]:
        return [Member.from_row(row) for row in await users.list_members(info.context.ctx)]

    @field("What a member created in the workspace that is still active; check it before you remove them.")
    async def member_holdings(self, info: Info, id: MemberId) -> MemberHoldings:
        found = await users.find_holdings(info.context.ctx, _id(id))
        return MemberHoldings(
            api_keys=[ApiKey.from_row(row) for row in found.api_keys],
            webhooks=[Webhook.from_row(row) for row in found.webhooks],
            invitations=[Invitation.from_row(row) for row in found.invitations],
            synced_lists=[ContactList.from_row(row) for row in found.synced_lists],
        )

    @field("The open invitations, newest first.")
    async def invitations(self, info: Info) -> list[Invitation]:
        return [Invitation.from_row(row) for row in await users.list_invitations(info.context.ctx)]


TransferOwnershipResult = Annotated[
    Member | InvalidRequestError | NotFoundError | RateLimitError | PermissionRefusedError,
    strawberry.union("TransferOwnershipResult", description="The new owner, or an error."),
]
DeleteWorkspaceResult = Annotated[
    WorkspaceDeletion | InvalidRequestError | ConflictError | RateLimitError | PermissionRefusedError,
    strawberry.union("DeleteWorkspaceResult", description="The time of the deletion, or an error."),
]
CancelWorkspaceDeletionResult = Annotated[
    Session | InvalidRequestError | NotFoundError | ConflictError | RateLimitError | PermissionRefusedError,
    strawberry.union("CancelWorkspaceDeletionResult", description="The session with the workspace, or an error."),
]
LeaveWorkspaceResult = Annotated[
    Session | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("LeaveWorkspaceResult", description="The session without the workspace, or an error."),
]


WorkspaceId = Annotated[ID, strawberry.argument(description="The workspace's id.")]


@strawberry.type
class UserMutation:
    @mutation(TransferOwnershipResult, "Make another member the owner in your place; you become an admin.")
    async def transfer_ownership(
        self,
        info: Info,
        user_id: MemberId,
        current_password: CurrentPassword,
        code: Code = None,
        passkey: PasskeyGiven = None,
    ) -> object:
        async def transfer(request: RequestContext) -> Member:
            allow(request.ctx, Permission.OWNERS_WRITE)
            heir = _id(user_id, "user_id")
            confirmation = await confirm(request, current_password, code, passkey)
            async with unit_of_work():
                made = await workspace_deletion.transfer_ownership(request.ctx, confirmation, heir)
            return Member.from_row(made)

        return await for_people(info, transfer)

    @mutation(
        DeleteWorkspaceResult,
        "Delete the workspace: its keys and all sending stop now, and its data is erased after"
        f" {GRACE.days} days. Until then an owner can cancel the deletion.",
    )
    async def delete_workspace(
        self,
        info: Info,
        name: Annotated[str, strawberry.argument(description="The workspace's name, typed to confirm it.")],
        current_password: CurrentPassword,
        code: Code = None,
        passkey: PasskeyGiven = None,
    ) -> object:
        async def delete(request: RequestContext) -> WorkspaceDeletion:
            await workspace_deletion.check_deletable(request.ctx, name)
            confirmation = await confirm(request, current_password, code, passkey)
            async with unit_of_work():
                row = await workspace_deletion.delete_workspace(request.ctx, confirmation, name)
            assert row.deletes_at is not None
            return WorkspaceDeletion(deletes_at=row.deletes_at)

        return await for_people(info, delete)

    @mutation(
        CancelWorkspaceDeletionResult,
        "Cancel the deletion of a workspace that the current user owns. It needs the same proof as the deletion.",
    )
    async def cancel_workspace_deletion(
        self,
        info: Info,
        workspace_id: WorkspaceId,
        current_password: CurrentPassword,
        code: Code = None,
        passkey: PasskeyGiven = None,
    ) -> object:
        async def cancel(request: RequestContext) -> Session:
            visitor, identity = request.caller.visitor, user_of(request)
            id = ids.find_id(ids.WORKSPACE, workspace_id, "workspace", param="workspace_id")
            workspace_deletion.check_owned(visitor, identity, id)
            confirmation = await confirm(request, current_password, code, passkey)
            async with unit_of_work():
                found = await workspace_deletion.cancel_deletion(visitor, confirmation, id)
            return Session.from_identity(found)

        return await for_people(info, cancel)

    @mutation(
        LeaveWorkspaceResult,
        "Leave a workspace, even if the current user may not enter it, for example while it is suspended.",
    )
    async def leave_workspace(self, info: Info, workspace_id: WorkspaceId) -> object:
        async def leave(request: RequestContext) -> Session:
            identity = user_of(request)
            id = ids.find_id(ids.WORKSPACE, workspace_id, "workspace", param="workspace_id")
            async with unit_of_work():
                found = await users.leave_workspace(request.caller.visitor, identity, id)
            return Session.from_identity(found)

        return await for_people(info, leave)

    @mutation(InviteMemberResult, "Invite an e-mail address by mail, for 7 days. Replaces an earlier invitation to it.")
    async def invite_member(
        self,
        info: Info,
        email: Annotated[str, strawberry.argument(description="The invited e-mail address.")],
        role: Annotated[Role, strawberry.argument(description="The role in the workspace.")],
    ) -> object:
        return await mutate(info, lambda ctx: users.invite_member(ctx, email=email, role=role), _with_token)

    @mutation(RevokeInvitationResult, "Revoke an invitation.")
    async def revoke_invitation(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The invitation's id.")]
    ) -> object:
        return await mutate(
            info,
            lambda ctx: users.revoke_invitation(ctx, ids.find_id(users.INVITATION, id, "invitation")),
            Invitation.from_row,
        )

    @mutation(ResendInvitationResult, "Mail an invitation once more, for another 7 days.")
    async def resend_invitation(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The invitation's id.")]
    ) -> object:
        return await mutate(
            info,
            lambda ctx: users.resend_invitation(ctx, ids.find_id(users.INVITATION, id, "invitation")),
            Invitation.from_row,
        )

    @mutation(ChangeMemberRoleResult, "Change the role of a member. Only owners can add or remove owners.")
    async def change_member_role(
        self,
        info: Info,
        id: MemberId,
        role: Annotated[Role, strawberry.argument(description="The role.")],
        end_holdings: EndHoldings = False,
    ) -> object:
        return await mutate(
            info, lambda ctx: users.change_role(ctx, _id(id), role, end_holdings=end_holdings), Member.from_row
        )

    @mutation(RemoveMemberResult, "Remove a member from the workspace; members can remove themselves.")
    async def remove_member(
        self,
        info: Info,
        id: MemberId,
        end_holdings: EndHoldings = False,
    ) -> object:
        return await mutate(
            info,
            lambda ctx: users.remove_member(ctx, _id(id), end_holdings=end_holdings),
            lambda _: Deleted(id=id),
        )


def _with_token(made: tuple[InvitationRow, str]) -> InvitationWithToken:
    row, token = made
    return InvitationWithToken(invitation=Invitation.from_row(row), token=token)


def _id(text: str, param: str = "id") -> UUID:
    return ids.find_id(ids.USER, text, "member", param=param)
