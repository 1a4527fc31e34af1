"""What tests of billing share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from msvs.api.credits import gateway
from msvs.local.pretend_stripe import PretendStripe
from tests.fakes.stripe import running_stripe
from tests.services import SERVICES


@pytest.fixture
async def stripe(clean: None) -> AsyncIterator[PretendStripe]:
    """A fake Stripe, where the tests' services buy."""
    with running_stripe(SERVICES) as account:
        yield account
        await gateway.close(SERVICES)
