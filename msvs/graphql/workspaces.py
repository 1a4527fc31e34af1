"""The caller and its workspace: types, queries and the settings that may be changed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.accounts import workspaces
from msvs.api.credits import credits
from msvs.api.resources import WorkspaceResource
from msvs.graphql.context import Info
from msvs.graphql.errors import ComplianceError, InvalidRequestError, PermissionRefusedError, mutate
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import given, required
from msvs.graphql.nodes import Node, register
from msvs.graphql.scalars import BigInt
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import rows


@resource_type(
    WorkspaceResource, "A tenant, with the settings of this mode. The sandbox's are live's until it changes them."
)
class Workspace(Node):
    name: str
    default_sender: str
    double_opt_in: bool
    campaigns_admit_unknown: bool
    blocked_regions: list[str]
    enabled_regions: list[str]
    daily_credit_cap: BigInt | None
    prefix_hourly_cap: int | None
    quiet_hours: bool
    timezone: str
    opt_in_text: str
    opt_out_text: str
    welcome_text: str
    help_text: str
    created_at: datetime

    @classmethod
    def from_row(cls, row: rows.WorkspaceRow) -> Workspace:
        """Return the type of a row."""
        return from_row(cls, row, id=ID(ids.encode_id(ids.WORKSPACE, row.id)))

    @field("The balance below which `credits.low` is sent.")
    async def low_balance_threshold(self, info: Info) -> BigInt:
        return BigInt(await credits.low_balance_threshold(info.context.ctx))


async def _load(info: Info, id: UUID) -> Workspace | None:
    ctx = info.context.ctx
    return Workspace.from_row(await workspaces.get_workspace(ctx)) if id == ctx.workspace_id else None


register(ids.WORKSPACE, _load)


@strawberry.input(description="The settings to change. What is left out stays; nothing but the caps can be null.")
class UpdateWorkspaceInput:
    name: str | None = strawberry.field(default=strawberry.UNSET, description="Its name.")
    default_sender: str | None = strawberry.field(
        default=strawberry.UNSET, description="The sender of messages that name none."
    )
    double_opt_in: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Whether opting in asks for a YES by SMS."
    )
    quiet_hours: bool | None = strawberry.field(
        default=strawberry.UNSET,
        description="Whether campaigns send only while it is day where the recipient is, unless they say otherwise.",
    )
    campaigns_admit_unknown: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Whether campaigns also go to contacts whose consent is unknown."
    )
    blocked_regions: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="Regions nothing is sent to, ISO 3166-1."
    )
    enabled_regions: list[str] | None = strawberry.field(
        default=strawberry.UNSET,
        description="Regions that are sent to although they are off until enabled, ISO 3166-1.",
    )
    daily_credit_cap: BigInt | None = strawberry.field(
        default=strawberry.UNSET,
        description="The credits that live messages may take in a UTC day; null for no cap.",
    )
    prefix_hourly_cap: int | None = strawberry.field(
        default=strawberry.UNSET,
        description="How many single messages an hour one range of numbers may get; null for no cap.",
    )
    timezone: str | None = strawberry.field(
        default=strawberry.UNSET, description="The time zone, of the IANA database."
    )
    opt_in_text: str | None = strawberry.field(default=strawberry.UNSET, description="The SMS that asks for a YES.")
    opt_out_text: str | None = strawberry.field(default=strawberry.UNSET, description="The SMS that answers STOP.")
    welcome_text: str | None = strawberry.field(
        default=strawberry.UNSET, description="The SMS that confirms an opt-in."
    )
    help_text: str | None = strawberry.field(default=strawberry.UNSET, description="The SMS that answers HELP.")
    low_balance_threshold: BigInt | None = strawberry.field(
        default=strawberry.UNSET, description="The balance below which `credits.low` is sent."
    )


UpdateWorkspaceResult = Annotated[
    Workspace | InvalidRequestError | ComplianceError | PermissionRefusedError,
    strawberry.union("UpdateWorkspaceResult", description="The workspace as it now is, or why it did not change."),
]


@strawberry.type
class WorkspaceQuery:
    @field("The workspace this caller works in.")
    async def workspace(self, info: Info) -> Workspace:
        return Workspace.from_row(await workspaces.get_workspace(info.context.ctx))


@strawberry.type
class WorkspaceMutation:
    @mutation(UpdateWorkspaceResult, "Change settings of this mode: those that live obeys, or the sandbox's own.")
    async def update_workspace(
        self, info: Info, input: Annotated[UpdateWorkspaceInput, strawberry.argument(description="What to change.")]
    ) -> object:
        names = [name for name in workspaces.UpdateWorkspace.__struct_fields__ if hasattr(input, name)]
        return await mutate(
            info,
            lambda ctx: workspaces.update_workspace(
                ctx,
                workspaces.UpdateWorkspace(
                    **{
                        name: given(value) if name in workspaces.CAPS else required(value, name)
                        for name in names
                        for value in (getattr(input, name),)
                    }
                ),
            ),
            Workspace.from_row,
        )
