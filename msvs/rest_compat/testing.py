"""/v1/test: operations for the sandbox only."""

from __future__ import annotations

from msvs.api import ids
from msvs.api.accounts import clocks
from msvs.api.accounts.clocks import AdvanceTestClock, CreateTestClock, TestClockResource, test_clock_resource
from msvs.api.inbound import replies
from msvs.api.inbound.replies import SimulateReply
from msvs.api.messages import carrier_scripts
from msvs.api.messages.carrier_scripts import ScriptTestCarrier, TestCarrierResource, test_carrier_resource
from msvs.api.resources import InboundMessageResource, inbound_message_resource
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import Deleted, NoBody, NoQuery


async def inbound(call: Call[SimulateReply, NoQuery]) -> InboundMessageResource:
    """Simulate a reply from a phone. Sandbox keys only."""
    return inbound_message_resource(await replies.simulate_reply(call.ctx, call.body))


async def create_clock(call: Call[CreateTestClock, NoQuery]) -> TestClockResource:
    """Give the sandbox a clock of its own."""
    return test_clock_resource(await clocks.create_test_clock(call.ctx, call.body))


async def retrieve_clock(call: Call[NoBody, NoQuery]) -> TestClockResource:
    """Retrieve the sandbox's clock."""
    return test_clock_resource(await clocks.get_test_clock(call.ctx))


async def advance_clock(call: Call[AdvanceTestClock, NoQuery]) -> TestClockResource:
    """Have the sandbox's clock move on."""
    return test_clock_resource(await clocks.advance_test_clock(call.ctx, call.body))


async def delete_clock(call: Call[NoBody, NoQuery]) -> Deleted:
    """Return the sandbox to real time."""
    id = await clocks.delete_test_clock(call.ctx)
    return Deleted(id=ids.encode_id(ids.TEST_CLOCK, id), object="test_clock")


async def script_carrier(call: Call[ScriptTestCarrier, NoQuery]) -> TestCarrierResource:
    """Set what the sandbox's carrier does."""
    return test_carrier_resource(await carrier_scripts.script_test_carrier(call.ctx, call.body))


async def retrieve_carrier(call: Call[NoBody, NoQuery]) -> TestCarrierResource:
    """Retrieve the script of the sandbox's carrier."""
    return test_carrier_resource(await carrier_scripts.get_test_carrier(call.ctx))


async def delete_carrier(call: Call[NoBody, NoQuery]) -> Deleted:
    """Let the sandbox's carrier deliver everything again."""
    id = await carrier_scripts.delete_test_carrier(call.ctx)
    return Deleted(id=ids.encode_id(ids.WORKSPACE, id), object="test_carrier")
