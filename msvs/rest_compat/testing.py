"""/v1/test: operations for the sandbox only."""

from __future__ import annotations

from msvs.api.inbound import replies
from msvs.api.inbound.replies import SimulateReply
from msvs.api.resources import InboundMessageResource, inbound_message_resource
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import NoQuery


async def inbound(call: Call[SimulateReply, NoQuery]) -> InboundMessageResource:
    """Simulate a reply from a phone. Sandbox keys only."""
    return inbound_message_resource(await replies.simulate_reply(call.ctx, call.body))
