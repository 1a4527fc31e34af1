"""Members and invitations: types, queries and mutations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.accounts import users
from msvs.api.errors import NotFound
from msvs.graphql.context import Info
from msvs.graphql.errors import ConflictError, InvalidRequestError, NotFoundError, PermissionRefusedError, mutate
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import Deleted
from msvs.graphql.keys import ApiKey
from msvs.graphql.nodes import Node, register
from msvs.graphql.shapes import from_row
from msvs.graphql.webhooks import Webhook
from msvs.models import Invitation as InvitationRow
from msvs.models import Role


@strawberry.type(description="A user's place in the workspace. The id is the user's.")
class Member(Node):
    email: str = strawberry.field(description="The user's e-mail address.")
    name: str = strawberry.field(description="The user's name.")
    role: Role = strawberry.field(description="What they may do.")
    created_at: datetime = strawberry.field(description="Since when they are a member.")

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


@strawberry.type(description="A place offered to an e-mail address.")
class Invitation:
    id: ID = strawberry.field(description="The id of the invitation.")
    email: str = strawberry.field(description="Who may take it.")
    role: Role = strawberry.field(description="What they will be allowed to do.")
    invited_by: str = strawberry.field(description="Who offered it: a user's id.")
    created_at: datetime = strawberry.field(description="When it was offered.")
    expires_at: datetime = strawberry.field(description="Until when it can be taken.")
    accepted_at: datetime | None = strawberry.field(description="When it was taken; null unless it was.")
    revoked_at: datetime | None = strawberry.field(description="When it was ended; null unless it was.")

    @classmethod
    def from_row(cls, row: InvitationRow) -> Invitation:
        """Return the type of a row."""
        return from_row(cls, row, id=ID(ids.encode_id(users.INVITATION, row.id)))


@strawberry.type(description="An invitation with its token, which is shown this once.")
class InvitationWithToken:
    invitation: Invitation = strawberry.field(description="The invitation.")
    token: str = strawberry.field(description="What the invited person signs up with. It cannot be had again.")


@strawberry.type(description="What a member made in the workspace, in both modes, that still works.")
class MemberHoldings:
    api_keys: list[ApiKey] = strawberry.field(description="The keys that they made.")
    webhooks: list[Webhook] = strawberry.field(description="The webhooks that they or those keys made.")
    invitations: list[Invitation] = strawberry.field(description="The invitations that they sent.")


InviteMemberResult = Annotated[
    InvitationWithToken | InvalidRequestError | ConflictError | PermissionRefusedError,
    strawberry.union("InviteMemberResult", description="The invitation, with its token, or why there is none."),
]
RevokeInvitationResult = Annotated[
    Invitation | NotFoundError | PermissionRefusedError,
    strawberry.union("RevokeInvitationResult", description="The invitation as it now is, or why there is none."),
]
ResendInvitationResult = Annotated[
    Invitation | NotFoundError | PermissionRefusedError,
    strawberry.union("ResendInvitationResult", description="The invitation as it now is, or why there is none."),
]
ChangeMemberRoleResult = Annotated[
    Member | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("ChangeMemberRoleResult", description="The member as they now are, or why not."),
]
RemoveMemberResult = Annotated[
    Deleted | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("RemoveMemberResult", description="Says that the member is gone, or why not."),
]

MemberId = Annotated[ID, strawberry.argument(description="The user's id.")]


@strawberry.type
class UserQuery:
    @field("The members of the workspace, the oldest first.")
    async def members(self, info: Info) -> list[Member]:
        return [Member.from_row(row) for row in await users.list_members(info.context.ctx)]

    @field("What a member made in the workspace that still works; ask before you remove them.")
    async def member_holdings(self, info: Info, id: MemberId) -> MemberHoldings:
        found = await users.find_holdings(info.context.ctx, _id(id))
        return MemberHoldings(
            api_keys=[ApiKey.from_row(row) for row in found.api_keys],
            webhooks=[Webhook.from_row(row) for row in found.webhooks],
            invitations=[Invitation.from_row(row) for row in found.invitations],
        )

    @field("The invitations that can still be taken, newest first.")
    async def invitations(self, info: Info) -> list[Invitation]:
        return [Invitation.from_row(row) for row in await users.list_invitations(info.context.ctx)]


@strawberry.type
class UserMutation:
    @mutation(InviteMemberResult, "Offer an e-mail address a place for 7 days, by mail. An earlier offer to it ends.")
    async def invite_member(
        self,
        info: Info,
        email: Annotated[str, strawberry.argument(description="Who may take it.")],
        role: Annotated[Role, strawberry.argument(description="What they will be allowed to do.")],
    ) -> object:
        return await mutate(info, lambda ctx: users.invite_member(ctx, email=email, role=role), _with_token)

    @mutation(RevokeInvitationResult, "End an invitation.")
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

    @mutation(ChangeMemberRoleResult, "Give a member another role. Only an owner makes or unmakes owners.")
    async def change_member_role(
        self, info: Info, id: MemberId, role: Annotated[Role, strawberry.argument(description="The role.")]
    ) -> object:
        return await mutate(info, lambda ctx: users.change_role(ctx, _id(id), role), Member.from_row)

    @mutation(RemoveMemberResult, "Take a member from the workspace; anyone may take themselves.")
    async def remove_member(
        self,
        info: Info,
        id: MemberId,
        end_holdings: Annotated[
            bool,
            strawberry.argument(
                description="Whether the keys that they made are revoked, and the webhooks that they or those keys"
                " made disabled."
            ),
        ] = False,
    ) -> object:
        return await mutate(
            info,
            lambda ctx: users.remove_member(ctx, _id(id), end_holdings=end_holdings),
            lambda _: Deleted(id=id),
        )


def _with_token(made: tuple[InvitationRow, str]) -> InvitationWithToken:
    row, token = made
    return InvitationWithToken(invitation=Invitation.from_row(row), token=token)


def _id(text: str) -> UUID:
    return ids.find_id(ids.USER, text, "member")
