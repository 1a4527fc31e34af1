"""A carrier with its pretended peer, of the kind that the test file names as `UNDER_TEST`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.carriers.under_test import CarrierUnderTest


@pytest.fixture
async def under_test(request: pytest.FixtureRequest) -> AsyncIterator[CarrierUnderTest]:
    """The carrier and its peer, set up."""
    made: CarrierUnderTest = request.module.UNDER_TEST()
    await made.set_up()
    try:
        yield made
    finally:
        await made.tear_down()
