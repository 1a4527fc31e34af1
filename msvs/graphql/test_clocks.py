"""The sandbox's clock and the script of its carrier: types, queries and mutations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.accounts import clocks
from msvs.api.accounts.clocks import AdvanceTestClock, CreateTestClock, TestClockResource
from msvs.api.errors import NotFound
from msvs.api.messages import carrier_scripts
from msvs.api.messages.carrier_scripts import ScriptTestCarrier, TestCarrierResource
from msvs.graphql.context import Info
from msvs.graphql.errors import ConflictError, InvalidRequestError, NotFoundError, PermissionRefusedError, mutate
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import Deleted, read_input, request_input
from msvs.graphql.scalars import BigInt
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import ClockStatus, rows


@resource_type(TestClockResource, "The clock of the sandbox.")
class TestClock:
    id: ID
    livemode: bool
    status: ClockStatus
    now: datetime
    advancing_to: datetime | None
    failure: str | None
    created_at: datetime

    @classmethod
    def from_row(cls, row: rows.SandboxClockRow) -> TestClock:
        """Return the type of a row."""
        return from_row(
            cls,
            row,
            id=ID(ids.encode_id(ids.TEST_CLOCK, row.id)),
            livemode=False,
            now=row.frozen_at,
            advancing_to=row.target_at,
        )


@resource_type(TestCarrierResource, "The script of the sandbox's carrier.")
class TestCarrier:
    livemode: bool
    seed: BigInt
    loss: float
    duplicates: float
    disorder: float
    partial_parts: float
    throttling: float
    opt_outs: float
    created_at: datetime

    @classmethod
    def from_row(cls, row: rows.CarrierScriptRow) -> TestCarrier:
        """Return the type of a row."""
        shares = {name: float(str(row.probabilities.get(name, 0))) for name in carrier_scripts.SHARES}
        return cls(livemode=False, seed=BigInt(row.seed), created_at=row.created_at, **shares)


@request_input(CreateTestClock)
class CreateTestClockInput:
    pass


@request_input(AdvanceTestClock)
class AdvanceTestClockInput:
    pass


@request_input(ScriptTestCarrier)
class ScriptTestCarrierInput:
    pass


CreateTestClockResult = Annotated[
    TestClock | InvalidRequestError | ConflictError | PermissionRefusedError,
    strawberry.union("CreateTestClockResult", description="The new clock, or an error."),
]
AdvanceTestClockResult = Annotated[
    TestClock | InvalidRequestError | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("AdvanceTestClockResult", description="The clock, or an error."),
]
DeleteTestClockResult = Annotated[
    Deleted | NotFoundError | PermissionRefusedError,
    strawberry.union("DeleteTestClockResult", description="Confirms that the clock was deleted, or an error."),
]
ScriptTestCarrierResult = Annotated[
    TestCarrier | InvalidRequestError | PermissionRefusedError,
    strawberry.union("ScriptTestCarrierResult", description="The script, or an error."),
]
DeleteTestCarrierResult = Annotated[
    Deleted | NotFoundError | PermissionRefusedError,
    strawberry.union("DeleteTestCarrierResult", description="Confirms that the script was deleted, or an error."),
]


@strawberry.type
class TestClockQuery:
    @field("The sandbox's clock; null if it lives in real time.")
    async def test_clock(self, info: Info) -> TestClock | None:
        try:
            return TestClock.from_row(await clocks.get_test_clock(info.context.ctx))
        except NotFound:
            return None

    @field("The script of the sandbox's carrier; null if it has none.")
    async def test_carrier(self, info: Info) -> TestCarrier | None:
        try:
            return TestCarrier.from_row(await carrier_scripts.get_test_carrier(info.context.ctx))
        except NotFound:
            return None


@strawberry.type
class TestClockMutation:
    @mutation(CreateTestClockResult, "Give the sandbox a clock of its own. Sandbox only.")
    async def create_test_clock(
        self, info: Info, input: Annotated[CreateTestClockInput, strawberry.argument(description="The clock.")]
    ) -> object:
        return await mutate(
            info, lambda ctx: clocks.create_test_clock(ctx, read_input(CreateTestClock, input)), TestClock.from_row
        )

    @mutation(AdvanceTestClockResult, "Have the sandbox's clock move on, and do in order what becomes due.")
    async def advance_test_clock(
        self, info: Info, input: Annotated[AdvanceTestClockInput, strawberry.argument(description="How far.")]
    ) -> object:
        return await mutate(
            info, lambda ctx: clocks.advance_test_clock(ctx, read_input(AdvanceTestClock, input)), TestClock.from_row
        )

    @mutation(DeleteTestClockResult, "Delete the sandbox's clock: it returns to real time.")
    async def delete_test_clock(self, info: Info) -> object:
        return await mutate(
            info, clocks.delete_test_clock, lambda id: Deleted(id=ID(ids.encode_id(ids.TEST_CLOCK, id)))
        )

    @mutation(ScriptTestCarrierResult, "Set what the sandbox's carrier does. Sandbox only.")
    async def script_test_carrier(
        self, info: Info, input: Annotated[ScriptTestCarrierInput, strawberry.argument(description="The script.")]
    ) -> object:
        return await mutate(
            info,
            lambda ctx: carrier_scripts.script_test_carrier(ctx, read_input(ScriptTestCarrier, input)),
            TestCarrier.from_row,
        )

    @mutation(DeleteTestCarrierResult, "Delete the script of the sandbox's carrier: it delivers everything again.")
    async def delete_test_carrier(self, info: Info) -> object:
        return await mutate(
            info,
            carrier_scripts.delete_test_carrier,
            lambda id: Deleted(id=ID(ids.encode_id(ids.WORKSPACE, id))),
        )
