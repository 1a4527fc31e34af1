"""/v1/test: what only the sandbox can do."""

from __future__ import annotations

from msvs.api import ids, replies, workspaces
from msvs.api.errors import PermissionDenied
from msvs.api.phones import parse_phone
from msvs.api.resources import InboundMessageResource, inbound_message_resource
from msvs.api.senders import check_sender
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import InboundTest, NoQuery


async def inbound(call: Call[InboundTest, NoQuery]) -> InboundMessageResource:
    """Make a reply arrive, as if its sender had written to you. Sandbox keys only."""
    if call.ctx.livemode:
        raise PermissionDenied("Replies are made up in the sandbox only: use a msvs_test_ key.", code="sandbox_only")
    phone = parse_phone(call.body.from_, param="from")
    if call.body.to is None:
        to = (await workspaces.get_workspace(call.ctx)).default_sender
    else:
        to = check_sender(call.body.to, param="to")
    row = await replies.receive_inbound(
        call.ctx,
        from_phone=phone.e164,
        to_sender=to,
        text=call.body.body,
        dedupe_key=f"test:{ids.encode_id(ids.REQUEST, ids.new_id())}",
    )
    return inbound_message_resource(row)
