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
from msvs.graphql.context import Info
from msvs.graphql.errors import ComplianceError, InvalidRequestError, PermissionRefusedError, mutate
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import given, required
from msvs.graphql.nodes import Node, register
from msvs.graphql.scalars import BigInt
from msvs.models import rows


@strawberry.type(
    description="A tenant, with the settings of this mode. The sandbox's are live's until it changes them."
)
class Workspace(Node):
    name: str = strawberry.field(description="Its name.")
    default_sender: str = strawberry.field(description="The sender of messages that name none.")
    double_opt_in: bool = strawberry.field(description="Whether opting in asks for a YES by SMS.")
    campaigns_admit_unknown: bool = strawberry.field(
        description="Whether campaigns also go to contacts whose consent is unknown."
    )
    blocked_regions: list[str] = strawberry.field(description="Regions nothing is sent to, ISO 3166-1.")
    enabled_regions: list[str] = strawberry.field(
        description="Regions that are sent to although they are off until enabled, ISO 3166-1."
    )
    daily_credit_cap: BigInt | None = strawberry.field(
        description="The credits that live messages may take in a UTC day; null for no cap."
    )
    prefix_hourly_cap: int | None = strawberry.field(
        description="How many single messages an hour one range of numbers may get; null for no cap."
    )
    quiet_hours: bool = strawberry.field(
        description="Whether campaigns send only while it is day where the recipient is, unless they say otherwise."
    )
    timezone: str = strawberry.field(description="The time zone, of the IANA database.")
    opt_in_text: str = strawberry.field(description="The SMS that asks for a YES.")
    opt_out_text: str = strawberry.field(description="The SMS that answers STOP.")
    welcome_text: str = strawberry.field(description="The SMS that confirms an opt-in.")
    help_text: str = strawberry.field(description="The SMS that answers HELP.")
    created_at: datetime = strawberry.field(description="When it was made.")

    @classmethod
    def from_row(cls, row: rows.WorkspaceRow) -> Workspace:
        """The type of a row."""
        return cls(
            id=ID(ids.encode_id(ids.WORKSPACE, row.id)),
            name=row.name,
            default_sender=row.default_sender,
            double_opt_in=row.double_opt_in,
            campaigns_admit_unknown=row.campaigns_admit_unknown,
            blocked_regions=row.blocked_regions,
            enabled_regions=row.enabled_regions,
            daily_credit_cap=None if row.daily_credit_cap is None else BigInt(row.daily_credit_cap),
            prefix_hourly_cap=row.prefix_hourly_cap,
            quiet_hours=row.quiet_hours,
            timezone=row.timezone,
            opt_in_text=row.opt_in_text,
            opt_out_text=row.opt_out_text,
            welcome_text=row.welcome_text,
            help_text=row.help_text,
            created_at=row.created_at,
        )

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
