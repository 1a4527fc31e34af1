"""Synced lists over REST, and the addresses that people are posted to."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette

from msvs.api.limits import RATES, Bucket, Rate
from msvs.models import Contact, ListSource, ListSync
from tests.apps import BASE_URL
from tests.rest_compat.making import get, post, refused

pytestmark = pytest.mark.usefixtures("loopback_webhooks")
MARIA, ZOE = "+12125550140", "+14155550123"
SOURCE = {"type": "hook", "settings": {}, "mapping": {"phone": "phone", "name": "full_name"}}


async def hook_list(api: httpx.AsyncClient) -> tuple[str, str]:
    """A list that people are posted to: its id, and the path of its address."""
    made = await post(api, "/v1/lists", name="Skool", source=SOURCE)
    assert (made["kind"], made["source"]["type"], made["source"]["status"]) == ("synced", "hook", "active")
    return made["id"], httpx.URL(made["source"]["hook_url"]).path


async def test_people_are_posted_as_json_and_as_a_form_without_a_key(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    id, path = await hook_list(api)
    answer = await anonymous.post(path, json=[{"phone": MARIA, "name": "Maria Silva"}, {"phone": "5"}])
    assert (answer.status_code, answer.json()["status"]) == (200, "taken")
    assert answer.json()["counts"]["created"] == 1
    assert [each["reason"] for each in answer.json()["invalid"]] == ["it is not a valid phone number"]
    assert (await anonymous.post(path, data={"phone": ZOE, "name": "Zoë"})).status_code == 200
    shown = await get(api, f"/v1/lists/{id}")
    assert shown["contact_count"] == 2
    (sync,) = (await get(api, f"/v1/lists/{id}/syncs"))["data"]
    assert (sync["trigger"], sync["counts"]["created"], sync["counts"]["invalid"]) == ("hook", 2, 1)
    assert shown["source"]["last_sync"]["id"] == sync["id"]


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"[", 400, "callback_invalid"),
        (b"[]", 400, "callback_invalid"),
        (b"7", 400, "callback_invalid"),
        (b'{"a": "' + b"x" * 300_000 + b'"}', 413, "request_too_large"),
    ],
)
async def test_what_cannot_be_read_is_refused_and_leaves_no_trace(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient, content: bytes, status: int, code: str
) -> None:
    _, path = await hook_list(api)
    answer = await anonymous.post(path, content=content, headers={"content-type": "application/json"})
    assert (await refused(answer))[:2] == (status, code)
    assert (await Contact.all().count(), await ListSync.all().count()) == (0, 0)


async def test_an_address_that_nobody_was_given_is_not_found(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    id, path = await hook_list(api)
    for other in (f"{path}x", "/hooks/x", f"/hooks/{id}"):
        assert (await anonymous.post(other, json={"phone": MARIA})).status_code == 404
    assert (await anonymous.get(path)).status_code == 405
    await post(api, f"/v1/lists/{id}/disconnect", 200)
    assert (await anonymous.post(path, json={"phone": MARIA})).status_code == 404
    assert (await ListSource.all().count(), await Contact.all().count()) == (0, 0)


async def test_posts_to_an_address_are_limited(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(RATES, dict)
    monkeypatch.setitem(RATES, Bucket.HOOKS, Rate(1, 2))
    _, path = await hook_list(api)
    answers = [await anonymous.post(path, json={"phone": MARIA, "n": str(number)}) for number in range(4)]
    assert {each.status_code for each in answers} == {200, 429}
    assert int(answers[-1].headers["retry-after"]) >= 1


async def test_guesses_of_an_address_are_limited(
    app: Starlette, api: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    _, path = await hook_list(api)
    transport = httpx.ASGITransport(app, client=("198.51.100.7", 4711))
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as guesser:
        statuses = [(await guesser.post(f"/hooks/{number:043d}", json={})).status_code for number in range(80)]
        assert (statuses[0], set(statuses)) == (404, {404, 429})
        # Nothing is looked up for a network that guesses.
        statuses = [(await guesser.post(f"/hooks/{number:043d}", json={})).status_code for number in range(30)]
        assert (await guesser.post(path, json={"phone": MARIA})).status_code == 429
    assert (await anonymous.post(path, json={"phone": MARIA})).status_code == 200


async def test_pausing_holds_posts_off_and_resuming_takes_them(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    id, path = await hook_list(api)
    assert (await post(api, f"/v1/lists/{id}/pause", 200))["source"]["paused"] is True
    answer = await anonymous.post(path, json={"phone": MARIA})
    assert (await refused(answer))[:2] == (503, "source_paused")
    assert int(answer.headers["retry-after"]) > 0
    assert (await post(api, f"/v1/lists/{id}/resume", 200))["source"]["paused"] is False
    assert (await anonymous.post(path, json={"phone": MARIA})).status_code == 200


async def test_a_synced_list_is_not_changed_by_hand(api: httpx.AsyncClient) -> None:
    id, _ = await hook_list(api)
    contact = await post(api, "/v1/contacts", phone=MARIA)
    answer = await api.post(f"/v1/lists/{id}/contacts", json={"contact_ids": [contact["id"]]})
    assert (await refused(answer))[:2] == (409, "list_synced")
    answer = await api.post(f"/v1/lists/{id}/sync")
    assert (await refused(answer))[:2] == (409, "source_state")
    assert (await api.delete(f"/v1/lists/{id}")).status_code == 200
    assert await ListSource.all().count() == 0


async def test_a_static_list_has_no_source(api: httpx.AsyncClient) -> None:
    made = await post(api, "/v1/lists", name="Cohort 06")
    assert made["source"] is None
    for verb in ("sync", "confirm", "pause", "resume"):
        answer = await api.post(f"/v1/lists/{made['id']}/{verb}")
        assert (await refused(answer))[:2] == (409, "list_not_synced")
    assert (await post(api, f"/v1/lists/{made['id']}/disconnect", 200))["kind"] == "static"


async def test_a_change_of_the_source_says_only_what_changes(api: httpx.AsyncClient) -> None:
    id, _ = await hook_list(api)
    shown = await post(api, f"/v1/lists/{id}/source", 200, settings={"id_field": "member.id"}, removal="stay")
    assert (shown["source"]["settings"], shown["source"]["removal"]) == ({"id_field": "member.id"}, "stay")
    assert shown["source"]["mapping"] == SOURCE["mapping"]
    answer = await api.post(f"/v1/lists/{id}/source", json={"settings": {"color": "red"}})
    assert await refused(answer) == (400, "parameter_invalid", "settings.color")
    answer = await api.post(f"/v1/lists/{id}/source", json={"mapping": {"name": "full_name"}})
    assert await refused(answer) == (400, "parameter_invalid", "mapping")
