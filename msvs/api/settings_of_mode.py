"""The settings of a mode: the workspace's in live; in the sandbox, its own changes on top of them."""

from __future__ import annotations

from collections.abc import Mapping

from tortoise.expressions import RawSQL

from msvs.api import ids
from msvs.api.context import Context
from msvs.models import Workspace

# Longest text that a workspace answers with.
MAX_TEXT_LENGTH = 320

# What the sandbox has until it is set there: the outcomes of its numbers are scripted, however often they fail, and
# nobody has to approve what is not sent.
OWN_OF_SANDBOX: Mapping[str, None] = {"unreachable_after": None, "approval_threshold": None}
# Joined to `workspaces` in a statement: its columns as the mode has them, as `settings`.
JOIN = f"""
CROSS JOIN LATERAL jsonb_populate_record(
    workspaces, CASE WHEN {{livemode}} THEN jsonb_build_object()
        ELSE jsonb_build_object({", ".join(f"'{name}', NULL" for name in OWN_OF_SANDBOX)})
            || workspaces.sandbox_settings END
) AS settings
"""


async def find_settings(ctx: Context) -> Workspace:
    """Find the caller's workspace with the settings of the caller's mode; not to be saved. Raises NotFound."""
    return _of_mode(ctx, await Workspace.get_or_none(id=ctx.workspace_id))


async def find_settings_with(ctx: Context, expression: str) -> tuple[Workspace, Mapping[str, int] | None]:
    """Find the same, and an object of numbers by an expression of SQL, in one statement. Raises NotFound."""
    row = await Workspace.annotate(found=RawSQL(expression)).get_or_none(id=ctx.workspace_id)
    return _of_mode(ctx, row), None if row is None else vars(row)["found"]


def _of_mode(ctx: Context, row: Workspace | None) -> Workspace:
    if row is None:
        raise ids.missing("workspace", ids.encode_id(ids.WORKSPACE, ctx.workspace_id))
    if not ctx.livemode:
        for name, value in {**OWN_OF_SANDBOX, **row.sandbox_settings}.items():
            setattr(row, name, value)
    return row
