"""The request log: what is noted and by whom, that a database that is away loses little, and who sees what."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from msvs.api import ids
from msvs.api.accounts import request_log
from msvs.api.accounts.request_log import RequestLog, count_requests, list_requests
from msvs.api.context import Context, Services
from msvs.api.errors import InvalidRequest
from msvs.api.pages import PageRequest
from msvs.database import copy_rows
from msvs.models import ApiRequest

KEY = ids.encode_id(ids.API_KEY, ids.new_id())
OTHER_KEY = ids.encode_id(ids.API_KEY, ids.new_id())


def by_key(ctx: Context, actor: str = KEY) -> Context:
    return replace(ctx, actor=actor, request_id=ids.encode_id(ids.REQUEST, ids.new_id()))


def note(kept: RequestLog, ctx: Context, **told: Any) -> None:
    kept.note(
        ctx, **{"method": "POST", "path": "/v1/messages", "status": 201, "error_code": None, "seconds": 0.0124, **told}
    )


async def paths(ctx: Context, **conditions: Any) -> list[str]:
    page = await list_requests(ctx, PageRequest(), **conditions)
    assert await count_requests(ctx, **conditions) == len(page.items)
    return [row.path for row in page.items]


async def test_requests_are_found_by_each_condition(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    kept = RequestLog()
    first = by_key(ctx)
    note(kept, first)
    note(kept, by_key(ctx, OTHER_KEY), path="/v1/contacts/con_1", method="GET", status=404, error_code="no")
    # Not theirs to see, and not an API key's.
    note(kept, by_key(live_ctx), path="/live")
    note(kept, by_key(other_ctx), path="/other")
    note(kept, by_key(ctx, "usr_01HYZ8K5VQAE2N0PWQ6DC9V8MP"), path="/person")
    note(kept, by_key(ctx, "system"), path="/system")
    assert await kept.write() == 4
    assert await kept.write() == 0
    assert await paths(ctx) == ["/v1/contacts/con_1", "/v1/messages"]
    assert await paths(ctx, api_key_id=ids.decode_id(ids.API_KEY, KEY)) == ["/v1/messages"]
    assert await paths(ctx, method="get") == ["/v1/contacts/con_1"]
    assert await paths(ctx, status=201) == ["/v1/messages"]
    assert await paths(ctx, failed=True) == ["/v1/contacts/con_1"]
    assert await paths(ctx, failed=False) == ["/v1/messages"]
    assert await paths(ctx, path="/v1/c") == ["/v1/contacts/con_1"]
    assert await paths(ctx, path="/v1/%") == []
    assert await paths(ctx, request_id=first.request_id) == ["/v1/messages"]
    assert await paths(live_ctx) == ["/live"]
    with pytest.raises(InvalidRequest):
        await list_requests(ctx, PageRequest(), request_id="con_01HYZ8K5VQAE2N0PWQ6DC9V8MP")
    row = await ApiRequest.get(path="/v1/messages")
    assert (row.method, row.status, row.error_code, row.elapsed_ms) == ("POST", 201, None, 12)


async def test_any_path_can_be_kept(ctx: Context) -> None:
    kept = RequestLog()
    note(kept, by_key(ctx), path="/v1/\0\ud800" + "x" * 300)
    assert await kept.write() == 1
    assert await paths(ctx) == [("/v1/\ufffd?" + "x" * 300)[: request_log.MAX_PATH]]


async def test_a_key_or_a_phone_in_a_path_is_not_kept(ctx: Context) -> None:
    kept = RequestLog()
    key = f"msvs_{'test'}_{'7' * 32}"
    for last in (key, f"whsec_{'a' * 40}", "+14155550123"):
        note(kept, by_key(ctx), path=f"/v1/messages/{last}")
    assert await kept.write() == 3
    assert await paths(ctx) == ["/v1/messages/+1415•••0123", "/v1/messages/whsec_•••", "/v1/messages/msvs_test_•••"]
    assert await paths(ctx, path=f"/v1/messages/{key}") == ["/v1/messages/msvs_test_•••"]


async def test_what_cannot_be_written_waits(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = RequestLog()
    for number in range(5):
        note(kept, by_key(ctx), path=f"/{number}")

    async def fail(*_: object) -> None:
        # One more is noted while the write is under way.
        note(kept, by_key(ctx), path="/5")
        raise ConnectionError

    with monkeypatch.context() as away:
        away.setattr(request_log, "copy_rows", fail)
        away.setattr(request_log, "BATCH", 3)
        with pytest.raises(ConnectionError):
            await kept.write()
    assert await kept.write() == 6
    assert sorted(await paths(ctx)) == [f"/{number}" for number in range(6)]


async def test_what_was_written_though_no_answer_came_is_written_once(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = RequestLog()
    for number in range(3):
        note(kept, by_key(ctx), path=f"/{number}")

    async def write_and_break(*values: Any) -> None:
        await copy_rows(*values)
        raise ConnectionError

    with monkeypatch.context() as away:
        away.setattr(request_log, "copy_rows", write_and_break)
        with pytest.raises(ConnectionError):
            await kept.write()
    note(kept, by_key(ctx), path="/3")
    await kept.write()
    assert sorted(await paths(ctx)) == [f"/{number}" for number in range(4)]


async def test_the_oldest_give_way(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_log, "MAX_WAITING", 4)
    kept = RequestLog()
    for number in range(6):
        note(kept, by_key(ctx), path=f"/{number}")

    async def fail(*_: object) -> None:
        note(kept, by_key(ctx), path="/6")
        raise ConnectionError

    with monkeypatch.context() as away:
        away.setattr(request_log, "copy_rows", fail)
        with pytest.raises(ConnectionError):
            await kept.write()
    assert await kept.write() == 4
    assert sorted(await paths(ctx)) == ["/3", "/4", "/5", "/6"]


async def test_what_is_noted_is_written_before_the_end(ctx: Context) -> None:
    services = Services()
    async with request_log.writing(services):
        note(services.keep(RequestLog), by_key(ctx))
        await asyncio.sleep(0)
    assert await paths(ctx) == ["/v1/messages"]
