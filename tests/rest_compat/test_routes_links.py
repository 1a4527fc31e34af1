"""Short links from the body to the click: redirects, programs, expiry, guesses, and who is told."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette

from msvs import database as db
from msvs.api import ids
from msvs.api.accounts.keys import create_key
from msvs.api.campaigns import audiences
from msvs.api.contacts.segments import create_segment
from msvs.api.context import Context
from msvs.api.messages import clicks
from msvs.api.messages.clicks import Click, Clicks, record_clicks
from msvs.api.privacy.erasure import erase_contact
from msvs.api.unit_of_work import in_unit_of_work, unit_of_work
from msvs.models import Contact, CreditBalance, Event, Message, ShortLink
from msvs.workers import campaigns as workers
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.retention import drop_rows
from tests.apps import BASE_URL, running_app, settings_for
from tests.engines import Engines
from tests.factories import make_contact, make_list
from tests.rest_compat.conftest import Client
from tests.rest_compat.making import get, post, refused
from tests.services import SERVICES

PHONE = {"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1"}
TARGET = "https://cohortlabs.co/cart"
BODY = f"Cart closes tonight: {TARGET}"
codes_of = re.compile(r"https?://[^/ ]+/([0-9A-Za-z]{11})(?![0-9A-Za-z/?])").findall


@pytest.fixture
async def browser(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with a phone who follows links."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE_URL, headers=PHONE) as browser:
        yield browser


async def settle() -> None:
    """Have the clicks of the application written."""
    await SERVICES.keep(Clicks).write(SERVICES)


async def send(api: httpx.AsyncClient, body: str = BODY, **more: Any) -> tuple[dict[str, Any], str]:
    message = await post(api, "/v1/messages", to="+12125550111", body=body, shorten_links=True, **more)
    (code,) = codes_of(message["body"])
    return message, code


async def test_a_click_leads_on_and_is_told_once(
    app: Starlette,
    api: httpx.AsyncClient,
    browser: httpx.AsyncClient,
) -> None:
    message, code = await send(api)
    assert re.fullmatch(rf"Cart closes tonight: https?://[^/]+/{code}", message["body"])
    for _ in range(3):
        answer = await browser.get(f"/{code}")
        assert (answer.status_code, answer.headers["Location"]) == (302, TARGET)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
    await settle()
    links = await get(api, f"/v1/messages/{message['id']}/links")
    (link,) = links["data"]
    assert (link["url"], link["position"], link["clicks"]) == (TARGET, 0, 3)
    assert message["body"].endswith(link["short_url"])
    (event,) = (await get(api, "/v1/events", type="message.clicked"))["data"]
    assert event["data"]["id"] == message["id"]
    assert event["data"]["click"] == {"url": TARGET, "position": 0, "clicked_at": link["first_clicked_at"]}


async def test_a_redirect_can_say_every_target(
    app: Starlette,
    api: httpx.AsyncClient,
    browser: httpx.AsyncClient,
) -> None:
    """Also a phone whose name holds the word of a program is a person's."""
    _, code = await send(api, "Go: https://münchen.example.de/日本\x01?a={a}", variables={"a": "é\r\nSet-Cookie: x"})
    answer = await browser.get(f"/{code}", headers={"User-Agent": "Mozilla/5.0 (Linux; Android 9; CUBOT_X18)"})
    target = "https://xn--mnchen-3ya.example.de/%E6%97%A5%E6%9C%AC%01?a=%C3%A9%0D%0ASet-Cookie%3A%20x"
    assert (answer.status_code, answer.headers["Location"]) == (302, target)
    assert "Set-Cookie" not in answer.headers
    await settle()
    assert (await ShortLink.get(code=code)).clicks == 1


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Instagram 300.0",
        "Opera/9.80 (Android; Opera Mini/36.2/191.303; U; pt) Presto/2.12.423 Version/12.16",
        "UCWEB/2.0 (MIDP-2.0; U; Adr 9; pt-BR) U2/1.0.0 UCBrowser/10.7.6 U2/1.0.0 Mobile",
        "Nokia6100/1.0 (04.01) Profile/MIDP-1.0 Configuration/CLDC-1.0",
    ],
)
async def test_browsers_of_people_are_counted(
    app: Starlette, api: httpx.AsyncClient, browser: httpx.AsyncClient, agent: str
) -> None:
    _, code = await send(api)
    await browser.get(f"/{code}", headers={"User-Agent": agent})
    await settle()
    assert (await ShortLink.get(code=code)).clicks == 1


async def test_a_merge_moves_the_clicks(
    app: Starlette, api: httpx.AsyncClient, browser: httpx.AsyncClient, ctx: Context
) -> None:
    message, code = await send(api)
    await browser.get(f"/{code}")
    await settle()
    kept = await make_contact(ctx)
    await post(api, f"/v1/contacts/{ids.encode_id(ids.CONTACT, kept.id)}/merge", 200, contact_id=message["contact_id"])
    assert await _found(ctx, {"clicked": "any"}) == {kept.id}


async def test_without_the_option_a_body_stays_as_it_is(api: httpx.AsyncClient) -> None:
    message = await post(api, "/v1/messages", to="+12125550111", body=BODY)
    assert message["body"] == BODY
    assert (await get(api, f"/v1/messages/{message['id']}/links"))["data"] == []
    assert await ShortLink.all().count() == 0


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("HEAD", {}),
        ("GET", {"User-Agent": "facebookexternalhit/1.1"}),
        ("GET", {"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}),
        ("GET", {"User-Agent": "curl/8.5.0"}),
        ("GET", {"User-Agent": ""}),
        ("GET", {"Sec-Purpose": "prefetch;prerender"}),
        ("GET", {"Purpose": "prefetch"}),
        ("GET", {"X-Moz": "prefetch"}),
        ("GET", {"User-Agent": "CUBOT_X18 curl/8.5.0"}),
        ("GET", {"User-Agent": "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1) Trend Micro WTP"}),
        ("GET", {"User-Agent": "http.rb/5.1.1 (Mastodon/4.0.2; +https://social.example/)"}),
        ("GET", {"User-Agent": "Messenger/7 CFNetwork/1410 Darwin/22.6.0"}),
        ("GET", {"User-Agent": "Dart/3.0 (dart:io)"}),
    ],
)
async def test_a_program_is_led_on_and_not_counted(
    app: Starlette,
    api: httpx.AsyncClient,
    browser: httpx.AsyncClient,
    method: str,
    headers: dict[str, str],
) -> None:
    _, code = await send(api)
    answer = await browser.request(method, f"/{code}", headers=headers)
    assert (answer.status_code, answer.headers["Location"]) == (302, TARGET)
    await settle()
    assert (await ShortLink.get(code=code)).clicks == 0
    assert (await get(api, "/v1/events", type="message.clicked"))["data"] == []


async def test_an_unknown_link_is_a_page_and_an_expired_one_is_gone(
    app: Starlette,
    api: httpx.AsyncClient,
    browser: httpx.AsyncClient,
) -> None:
    _, code = await send(api)
    missing = await browser.get("/AAAAAAAAAAA")
    assert (missing.status_code, "does not exist" in missing.text) == (404, True)
    await db.execute("UPDATE short_links SET expires_at = now() - interval '1 second'")
    gone = await browser.get(f"/{code}")
    assert (gone.status_code, "expired" in gone.text, "Location" in gone.headers) == (410, True, False)
    assert TARGET not in gone.text
    await settle()
    assert (await ShortLink.get(code=code)).clicks == 0
    now = datetime.now(UTC)
    assert await drop_rows(SERVICES, "short_links", now=now) == 0
    assert await drop_rows(SERVICES, "short_links", now=now + timedelta(days=31)) == 1


async def test_guesses_are_limited(app: Starlette, api: httpx.AsyncClient, browser: httpx.AsyncClient) -> None:
    _, code = await send(api)
    transport = httpx.ASGITransport(app, client=("198.51.100.7", 4711))
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL, headers=PHONE) as guesser:
        statuses = [(await guesser.get(f"/{number:011d}")).status_code for number in range(80)]
        assert (statuses[0], 429 in statuses) == (404, True)
        assert set(statuses) == {404, 429}
        # Nothing is looked up for a network that guesses, so that it learns of no code.
        statuses = [(await guesser.get(f"/{number:011d}")).status_code for number in range(30)]
        assert (await guesser.get(f"/{code}")).status_code == 429
    assert (await browser.get(f"/{code}")).status_code == 302


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/x", "https://intranet/x", "https://a@cohortlabs.co/", "https://{x}/"]
)
async def test_a_link_to_no_public_host_is_refused_and_nothing_is_sent(api: httpx.AsyncClient, url: str) -> None:
    body = {"to": "+12125550111", "body": f"See {url}", "variables": {"x": "a.co"}, "shorten_links": True}
    assert await refused(await api.post("/v1/messages", json=body)) == (400, "url_invalid", "body")
    campaign = {"name": "A", "body": f"See {url}", "audience": {}, "draft": True, "shorten_links": True}
    assert await refused(await api.post("/v1/campaigns", json=campaign)) == (400, "url_invalid", "body")
    assert await Message.all().count() == await ShortLink.all().count() == 0


async def test_a_target_is_sealed(api: httpx.AsyncClient) -> None:
    _, code = await send(api)
    for change in ("url = 'https://evil.example.com'", "message_id = gen_random_uuid()", "code = 'AAAAAAAAAAA'"):
        with pytest.raises(asyncpg.CheckViolationError):
            await db.execute(f"UPDATE short_links SET {change}")
    assert (await ShortLink.get(code=code)).url == TARGET


async def make_campaign(api: httpx.AsyncClient, ctx: Context, number: int, **more: Any) -> tuple[str, list[Contact]]:
    contacts = [await make_contact(ctx, first_name=f"N{place}") for place in range(number)]
    listed = await make_list(ctx, contacts)
    audience = {"list_ids": [ids.encode_id(ids.CONTACT_LIST, listed.id)]}
    body = "Hey {firstName}: https://cohortlabs.co/?n={firstName} or https://cohortlabs.co/help"
    more = {"body": body, "utm": {"source": "sms"}, **more}
    made = await post(api, "/v1/campaigns", name="Close", audience=audience, shorten_links=True, **more)
    return made["id"], contacts


async def test_a_campaign_has_links_for_each_recipient_and_counts_their_clicks(
    app: Starlette,
    api: httpx.AsyncClient,
    browser: httpx.AsyncClient,
    ctx: Context,
) -> None:
    id, contacts = await make_campaign(api, ctx, 30)
    await expand_campaigns(SERVICES)
    links = await ShortLink.all().order_by("message_id", "position")
    assert len(links) == len({link.code for link in links}) == 60
    for message in await Message.all():
        own = [link for link in links if link.message_id == message.id]
        assert codes_of(message.body) == [link.code for link in own]
        name = next(contact.first_name for contact in contacts if contact.id == message.contact_id)
        assert [link.url for link in own] == [
            f"https://cohortlabs.co/?n={name}&utm_source=sms",
            "https://cohortlabs.co/help?utm_source=sms",
        ]
        assert {(link.campaign_id, link.contact_id) for link in own} == {(message.campaign_id, message.contact_id)}
        # The event says what is sent.
        event = await Event.get(resource_id=message.id, type="message.queued")
        assert json.loads(event.data)["body"] == message.body
    first, other = links[0], next(link for link in links if link.message_id != links[0].message_id)
    for link in (first, first, links[1], other):
        assert (await browser.get(f"/{link.code}")).status_code == 302
    await settle()
    stats = (await get(api, f"/v1/campaigns/{id}"))["stats"]
    assert (stats["recipients"], stats["clicks"], stats["unique_clicks"]) == (30, 4, 2)
    assert len((await get(api, "/v1/events", type="message.clicked"))["data"]) == 3
    assert await _found(ctx, {"clicked": id}) == {first.contact_id, other.contact_id}
    assert await _found(ctx, {"clicked": "any", "within_days": 1}) == {first.contact_id, other.contact_id}
    assert await _found(ctx, {"all": [{"clicked": ids.encode_id(ids.CAMPAIGN, ids.new_id())}]}) == set()


async def test_clicks_of_a_campaign_outlive_its_links(
    app: Starlette, api: httpx.AsyncClient, browser: httpx.AsyncClient, ctx: Context
) -> None:
    id, _ = await make_campaign(api, ctx, 4)
    await expand_campaigns(SERVICES)
    links = await ShortLink.all().order_by("message_id", "position")
    first, second, third = links[0], links[1], links[2]
    for link in (second, second, first, third):
        await browser.get(f"/{link.code}")
        await settle()

    async def told() -> Any:
        stats = (await get(api, f"/v1/campaigns/{id}"))["stats"]
        shown = await get(api, f"/v1/campaigns/{id}/links")
        return stats["clicks"], stats["unique_clicks"], shown["data"]

    expected = [
        {"url": "https://cohortlabs.co/?n={firstName}&utm_source=sms", "clicks": 2, "unique_clicks": 2},
        {"url": "https://cohortlabs.co/help?utm_source=sms", "clicks": 2, "unique_clicks": 1},
    ]
    shown = [{"object": "campaign_link", "position": place, **each} for place, each in enumerate(expected)]
    assert await told() == (4, 2, shown)
    far = datetime.now(UTC) + timedelta(days=400)
    # What nobody clicked goes some time after it expires, the rest with its messages.
    assert await drop_rows(SERVICES, "short_links", now=far) == 5
    assert await drop_rows(SERVICES, "clicked_links", now=far) == 0
    assert {link.code for link in await ShortLink.all()} == {first.code, second.code, third.code}
    assert await told() == (4, 2, shown)
    await send(api)
    await db.execute("DELETE FROM messages WHERE campaign_id IS NOT NULL")
    assert await drop_rows(SERVICES, "clicked_links", now=far) == 3
    assert await ShortLink.filter(campaign_id=first.campaign_id).count() == 0
    stats = (await get(api, f"/v1/campaigns/{id}"))["stats"]
    assert (stats["clicks"], stats["unique_clicks"]) == (4, 2)


async def test_erasing_who_clicked_leaves_the_counts(
    app: Starlette, api: httpx.AsyncClient, browser: httpx.AsyncClient, ctx: Context
) -> None:
    id, contacts = await make_campaign(api, ctx, 2)
    await expand_campaigns(SERVICES)
    await db.execute("UPDATE messages SET status = 'delivered'")
    link = await ShortLink.get(contact_id=contacts[0].id, position=1)
    await browser.get(f"/{link.code}")
    await settle()
    await in_unit_of_work(lambda: erase_contact(ctx, contacts[0].id))
    assert await ShortLink.filter(contact_id=contacts[0].id).count() == 0
    shown = await get(api, f"/v1/campaigns/{id}/links")
    assert [(each["clicks"], each["unique_clicks"]) for each in shown["data"]] == [(0, 0), (1, 1)]
    assert (await get(api, f"/v1/campaigns/{id}"))["stats"]["unique_clicks"] == 1


async def test_clicks_at_once_on_the_links_of_one_message_count_it_once(api: httpx.AsyncClient, ctx: Context) -> None:
    id, _ = await make_campaign(api, ctx, 3)
    await expand_campaigns(SERVICES)
    codes = [link.code for link in await ShortLink.all()]
    at = datetime.now(UTC)

    async def click(number: int) -> None:
        some = codes[number % len(codes) :] + codes[: number % len(codes)]
        await in_unit_of_work(lambda: record_clicks(SERVICES, [Click(code, at) for code in some[:4]]))

    await asyncio.gather(*(click(number) for number in range(24)))
    stats = (await get(api, f"/v1/campaigns/{id}"))["stats"]
    assert (stats["clicks"], stats["unique_clicks"]) == (96, 3)
    shown = await get(api, f"/v1/campaigns/{id}/links")
    assert [(each["clicks"], each["unique_clicks"]) for each in shown["data"]] == [(48, 3), (48, 3)]
    assert await db.fetch_value("SELECT sum(clicks) FROM short_links") == 96


async def test_a_click_that_is_taken_back_is_not_tallied(api: httpx.AsyncClient, ctx: Context) -> None:
    id, _ = await make_campaign(api, ctx, 1)
    await expand_campaigns(SERVICES)
    code = (await ShortLink.all())[0].code

    async def undone() -> None:
        await record_clicks(SERVICES, [Click(code, datetime.now(UTC))])
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await in_unit_of_work(undone)
    assert (await get(api, f"/v1/campaigns/{id}"))["stats"]["clicks"] == 0
    assert await Event.filter(type="message.clicked").count() == 0


async def test_a_campaign_without_short_links_lists_none_and_strangers_learn_nothing(
    client: Client, api: httpx.AsyncClient, ctx: Context, other_ctx: Context, live_ctx: Context
) -> None:
    id, _ = await make_campaign(api, ctx, 1, utm=None)
    plain = await post(api, "/v1/campaigns", name="A", body=BODY, audience={}, draft=True)
    assert (await get(api, f"/v1/campaigns/{plain['id']}/links"))["data"] == []
    assert len((await get(api, f"/v1/campaigns/{id}/links"))["data"]) == 2
    for other in (other_ctx, live_ctx):
        assert (await (await client(other)).get(f"/v1/campaigns/{id}/links")).status_code == 404


async def test_a_test_of_a_campaign_has_its_utm_parameters(api: httpx.AsyncClient, ctx: Context) -> None:
    id, _ = await make_campaign(api, ctx, 1, draft=True, utm={"source": "sms", "campaign": "six"})
    sent = await post(api, f"/v1/campaigns/{id}/test", 200, to=["+12125550123"], variables={"firstName": "Ann"})
    links = await get(api, f"/v1/messages/{sent['messages'][0]['id']}/links")
    assert [link["url"] for link in links["data"]] == [
        "https://cohortlabs.co/?n=Ann&utm_source=sms&utm_campaign=six",
        "https://cohortlabs.co/help?utm_source=sms&utm_campaign=six",
    ]
    assert {link.campaign_id for link in await ShortLink.all()} == {None}


@pytest.mark.parametrize(("shorten", "codes"), [(True, []), (False, ["utm_unused"])])
async def test_utm_parameters_without_short_links_are_warned_of(
    api: httpx.AsyncClient, ctx: Context, shorten: bool, codes: list[str]
) -> None:
    listed = await make_list(ctx, [await make_contact(ctx)])
    wanted = {
        "body": "https://cohortlabs.co/ Reply STOP to opt out.",
        "audience": {"list_ids": [ids.encode_id(ids.CONTACT_LIST, listed.id)]},
        "shorten_links": shorten,
        "utm": {"source": "sms"},
    }
    made = await post(api, "/v1/campaigns", name="Close", draft=True, **wanted)
    shown = await post(api, "/v1/campaigns/preview", 200, **wanted)
    for each in (made, shown):
        assert [told["code"] for told in each["warnings"] if told["param"] == "utm"] == codes


async def test_links_of_a_suspended_workspace_lead_nowhere(
    app: Starlette, api: httpx.AsyncClient, browser: httpx.AsyncClient
) -> None:
    _, code = await send(api)
    await db.execute("UPDATE workspaces SET suspended_at = now()")
    held = await browser.get(f"/{code}")
    assert (held.status_code, "Location" in held.headers, TARGET in held.text) == (410, False, False)
    await settle()
    assert (await ShortLink.get(code=code)).clicks == 0
    # One that its owner is about to delete goes on until it is deleted.
    await db.execute("UPDATE workspaces SET deletion_asked_at = suspended_at")
    assert (await browser.get(f"/{code}")).status_code == 302
    await db.execute("UPDATE workspaces SET suspended_at = NULL, deletion_asked_at = NULL")
    assert (await browser.get(f"/{code}")).status_code == 302


async def test_a_redirect_reads_keys_alone(ctx: Context) -> None:
    """Also before any statistics are taken, and among many."""
    await db.execute(
        "INSERT INTO short_links (code, workspace_id, livemode, message_id, position, url, created_at, expires_at)"
        " SELECT lpad(n::text, 11, '0'), $1, false, gen_random_uuid(), 0, 'https://cohortlabs.co', now(), now()"
        " FROM generate_series(1, 5000) AS n",
        ctx.workspace_id,
    )
    await db.execute(
        "INSERT INTO workspaces (id, name, blocked_regions, enabled_regions, opt_in_text, opt_out_text, welcome_text,"
        " help_text, default_sender, double_opt_in, campaigns_admit_unknown, timezone, quiet_hours, created_at)"
        " SELECT gen_random_uuid(), name, blocked_regions, enabled_regions, opt_in_text, opt_out_text, welcome_text,"
        " help_text, default_sender, double_opt_in, campaigns_admit_unknown, timezone, quiet_hours, created_at"
        " FROM workspaces, generate_series(1, 500)"
    )
    plan = await db.fetch_value(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {clicks.FIND_TARGET}", "00000004711")
    (told,) = json.loads(plan)
    nodes = list(_nodes(told["Plan"]))
    scans = {node["Relation Name"]: node for node in nodes if "Scan" in node["Node Type"]}
    assert {node["Node Type"] for node in nodes} <= {"Nested Loop", "Index Scan"}
    assert "code" in scans["short_links"]["Index Cond"]
    assert "id" in scans["workspaces"]["Index Cond"]
    assert not any("Filter" in node or node.get("Rows Removed by Index Recheck") for node in nodes)
    assert told["Plan"]["Shared Hit Blocks"] + told["Plan"]["Shared Read Blocks"] <= 12


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


async def _found(ctx: Context, filter: dict[str, Any]) -> set[UUID | None]:
    async with unit_of_work():
        segment = await create_segment(ctx, "Clickers", filter)
    members = await audiences.members_sql(ctx, {"segment_id": ids.encode_id(ids.SEGMENT, segment.id)})
    return {row.id for row in await db.fetch(members.sql, *members.values)}


async def test_a_crash_in_an_expansion_makes_each_link_once(
    api: httpx.AsyncClient, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_campaign(api, ctx, 25)
    # A second lane would go on after the first is killed.
    monkeypatch.setattr(workers, "LANES", 1)

    class Killed(BaseException):
        """Stands for the end of the process, which no handler sees."""

    for name in ("copy_encoded", "copy_links", "record_encoded"):
        copied = getattr(audiences, name)
        for before in (True, False):

            async def dying(*values: Any, copied: Any = copied, before: bool = before) -> None:
                if not before:
                    await copied(*values)
                raise Killed

            with monkeypatch.context() as patch:
                patch.setattr(audiences, name, dying)
                with pytest.raises(Killed):
                    await expand_campaigns(SERVICES)
            assert await Message.all().count() == await ShortLink.all().count() == 0
    await expand_campaigns(SERVICES)
    assert await Message.all().count() == 25
    assert await ShortLink.all().count() == 50
    links = await ShortLink.all().values_list("message_id", "position")
    assert len(set(links)) == 50


async def test_a_batch_and_a_schedule_have_links_too(api: httpx.AsyncClient) -> None:
    later = (datetime.now(UTC) + timedelta(days=9)).isoformat()
    batch = await post(
        api,
        "/v1/messages/batch",
        200,
        messages=[
            {"to": "+12125550111", "body": BODY, "shorten_links": True},
            {"to": "+12125550112", "body": BODY},
            {"to": "+12125550113", "body": BODY, "shorten_links": True, "scheduled_at": later},
        ],
    )
    bodies = [entry["message"]["body"] for entry in batch["data"]]
    assert [len(codes_of(body)) for body in bodies] == [1, 0, 1]
    now, then = await ShortLink.all().order_by("expires_at")
    assert timedelta(days=8) < then.expires_at - now.expires_at < timedelta(days=10)


async def test_a_message_that_is_not_paid_for_has_no_links(
    client: Client,
    live_ctx: Context,
    virtual_live: None,
) -> None:
    await CreditBalance.filter(workspace_id=live_ctx.workspace_id).update(balance=0)
    api = await client(live_ctx)
    body = {"to": "+12125550111", "body": BODY, "shorten_links": True}
    assert (await api.post("/v1/messages", json=body)).status_code == 402
    assert await ShortLink.all().count() == await Message.all().count() == await Contact.all().count() == 0


async def test_a_preview_counts_the_short_form(api: httpx.AsyncClient) -> None:
    body = f"Go: https://cohortlabs.co/{'a' * 180}"
    asked = {"to": "+12125550111", "body": body}
    long = await post(api, "/v1/messages/preview", 200, **asked)
    short = await post(api, "/v1/messages/preview", 200, **asked, shorten_links=True)
    assert (long["segments"], short["segments"]) == (2, 1)
    sent, _ = await send(api, body)
    assert sent["segments"] == 1


async def test_erasing_a_person_forgets_their_clicks(
    app: Starlette,
    api: httpx.AsyncClient,
    browser: httpx.AsyncClient,
    ctx: Context,
) -> None:
    message, code = await send(api, "Go: https://cohortlabs.co/?who={who}", variables={"who": "maria"})
    await db.execute("UPDATE messages SET status = 'delivered'")
    await browser.get(f"/{code}")
    await settle()
    id = ids.decode_id(ids.CONTACT, message["contact_id"])
    assert id is not None
    await in_unit_of_work(lambda: erase_contact(ctx, id))
    assert await ShortLink.all().count() == 0
    assert (await browser.get(f"/{code}")).status_code == 404
    assert not any("maria" in event.data for event in await Event.all())


async def test_clicks_at_once_are_told_once(api: httpx.AsyncClient) -> None:
    _, code = await send(api)
    at = datetime.now(UTC)

    async def click() -> None:
        await in_unit_of_work(lambda: record_clicks(SERVICES, [Click(code, at)] * 5))

    await asyncio.gather(*(click() for _ in range(8)))
    assert (await ShortLink.get(code=code)).clicks == 40
    assert await Event.filter(type="message.clicked").count() == 1


async def test_clicks_wait_while_the_database_is_away(api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    _, code = await send(api)
    waiting = Clicks()
    waiting.note(code, datetime.now(UTC))

    async def away(*_: Any) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr(clicks, "record_clicks", away)
        with pytest.raises(ConnectionResetError):
            await waiting.write(SERVICES)
    assert await waiting.write(SERVICES) == 1
    assert (await ShortLink.get(code=code)).clicks == 1


async def test_another_workspace_and_mode_see_no_links(
    client: Client,
    api: httpx.AsyncClient,
    other_ctx: Context,
    live_ctx: Context,
) -> None:
    message, _ = await send(api)
    for ctx in (other_ctx, live_ctx):
        answer = await (await client(ctx)).get(f"/v1/messages/{message['id']}/links")
        assert answer.status_code == 404


@asynccontextmanager
async def of_domain(database: str, engines: Engines, path: Any) -> AsyncIterator[httpx.AsyncClient]:
    settings = replace(settings_for(database, engines, path), link_domain="go.cohortlabs.co")
    async with (
        running_app(settings) as running,
        httpx.AsyncClient(transport=httpx.ASGITransport(running), base_url="https://go.cohortlabs.co") as browser,
    ):
        yield browser


async def test_a_domain_of_links_serves_links_and_nothing_else(
    api: httpx.AsyncClient, database: str, engines: Engines, tmp_path: Any, ctx: Context
) -> None:
    _, code = await send(api)
    _, key = await create_key(ctx.workspace_id, livemode=False)
    async with of_domain(database, engines, tmp_path) as browser:
        assert (await browser.get(f"/{code}", headers=PHONE)).headers["Location"] == TARGET
        for path in ("/", "/v1/messages", "/healthz", "/docs/", f"/{code}/", f"/{code}?to=https://evil.example.com/x/"):
            answer = await browser.get(path, headers={**PHONE, "Authorization": f"Bearer {key}"})
            assert answer.headers.get("Location") in (None, TARGET), path
            assert answer.status_code in (302, 404), path
        own = await browser.post("/v1/messages", json={"to": "+12125550111", "body": BODY, "shorten_links": True})
        assert own.status_code == 404
