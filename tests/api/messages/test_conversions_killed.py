"""Conversions under kill -9: an order and its refund count once, at any statement at which the process dies."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.context import Context
from msvs.api.dispatch.campaign_stats import campaign_stats
from msvs.api.messages.conversion_shapes import RefundConversion
from msvs.api.messages.conversions import refund_conversion
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Conversion
from tests import factories
from tests.api.messages.orders import HOUR, buy, deliver
from tests.api.messages.test_conversions import make_campaign

pytestmark = pytest.mark.processes

Die = Callable[..., int]


@pytest.fixture(scope="module")
def die(database: str) -> Iterator[Die]:
    """Have a process record an order and die before a statement; its exit status."""
    argv = (sys.executable, "-m", "tests.api.messages.killed", database)
    process = subprocess.Popen(argv, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(*told: object) -> int:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(" ".join(map(str, told)) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    yield run
    process.communicate(timeout=20)


async def test_a_kill_at_every_statement_counts_each_order_once(ctx: Context, die: Die) -> None:
    campaign = await make_campaign(ctx)
    orders = 0
    for number in itertools.count(1):
        maria = await factories.make_contact(ctx)
        await deliver(ctx, maria, ago=HOUR, kind="campaign", campaign_id=campaign.id)
        name = ids.encode_id(ids.CONTACT, maria.id)
        status = die(number, ctx.workspace_id, name, f"order-{number}")
        assert status in (-9, 0), number
        # The sender, which heard nothing, sends both again.
        row = await buy(ctx, maria, order_id=f"order-{number}", value=100)
        async with unit_of_work():
            await refund_conversion(ctx, row.id, RefundConversion(refunded_value=40))
        orders += 1
        stats = (await campaign_stats([campaign.id]))[campaign.id]
        assert (stats.conversions, stats.converted) == (orders, orders), number
        assert [(each.gross, each.refunded) for each in stats.revenue] == [(100 * orders, 40 * orders)], number
        if status == 0:
            break
    assert orders > 8
    assert await Conversion.all().count() == orders
    told = await db.fetch("SELECT type, count(*) AS n FROM events WHERE type LIKE 'conversion.%' GROUP BY 1")
    assert {row.type: row.n for row in told} == {"conversion.created": orders, "conversion.refunded": orders}
