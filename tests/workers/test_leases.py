"""Lease renewal: it survives a brief database outage, and reports a lost lease once."""

from __future__ import annotations

import asyncio

from msvs.workers.leases import renewing


async def test_it_is_renewed_until_the_block_ends() -> None:
    renewed: list[int] = []

    async def renew() -> bool:
        renewed.append(1)
        if len(renewed) == 2:
            raise ConnectionResetError
        return True

    async with renewing(renew, lambda: renewed.append(-1), seconds=0.01):
        async with asyncio.timeout(5):
            while len(renewed) < 4:  # noqa: ASYNC110 - the other task ends it
                await asyncio.sleep(0.01)
    count = len(renewed)
    await asyncio.sleep(0.05)
    assert (len(renewed), -1 in renewed) == (count, False)


async def test_it_is_lost_once() -> None:
    lost: list[int] = []

    async def renew() -> bool:
        return False

    async with renewing(renew, lambda: lost.append(1), seconds=0.01):
        await asyncio.sleep(0.1)
    assert lost == [1]
