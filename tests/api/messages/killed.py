"""Orders in a process that is killed before one of its statements: `python -m tests.api.messages.killed` is asked.

It reads lines: the number of the statement before which to die, and the order. For each it forks a child, which records
the order and its refund, and ends by SIGKILL there, or well where it has no such statement; then it says how.
"""

from __future__ import annotations

import os
import sys
from uuid import UUID

from msvs import database as db
from msvs.api.context import Context, Services
from msvs.api.messages.conversion_shapes import CreateConversion, RefundConversion
from msvs.api.messages.conversions import create_conversion, refund_conversion
from msvs.api.unit_of_work import unit_of_work
from msvs.loops import new_runner
from tests.api.campaigns.killed import count_steps


async def main(database_url: str, number: int, workspace_id: str, contact_id: str, order_id: str) -> None:
    """Record an order and a refund of it, up to a statement."""
    ctx = Context(UUID(workspace_id), False, services=Services())
    async with db.connected(database_url, pool_size=1):
        count_steps(number)
        order = CreateConversion(contact_id=contact_id, order_id=order_id, value=100, currency="USD")
        async with unit_of_work():
            row = await create_conversion(ctx, order)
        async with unit_of_work():
            await refund_conversion(ctx, row.id, RefundConversion(refunded_value=40))


def serve(database_url: str) -> None:
    """Fork a child a line, so that the modules are imported once."""
    for line in sys.stdin:
        number, *told = line.split()
        child = os.fork()
        if child == 0:
            os.dup2(2, 1)
            with new_runner() as runner:
                runner.run(main(database_url, int(number), *told))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
