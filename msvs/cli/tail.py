"""Follow what happens in a workspace."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from msvs.cli.common import (
    JSON,
    Arguments,
    Whole,
    contexts,
    find_workspace_of,
    in_database,
    main_command,
    mode_option,
    printable,
    services_of_command,
    workspace_option,
)
from msvs.settings import Settings

if TYPE_CHECKING:
    from msvs.api.context import Context
    from msvs.models.rows import EventRow

LOOK_SECONDS = 0.5
# Fields of what people wrote or are called, and what customers keep of them.
HIDDEN = frozenset(
    ("answers", "attributes", "body", "description", "email", "first_name", "last_name", "metadata", "name", "text")
)
# What is no sentence: an id, a code, a time, a number.
_token = re.compile(r"[\w.:+•/-]{1,64}")


@main_command(
    "tail",
    workspace_option(),
    mode_option(required=False, help="only this mode; both if left out"),
    click.Option(["--type", "types"], multiple=True, metavar="TYPE", help="only events of this type; repeatable"),
    click.Option(["--object", "object_id"], metavar="ID", help="only events about this, such as msg_… or con_…"),
    click.Option(["--campaign"], metavar="CMP_ID", help="only events of this campaign and its messages"),
    click.Option(["--after"], metavar="EVT_ID", help="begin a little before this event, not now"),
    click.Option(["--count"], type=Whole(1, 10**9), metavar="N", help="end after so many events"),
    JSON,
)
def tail(settings: Settings, arguments: Arguments) -> None:
    """Follow events until a signal, or the count, ends it."""
    in_database(settings, _follow(arguments), unlocks=False)


async def _follow(arguments: Arguments) -> None:
    _check_types(arguments.types)
    # What asyncpg says of a lost connection is said below.
    logging.getLogger("asyncpg").addHandler(logging.NullHandler())
    workspace_id = await find_workspace_of(arguments)
    left = arguments.count
    async for row in _events(contexts(services_of_command(), workspace_id, arguments.mode), arguments.after):
        data: Mapping[str, object] = json.loads(row.data)
        if not _is_wanted(arguments, row.type, data):
            continue
        print(_line(arguments, row, data), flush=True)
        if left is not None:
            left -= 1
            if not left:
                return


def _check_types(types: Sequence[str]) -> None:
    from msvs.api.webhooks.events import EventType

    for each in types:
        if each not in set(EventType):
            raise click.UsageError(f"There is no event {each!r}.")


async def _events(modes: Sequence[Context], after: str | None) -> AsyncIterator[EventRow]:
    """Yield events for ever; while the database is away, wait for it."""
    from msvs.api import ids
    from msvs.api.webhooks.event_tail import EventTail
    from msvs.workers.retrying import is_away, is_stuck

    tails = [EventTail(ctx, ids.read_optional_id(ids.EVENT, after, "after")) for ctx in modes]
    has_begun = is_lost = False
    while True:
        try:
            for each in tails:
                async for row in each.look():
                    has_begun = True
                    yield row
                has_begun = True
        except Exception as error:
            # What cannot be reached at the start is told as any command tells it.
            if not has_begun or not (is_away(error) or is_stuck(error)):
                raise
            if not is_lost:
                print("msvs: the database is away; waiting for it", file=sys.stderr, flush=True)
            is_lost = True
        else:
            if is_lost:
                print("msvs: the database is back", file=sys.stderr, flush=True)
            is_lost = False
        await asyncio.sleep(LOOK_SECONDS)


def _is_wanted(arguments: Arguments, type: str, data: Mapping[str, object]) -> bool:
    if arguments.types and type not in arguments.types:
        return False
    if arguments.object_id is not None and arguments.object_id not in data.values():
        return False
    campaign = arguments.campaign
    return campaign is None or campaign in (data.get("id"), data.get("campaign_id"))


def _line(arguments: Arguments, row: EventRow, data: Mapping[str, object]) -> str:
    from msvs.api import ids
    from msvs.api.resources import moment

    event_id, created_at = ids.encode_id(ids.EVENT, row.id), moment(row.created_at)
    shown = masked(data)
    if arguments.json:
        event = {"id": event_id, "type": row.type, "livemode": row.livemode, "created_at": created_at, "data": shown}
        return printable(json.dumps(event, ensure_ascii=False))
    told = [shown.get(name) for name in ("id", "to", "phone", "from", "status", "code")]
    mode = "live" if row.livemode else "test"
    about = "  ".join(str(each) for each in told if isinstance(each, str))
    return printable(f"{created_at}  {mode}  {row.type:24}  {about}  ({event_id})")


def masked(data: Mapping[str, object]) -> dict[str, object]:
    """Return what an event says with phones masked as in logs, and without texts and what people are called."""
    return {name: _masked(name, value) for name, value in data.items()}


def _masked(name: str, value: object) -> object:
    from msvs import logs

    if value is None or isinstance(value, bool | int | float):
        return value
    if name in HIDDEN:
        return logs.MASK
    if isinstance(value, dict):
        return masked(value)
    if isinstance(value, list):
        return [_masked(name, each) for each in value]
    text = logs.mask(str(value))
    return text if _token.fullmatch(text) else logs.MASK
