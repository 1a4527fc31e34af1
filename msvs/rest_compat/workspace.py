"""/v1/workspace."""

from __future__ import annotations

from msvs.api.accounts import workspaces
from msvs.api.accounts.workspaces import UpdateWorkspace
from msvs.api.context import Context
from msvs.api.credits import credits
from msvs.api.resources import WorkspaceResource, workspace_resource
from msvs.models import Workspace
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import NoBody, NoQuery


async def retrieve(call: Call[NoBody, NoQuery]) -> WorkspaceResource:
    """Retrieve the workspace's settings."""
    return await _shape(call.ctx, await workspaces.get_workspace(call.ctx))


async def update(call: Call[UpdateWorkspace, NoQuery]) -> WorkspaceResource:
    """Change the workspace's settings."""
    return await _shape(call.ctx, await workspaces.update_workspace(call.ctx, call.body))


async def _shape(ctx: Context, row: Workspace) -> WorkspaceResource:
    return workspace_resource(row, low_balance_threshold=await credits.low_balance_threshold(ctx))
