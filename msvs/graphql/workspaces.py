"""The caller and its workspace: types, queries and settings."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.accounts import workspaces
from msvs.api.accounts.workspaces import UpdateWorkspace
from msvs.api.credits import credits
from msvs.api.resources import WorkspaceResource, workspace_version
from msvs.fields import descriptions
from msvs.graphql.context import Info
from msvs.graphql.errors import ComplianceError, ConflictError, InvalidRequestError, PermissionRefusedError, mutate
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import read_input, request_input
from msvs.graphql.nodes import Node, register
from msvs.graphql.scalars import BigInt
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import rows


@resource_type(
    WorkspaceResource,
    "A workspace, with the settings of this mode. The sandbox's settings are the live ones until it changes them.",
)
class Workspace(Node):
    row: strawberry.Private[rows.WorkspaceRow]
    name: str
    default_sender: str
    double_opt_in: bool
    campaigns_admit_unknown: bool
    blocked_regions: list[str]
    enabled_regions: list[str]
    daily_credit_cap: BigInt | None
    prefix_hourly_cap: int | None
    contact_daily_cap: int | None
    contact_weekly_cap: int | None
    contact_caps_cover_all: bool
    unreachable_after: int | None
    click_window_hours: int
    message_window_hours: int
    approval_threshold: int | None
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

    @field(descriptions(WorkspaceResource)["version"])
    async def version(self, info: Info) -> str:
        return workspace_version(self.row, await credits.low_balance_threshold(info.context.ctx))


async def _load(info: Info, id: UUID) -> Workspace | None:
    ctx = info.context.ctx
    return Workspace.from_row(await workspaces.get_workspace(ctx)) if id == ctx.workspace_id else None


register(ids.WORKSPACE, _load)


@request_input(
    UpdateWorkspace,
    "The settings to change. Settings that are left out stay; only the caps can be null.",
    daily_credit_cap=BigInt,
    low_balance_threshold=BigInt,
)
class UpdateWorkspaceInput:
    pass


UpdateWorkspaceResult = Annotated[
    Workspace | InvalidRequestError | ComplianceError | ConflictError | PermissionRefusedError,
    strawberry.union("UpdateWorkspaceResult", description="The updated workspace, or an error."),
]


@strawberry.type
class WorkspaceQuery:
    @field("The workspace of the caller.")
    async def workspace(self, info: Info) -> Workspace:
        return Workspace.from_row(await workspaces.get_workspace(info.context.ctx))


@strawberry.type
class WorkspaceMutation:
    @mutation(UpdateWorkspaceResult, "Change the settings of this mode.")
    async def update_workspace(
        self, info: Info, input: Annotated[UpdateWorkspaceInput, strawberry.argument(description="What to change.")]
    ) -> object:
        return await mutate(
            info,
            lambda ctx: workspaces.update_workspace(ctx, read_input(UpdateWorkspace, input)),
            Workspace.from_row,
        )
