"""Audiences: what an expansion writes, row by row, against the messages and events made one at a time."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

import msgspec
import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.campaigns import audiences, campaigns, lifecycle
from msvs.api.campaigns.audiences import Regions
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.campaigns.variants import Content
from msvs.api.context import Context
from msvs.api.ids import new_id
from msvs.api.resources import message_resource
from msvs.api.text.templates import compile_template
from msvs.api.unit_of_work import unit_of_work
from msvs.models import (
    Campaign,
    Contact,
    Event,
    Message,
    OptInStatus,
    Segment,
    WebhookDelivery,
    WebhookEndpoint,
    Workspace,
)
from tests import factories
from tests.services import SERVICES

NAMES = (
    "Maria",
    'Ana "Nita" O\'Neil',
    "back\\slash/and\ttab\nline",
    "José €[]",
    "Łukasz",
    "👩🏽‍🌾🇧🇷",
    "\x01\x7f\x85",
    " ",
    "",
    None,
    "{firstName}",
    "x" * 100,
)
NOW = datetime(2026, 11, 23, 3, 4, 5, 678901, tzinfo=UTC)
BODIES = (
    "Hi",
    "Hi {firstName}",
    "Hi {first_name|there}, {last_name|}",
    "Zażółć {firstName|gęślą} {email|-} {phone}",
    "{city|nowhere}: {firstName|you}",
    "{lastName}" + "long " * 310,
)


pytestmark = pytest.mark.usefixtures("virtual_live")


async def _people(ctx: Context) -> list[Contact]:
    statuses = cycle([OptInStatus.OPTED_IN] * 7 + [OptInStatus.UNKNOWN, OptInStatus.OPTED_OUT])
    places = cycle(
        [("US", "+1415555{:04}"), ("BR", "+55119612{:05}"), ("GB", "+4479119{:05}"), (None, "+55119613{:05}")]
    )
    zones = cycle([None, "Europe/Paris", None, "Asia/Tokyo", "America/New_York"])
    lasts = cycle(NAMES[::-1] + NAMES[:5])
    return [
        await factories.make_contact(
            ctx,
            phone.format(number),
            status=next(statuses),
            region=region,
            number_kind="mobile",
            first_name=name,
            last_name=next(lasts),
            email=None if number % 3 else f"{number}@cohortlabs.co",
            timezone=next(zones),
            attributes={"City": name} if number % 2 else {},
        )
        for number, (name, (region, phone)) in enumerate(zip(NAMES * 4, places, strict=False))
    ]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("quiet_hours", [False, True])
async def test_an_expansion_writes_what_one_message_at_a_time_would(
    live_ctx: Context, monkeypatch: pytest.MonkeyPatch, body: str, quiet_hours: bool
) -> None:
    # So that one chunk has several pieces, and more bodies than are kept.
    monkeypatch.setattr(audiences, "PIECE", 7)
    monkeypatch.setattr(audiences, "KEPT_BODIES", 3)
    ctx = live_ctx
    people = await _people(ctx)
    await Workspace.filter(id=ctx.workspace_id).update(blocked_regions=["GB"], campaigns_admit_unknown=quiet_hours)
    listed = await factories.make_list(ctx, people)
    async with unit_of_work():
        campaign = await campaigns.create_campaign(
            ctx,
            CreateCampaign(
                "All",
                body,
                list_ids=[listed.id],
                metadata={'quote"d': "\\ ñ", "empty": ""},
                quiet_hours=quiet_hours,
                expires_at=datetime.now(UTC) + timedelta(days=2) if quiet_hours else None,
            ),
        )
    async with unit_of_work():
        await lifecycle.start_campaign(SERVICES, campaign.id, NOW)
    gone = people[3]
    await gone.delete()
    workspace = await Workspace.get(id=ctx.workspace_id)
    campaign = await Campaign.get(id=campaign.id)
    async with unit_of_work():
        assert await audiences.expand_chunk(SERVICES, campaign.id, now=NOW) == len(people)
    messages = {row.contact_id: row for row in await Message.filter(campaign_id=campaign.id)}
    events = {row.resource_id: row for row in await Event.filter(type__in=["message.queued", "message.skipped"])}
    assert (len(messages), len(events)) == (len(people), len(people))
    content = Content(body, campaign.sender, compile_template(body))
    seen = _Seen(campaign, workspace.campaigns_admit_unknown)
    for person in people:
        message = messages[person.id]
        recipient = _Recipient(person, None if person.id == gone.id else person.id)
        draft = audiences.make_message(seen, recipient, content, Regions.of(workspace), {}, NOW)
        assert draft.links == ()
        for name in draft.__slots__:
            assert name in ("id", "links", "shown", "trace") or getattr(message, name) == getattr(draft, name), name
        assert (message.opted_out, message.attempt_count, message.carrier) == (False, 0, None)
        event = events[message.id]
        assert event.data == msgspec.json.encode(message_resource(message)).decode()
        assert event.type == ("message.queued" if message.error_code is None else "message.skipped")
        assert (event.workspace_id, event.livemode, event.created_at) == (ctx.workspace_id, True, NOW)
        assert ids.id_time(event.id) - datetime.now(UTC) < timedelta(minutes=1)
    assert {row.error_code for row in messages.values()} >= {None, "recipient_deleted", "region_blocked"}


async def test_an_audience_has_everybody_once(ctx: Context) -> None:
    people = [await factories.make_contact(ctx, first_name="Maria" if number % 2 else None) for number in range(6)]
    first = await factories.make_list(ctx, people[:3], name="First")
    second = await factories.make_list(ctx, people[1:4], name="Second")
    segment = await Segment.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        name="Maria",
        conditions={"field": "first_name", "op": "eq", "value": "Maria"},
    )
    given: dict[str, dict[str, Any]] = {
        "list": {"list_ids": [ids.encode_id(ids.CONTACT_LIST, first.id)]},
        "lists": {"list_ids": [ids.encode_id(ids.CONTACT_LIST, each.id) for each in (first, second, first)]},
        "contacts": {"contact_ids": [ids.encode_id(ids.CONTACT, people[number].id) for number in (5, 4, 5)]},
        "segment": {"segment_id": ids.encode_id(ids.SEGMENT, segment.id)},
        "no longer": {"segment_id": ids.encode_id(ids.SEGMENT, new_id())},
    }
    given["all"] = {**given["lists"], **given["contacts"], **given["segment"]}
    found: dict[str, list[int]] = {}
    for name, audience in given.items():
        members = await audiences.members_sql(ctx, audience)
        rows = await db.fetch(
            f"SELECT members.id FROM ({members.sql}) AS members (id), (SELECT $1::uuid, $2::bool) AS caller",
            *members.values,
        )
        numbers = {person.id: number for number, person in enumerate(people)}
        found[name] = sorted(numbers[row.id] for row in rows)
        assert await audiences.estimate_credits(ctx, members, compile_template("Hi"), None, admit_unknown=False) == len(
            rows
        )
    assert found == {
        "list": [0, 1, 2],
        "lists": [0, 1, 2, 3],
        "contacts": [4, 5],
        "segment": [1, 3, 5],
        "no longer": [],
        "all": [0, 1, 2, 3, 4, 5],
    }


async def test_an_expansion_queues_a_delivery_for_each_endpoint_that_subscribed(
    live_ctx: Context, other_ctx: Context
) -> None:
    async def endpoint(ctx: Context, *events: str, livemode: bool = True, enabled: bool = True) -> WebhookEndpoint:
        return await WebhookEndpoint.create(
            workspace_id=ctx.workspace_id,
            livemode=livemode,
            url="https://cohortlabs.co/hook",
            events=list(events),
            enabled=enabled,
            secret_sealed="sealed",
        )

    queued = await endpoint(live_ctx, "message.queued")
    skipped = await endpoint(live_ctx, "message.skipped", "message.sent")
    everything = await endpoint(live_ctx, "*")
    await endpoint(live_ctx, "*", livemode=False)
    await endpoint(live_ctx, "*", enabled=False)
    await endpoint(other_ctx, "*")
    people = [await factories.make_contact(live_ctx) for _ in range(3)]
    people += [await factories.make_contact(live_ctx, status=OptInStatus.OPTED_OUT) for _ in range(2)]
    listed = await factories.make_list(live_ctx, people)
    async with unit_of_work():
        campaign = await campaigns.create_campaign(live_ctx, CreateCampaign("All", "Hi", list_ids=[listed.id]))
    async with unit_of_work():
        await lifecycle.start_campaign(SERVICES, campaign.id, NOW)
    await WebhookDelivery.all().delete()
    async with unit_of_work():
        assert await audiences.expand_chunk(SERVICES, campaign.id, now=NOW) == 5
    types = dict(await Event.all().values_list("id", "type"))
    found = Counter((row.endpoint_id, types[row.event_id]) for row in await WebhookDelivery.all())
    assert found == {
        (queued.id, "message.queued"): 3,
        (skipped.id, "message.skipped"): 2,
        (everything.id, "message.queued"): 3,
        (everything.id, "message.skipped"): 2,
    }


class _Seen:
    """A campaign as an expansion reads it, with what its workspace admits."""

    def __init__(self, campaign: Campaign, admits_unknown: bool) -> None:
        self._campaign = campaign
        self.campaigns_admit_unknown = admits_unknown
        self.rates = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._campaign, name)


class _Recipient:
    """A contact as an expansion reads it; `id` is None where it is gone."""

    def __init__(self, contact: Contact, id: object) -> None:
        self._contact = contact
        self.id = id
        self.contact_id = contact.id
        self.exclusion = None
        self.is_unreachable = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._contact, name)
