"""The settings of a mode: the workspace's in live; in the sandbox, its own changes on top of them."""

from __future__ import annotations

from msvs.api import ids
from msvs.api.context import Context
from msvs.models import Workspace

# Longest text that a workspace answers with.
MAX_TEXT_LENGTH = 320

# Joined to `workspaces` in a statement: its columns as the mode has them, as `settings`.
JOIN = """
CROSS JOIN LATERAL jsonb_populate_record(
    workspaces, CASE WHEN {livemode} THEN '{{}}'::jsonb ELSE workspaces.sandbox_settings END
) AS settings
"""


async def find_settings(ctx: Context) -> Workspace:
    """Find the caller's workspace with the settings of the caller's mode; not to be saved. Raises NotFound."""
    row = await Workspace.get_or_none(id=ctx.workspace_id)
    if row is None:
        raise ids.missing("workspace", ids.encode_id(ids.WORKSPACE, ctx.workspace_id))
    if not ctx.livemode:
        for name, value in row.sandbox_settings.items():
            setattr(row, name, value)
    return row
