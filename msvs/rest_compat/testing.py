"""/v1/test: what only the sandbox can do."""

from __future__ import annotations

from msvs.api.inbound import replies
from msvs.api.resources import InboundMessageResource, inbound_message_resource
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import InboundTest, NoQuery


async def inbound(call: Call[InboundTest, NoQuery]) -> InboundMessageResource:
    """Make a reply arrive, as if its sender had written to you. Sandbox keys only."""
    row = await replies.simulate_reply(call.ctx, from_=call.body.from_, to=call.body.to, text=call.body.body)
    return inbound_message_resource(row)
