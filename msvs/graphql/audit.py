"""The audit log: who changed what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import ID

from msvs.api import audit
from msvs.api.audit import AuditAction
from msvs.api.errors import NotFound
from msvs.api.ids import decode_id, encode_id
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.context import Info
from msvs.graphql.fields import field
from msvs.graphql.scalars import JSONObject, json_object
from msvs.graphql.shapes import from_row
from msvs.models import AuditEntry as AuditEntryRow
from msvs.models import rows


@strawberry.type(description="One change by a person or a key. Entries are never altered.")
class AuditEntry:
    id: ID = strawberry.field(description="The id of the entry.")
    actor: str = strawberry.field(
        description="Who made the change: the id of an API key or user, `system`, or `operator:` with the name of who"
        " ran a command."
    )
    action: AuditAction = strawberry.field(description="The action.")
    resource_id: ID | None = strawberry.field(description="The id of the changed resource; null if it has none.")
    changes: JSONObject = strawberry.field(description="Each field that changed, with its value before and after.")
    ip: str | None = strawberry.field(description="The IP address of the request; null if unknown.")
    request_id: str | None = strawberry.field(description="The id of the request; null if there was none.")
    created_at: datetime = strawberry.field(description="The time of the change.")

    @classmethod
    def from_row(cls, row: rows.AuditEntryRow) -> AuditEntry:
        """Return the type of a row."""
        return from_row(cls, row, id=ID(encode_id(audit.AUDIT_ENTRY, row.id)), changes=json_object(row.changes))


@strawberry.input(description="Filters entries; an entry must meet every condition.")
class AuditFilter:
    actor: str | None = strawberry.field(default=None, description="Who made the change.")
    action: AuditAction | None = strawberry.field(default=None, description="The action.")
    resource_id: ID | None = strawberry.field(default=None, description="The id of the changed resource.")


@strawberry.type
class AuditQuery:
    @field("An entry of the log by its id; null if there is none.")
    async def audit_entry(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The entry's id.")]
    ) -> AuditEntry | None:
        entry_id = decode_id(audit.AUDIT_ENTRY, id)
        try:
            found = None if entry_id is None else await audit.get_audit_entry(info.context.ctx, entry_id)
        except NotFound:
            return None
        return None if found is None else AuditEntry.from_row(found)

    @field("The audit log of the workspace, in both modes, newest first.")
    async def audit_log(
        self,
        info: Info,
        filter: Annotated[AuditFilter | None, strawberry.argument(description="The filter.")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[AuditEntry]:
        ctx = info.context.ctx
        which = filter or AuditFilter()
        request = read_page(audit.AUDIT_ENTRY, first, after, last, before)
        conditions = {
            "actor": which.actor,
            "action": None if which.action is None else which.action.value,
            "resource_id": which.resource_id,
        }
        page = await audit.list_audit(ctx, request, **conditions)
        given = {name: value for name, value in conditions.items() if value is not None}
        count = AuditEntryRow.filter(workspace_id=ctx.workspace_id, **given).count
        return connect(audit.AUDIT_ENTRY, request, page, AuditEntry.from_row, count)
