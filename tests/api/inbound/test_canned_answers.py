"""Canned answers: made, changed, told apart by name, and each mode's own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from msvs.api.context import Context
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest, NotFound, PermissionDenied
from msvs.api.inbound.canned_answers import (
    CreateCannedAnswer,
    UpdateCannedAnswer,
    create_canned_answer,
    delete_canned_answer,
    get_canned_answer,
    list_canned_answers,
    update_canned_answer,
)
from msvs.api.pages import PageRequest
from msvs.models import CannedAnswer, Role


async def names(ctx: Context) -> list[str]:
    return [row.name for row in (await list_canned_answers(ctx, PageRequest())).items]


async def test_a_canned_answer_is_made_changed_and_deleted(ctx: Context, live_ctx: Context) -> None:
    row = await create_canned_answer(ctx, CreateCannedAnswer(" Plan ", " Hi {firstName}, in three parts. "))
    assert (row.name, row.body) == ("Plan", "Hi {firstName}, in three parts.")
    await create_canned_answer(live_ctx, CreateCannedAnswer("Plan", "Live."))
    changed = await update_canned_answer(ctx, row.id, UpdateCannedAnswer(body="Soon."))
    assert (changed.name, changed.body) == ("Plan", "Soon.")
    assert (await update_canned_answer(ctx, row.id, UpdateCannedAnswer(name="Doors"))).body == "Soon."
    assert await names(ctx) == ["Doors"]
    assert await names(live_ctx) == ["Plan"]
    for run in (get_canned_answer, delete_canned_answer):
        with pytest.raises(NotFound):
            await run(live_ctx, row.id)
    await delete_canned_answer(ctx, row.id)
    assert await names(ctx) == []


async def test_a_name_is_taken_once(ctx: Context) -> None:
    first = await create_canned_answer(ctx, CreateCannedAnswer("Plan", "One."))
    second = await create_canned_answer(ctx, CreateCannedAnswer("Doors", "Two."))
    with pytest.raises(Conflict) as refused:
        await create_canned_answer(ctx, CreateCannedAnswer("Plan", "Three."))
    assert (refused.value.code, refused.value.param) == (ErrorCode.CANNED_ANSWER_EXISTS, "name")
    with pytest.raises(Conflict):
        await update_canned_answer(ctx, second.id, UpdateCannedAnswer(name="Plan"))
    await update_canned_answer(ctx, first.id, UpdateCannedAnswer(name="Plan"))
    assert await names(ctx) == ["Doors", "Plan"]


async def test_an_invalid_canned_answer_is_refused(ctx: Context) -> None:
    for data, param in (
        (CreateCannedAnswer(" ", "Text."), "name"),
        (CreateCannedAnswer("x" * 61, "Text."), "name"),
        (CreateCannedAnswer("Plan", ""), "body"),
        (CreateCannedAnswer("Plan", "x" * 1601), "body"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            await create_canned_answer(ctx, data)
        assert refused.value.param == param
    with pytest.raises(PermissionDenied):
        await create_canned_answer(replace(ctx, role=Role.READ_ONLY), CreateCannedAnswer("Plan", "Text."))
    assert await CannedAnswer.all().count() == 0
