"""Versions: of two who edit one thing, the later one overwrites nothing unseen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from msvs.api.accounts.workspaces import UpdateWorkspace, get_workspace, update_workspace
from msvs.api.contacts.contacts import UpdateContact, get_contact, update_contact
from msvs.api.contacts.lists import add_contacts, get_list, update_list
from msvs.api.contacts.segments import create_segment, get_segment, update_segment
from msvs.api.context import Context
from msvs.api.credits.credits import low_balance_threshold
from msvs.api.errors import Conflict
from msvs.api.ids import CONTACT, CONTACT_LIST, encode_id
from msvs.api.inbound.canned_answers import (
    CreateCannedAnswer,
    UpdateCannedAnswer,
    canned_answer_version,
    create_canned_answer,
    get_canned_answer,
    update_canned_answer,
)
from msvs.api.inbound.keywords import CreateKeyword, UpdateKeyword, create_keyword, get_keyword, update_keyword
from msvs.api.resources import (
    contact_list_version,
    contact_version,
    keyword_version,
    segment_version,
    webhook_version,
    workspace_version,
)
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks.endpoints import UpdateWebhook, get_webhook, update_webhook
from msvs.models import CannedAnswer, Contact, ContactList, Keyword, Segment, WebhookEndpoint
from tests import factories

VIP = {"field": "attributes.tier", "op": "eq", "value": "vip"}


@dataclass(frozen=True)
class Kind:
    """A thing that is edited: how it is made, its version read, and its name (or what stands for it) changed."""

    make: Callable[[Context], Awaitable[Any]]
    version: Callable[[Context, Any], Awaitable[str]]
    change: Callable[..., Awaitable[Any]]
    value: Callable[[Context, Any], Awaitable[object]]
    values: tuple[str, str] = ("Mine", "Theirs")


async def _list_of(ctx: Context) -> ContactList:
    return await factories.make_list(ctx, [])


async def _keyword(ctx: Context) -> Keyword:
    return await create_keyword(ctx, CreateKeyword("COHORT", encode_id(CONTACT_LIST, (await _list_of(ctx)).id)))


async def _webhook(ctx: Context) -> WebhookEndpoint:
    return await WebhookEndpoint.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        url="https://hooks.cohortlabs.co/in",
        events=["*"],
        secret_sealed="",
        created_by="key_1",
    )


async def _canned(ctx: Context) -> CannedAnswer:
    return await create_canned_answer(ctx, CreateCannedAnswer("Plan", "In three parts."))


async def _contact(ctx: Context) -> Contact:
    return await factories.make_contact(ctx)


async def _segment(ctx: Context) -> Segment:
    return await create_segment(ctx, "VIPs", VIP)


async def _workspace(ctx: Context) -> None:
    return None


async def _workspace_version(ctx: Context, row: None) -> str:
    return workspace_version(await get_workspace(ctx), await low_balance_threshold(ctx))


KINDS = {
    "contact": Kind(
        _contact,
        lambda ctx, row: _of(contact_version, get_contact(ctx, row.id)),
        lambda ctx, row, text, **more: update_contact(ctx, row.id, UpdateContact(first_name=text, **more)),
        lambda ctx, row: _of(lambda found: found.first_name, get_contact(ctx, row.id)),
    ),
    "list": Kind(
        _list_of,
        lambda ctx, row: _of(contact_list_version, get_list(ctx, row.id)),
        lambda ctx, row, text, **more: update_list(ctx, row.id, text, **more),
        lambda ctx, row: _of(lambda found: found.name, get_list(ctx, row.id)),
    ),
    "segment": Kind(
        _segment,
        lambda ctx, row: _of(segment_version, get_segment(ctx, row.id)),
        lambda ctx, row, text, **more: update_segment(ctx, row.id, name=text, **more),
        lambda ctx, row: _of(lambda found: found.name, get_segment(ctx, row.id)),
    ),
    "keyword": Kind(
        _keyword,
        lambda ctx, row: _of(keyword_version, get_keyword(ctx, row.id)),
        lambda ctx, row, text, **more: update_keyword(ctx, row.id, UpdateKeyword(reply=text, **more)),
        lambda ctx, row: _of(lambda found: found.reply, get_keyword(ctx, row.id)),
    ),
    "canned answer": Kind(
        _canned,
        lambda ctx, row: _of(canned_answer_version, get_canned_answer(ctx, row.id)),
        lambda ctx, row, text, **more: update_canned_answer(ctx, row.id, UpdateCannedAnswer(name=text, **more)),
        lambda ctx, row: _of(lambda found: found.name, get_canned_answer(ctx, row.id)),
    ),
    "webhook": Kind(
        _webhook,
        lambda ctx, row: _of(webhook_version, get_webhook(ctx, row.id)),
        lambda ctx, row, text, **more: update_webhook(ctx, row.id, UpdateWebhook(description=text, **more)),
        lambda ctx, row: _of(lambda found: found.description, get_webhook(ctx, row.id)),
    ),
    "workspace": Kind(
        _workspace,
        _workspace_version,
        lambda ctx, row, text, **more: update_workspace(ctx, UpdateWorkspace(help_text=text, **more)),
        lambda ctx, row: _of(lambda found: found.help_text, get_workspace(ctx)),
    ),
}


async def _of(read: Callable[[Any], Any], found: Awaitable[Any]) -> Any:
    return read(await found)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_a_change_of_an_older_version_changes_nothing(kind: Kind, ctx: Context) -> None:
    async def change(text: str, **more: str) -> None:
        async with unit_of_work():
            await kind.change(ctx, row, text, **more)

    async with unit_of_work():
        row = await kind.make(ctx)
    read = await kind.version(ctx, row)
    mine, theirs = kind.values
    await change(mine, version=read)
    standing = await kind.version(ctx, row)
    assert standing != read
    with pytest.raises(Conflict) as refused:
        await change(theirs, version=read)
    assert (refused.value.code, refused.value.param, refused.value.status) == ("version_conflict", "version", 409)
    assert standing in refused.value.message
    assert await kind.value(ctx, row) == mine
    # One that is not given is not asked for, and what changes nothing keeps it.
    await change(mine)
    assert await kind.version(ctx, row) == standing
    await change(theirs, version=standing)
    assert await kind.value(ctx, row) == theirs


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_of_two_at_once_one_is_kept(kind: Kind, ctx: Context) -> None:
    async def change(text: str) -> str | None:
        try:
            async with unit_of_work():
                await kind.change(ctx, row, text, version=read)
        except Conflict as error:
            return error.code
        return None

    async with unit_of_work():
        row = await kind.make(ctx)
    read = await kind.version(ctx, row)
    outcomes = await asyncio.gather(*(change(text) for text in kind.values))
    assert sorted(outcomes, key=str) == [None, "version_conflict"]
    assert await kind.value(ctx, row) == kind.values[outcomes.index(None)]


async def test_members_do_not_change_the_version_of_a_list(ctx: Context) -> None:
    row = await _list_of(ctx)
    contact = await factories.make_contact(ctx)
    before = await KINDS["list"].version(ctx, row)
    async with unit_of_work():
        await add_contacts(ctx, row.id, [encode_id(CONTACT, contact.id)])
    assert await KINDS["list"].version(ctx, row) == before
