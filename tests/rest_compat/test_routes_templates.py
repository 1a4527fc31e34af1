"""/v1/templates and /v1/snippets, and what is created with them, which keeps its text."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from msvs.api.text.snippets import MAX_SNIPPET_NAME, put_snippets, snippet_names
from msvs.api.text.templates import TemplateError
from msvs.models import Message, MessageTemplate, Snippet
from tests.rest_compat.making import get, in_future, post, refused, work

PHONE = "+12125550123"
MISSING = "tpl_01HYZ8K5VQAE2N0PWQ6DC9V8MP"
Json = dict[str, Any]


async def make(api: httpx.AsyncClient, body: str = "Hi {firstName|there}. {snippet.signature}", **more: object) -> Json:
    return await post(api, "/v1/templates", name="Close", body=body, **more)


@pytest.fixture
async def snippet(api: httpx.AsyncClient) -> Json:
    """A snippet with a variable of its own."""
    return await post(api, "/v1/snippets", name="signature", body="Ana, {brand|Cohort Labs}")


async def test_a_template_from_its_making_to_its_end(api: httpx.AsyncClient, snippet: Json) -> None:
    made = await make(api, tags=["VIP", "launch"])
    assert made == {
        "id": made["id"],
        "object": "template",
        "livemode": False,
        "name": "Close",
        "body": "Hi {firstName|there}. {snippet.signature}",
        "variables": ["first_name"],
        "snippets": ["signature"],
        "tags": ["launch", "vip"],
        "archived_at": None,
        "version": made["version"],
        "created_at": made["created_at"],
        "updated_at": made["updated_at"],
    }
    path = f"/v1/templates/{made['id']}"
    assert await get(api, path) == made
    other = await post(api, "/v1/templates", name="Open", body="Doors open")
    assert (await get(api, "/v1/templates"))["data"] == [other, made]
    assert (await get(api, "/v1/templates", tag="vip"))["data"] == [made]
    assert (await get(api, "/v1/templates", q="LOS"))["data"] == [made]
    changed = await post(api, path, 200, name="Last call", archived=True, tags=None, version=made["version"])
    assert changed["archived_at"] is not None
    assert (changed["name"], changed["tags"]) == ("Last call", [])
    assert (await get(api, "/v1/templates", archived="true"))["data"] == [changed]
    assert (await get(api, "/v1/templates", archived="false"))["data"] == [other]
    stale = await api.post(path, json={"name": "Mine", "version": made["version"]})
    assert (await refused(stale))[:2] == (409, "version_conflict")
    # Nothing that changes nothing is told of.
    assert await post(api, path, 200, name="Last call") == changed
    gone = await api.delete(path)
    assert (gone.status_code, gone.json()) == (200, {"id": made["id"], "object": "template", "deleted": True})
    assert (await api.get(path)).status_code == 404
    types = [each["type"] for each in (await get(api, "/v1/events"))["data"]]
    assert types == ["template.deleted", "template.updated", "template.created", "template.created"]


async def test_a_snippet_from_its_making_to_its_end(api: httpx.AsyncClient, snippet: Json) -> None:
    path = f"/v1/snippets/{snippet['id']}"
    assert await get(api, path) == snippet
    other = await post(api, "/v1/snippets", name="address", body="cohortlabs.co")
    assert (await get(api, "/v1/snippets"))["data"] == [other, snippet]
    assert (await get(api, "/v1/snippets", name="address"))["data"] == [other]
    changed = await post(api, path, 200, body="Ana", version=snippet["version"])
    assert changed["body"] == "Ana"
    stale = await api.post(path, json={"body": "Bia", "version": snippet["version"]})
    assert (await refused(stale))[:2] == (409, "version_conflict")
    assert await refused(await api.post(path, json={"name": "address"})) == (409, "snippet_exists", "name")
    assert (await api.delete(path)).json() == {"id": snippet["id"], "object": "snippet", "deleted": True}
    assert (await api.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "code", "param"),
    [
        ("snippets", {"name": "Signature", "body": "Ana"}, "parameter_invalid", "name"),
        ("snippets", {"name": "a" * (MAX_SNIPPET_NAME + 1), "body": "Ana"}, "parameter_invalid", "name"),
        ("snippets", {"name": "a", "body": " "}, "body_empty", "body"),
        ("snippets", {"name": "a", "body": "{snippet.b}"}, "template_invalid", "body"),
        ("snippets", {"name": "a", "body": "{snippet.B}"}, "template_invalid", "body"),
        ("snippets", {"name": "a", "body": "{first name}"}, "template_invalid", "body"),
        ("snippets", {"name": "a", "body": "x" * 1601}, "body_too_long", "body"),
        ("templates", {"name": " ", "body": "Hi"}, "parameter_out_of_range", "name"),
        ("templates", {"name": "a", "body": "Hi {"}, "template_invalid", "body"),
        ("templates", {"name": "a", "body": "{snippet.none}"}, "resource_missing", "body"),
        ("templates", {"name": "a", "body": "{snippet.}"}, "template_invalid", "body"),
        ("templates", {"name": "a", "body": "{snippet.a|b}"}, "template_invalid", "body"),
        ("templates", {"name": "a", "body": ""}, "body_empty", "body"),
    ],
)
async def test_what_is_malformed_is_refused(
    api: httpx.AsyncClient, path: str, body: Json, code: str, param: str
) -> None:
    assert await refused(await api.post(f"/v1/{path}", json=body)) == (400, code, param)
    assert await MessageTemplate.all().count() == await Snippet.all().count() == 0


async def test_two_of_a_name_are_refused_also_at_once(api: httpx.AsyncClient) -> None:
    bodies = [{"name": "close", "body": f"Number {number}"} for number in range(4)]
    for path, code in (("/v1/snippets", "snippet_exists"), ("/v1/templates", "template_exists")):
        answers = await asyncio.gather(*(api.post(path, json=body) for body in bodies))
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
        assert {(await refused(answer))[1:] for answer in answers if answer.status_code == 409} == {(code, "name")}
        assert len((await get(api, path))["data"]) == 1


async def test_a_message_takes_the_text_as_it_stands(api: httpx.AsyncClient, snippet: Json) -> None:
    template = await make(api)
    asked = {"to": PHONE, "template_id": template["id"], "variables": {"firstName": "Maria", "brand": "Labs"}}
    assert (await post(api, "/v1/messages", **asked))["body"] == "Hi Maria. Ana, Labs"
    later = await post(api, "/v1/messages", **asked, scheduled_at=in_future(days=1))
    await post(api, f"/v1/snippets/{snippet['id']}", 200, body="Bia")
    await post(api, f"/v1/templates/{template['id']}", 200, body="Bye. {snippet.signature}")
    assert (await get(api, f"/v1/messages/{later['id']}"))["body"] == "Hi Maria. Ana, Labs"
    assert (await post(api, "/v1/messages", **asked))["body"] == "Bye. Bia"
    # Its own text may include snippets, too; braces that are doubled are text.
    own = await post(api, "/v1/messages", to=PHONE, body="{snippet.signature} {{snippet.signature}}")
    assert own["body"] == "Bia {snippet.signature}"


async def test_what_a_body_cannot_be_is_refused(api: httpx.AsyncClient, snippet: Json) -> None:
    template = await make(api)
    long = await make_long(api)

    async def tried(**body: object) -> tuple[int, str, str | None]:
        return await refused(await api.post("/v1/messages", json={"to": PHONE, **body}))

    assert await tried() == (400, "parameter_missing", "body")
    assert await tried(body="Hi", template_id=template["id"]) == (400, "parameter_invalid", "template_id")
    assert await tried(template_id="tpl_1") == (400, "id_invalid", "template_id")
    assert await tried(template_id=MISSING) == (400, "resource_missing", "template_id")
    assert await tried(body="{snippet.none}") == (400, "resource_missing", "body")
    assert await tried(body="{snippet.A}") == (400, "template_invalid", "body")
    assert await tried(body="{snippet.long}{snippet.long}") == (400, "body_too_long", "body")
    await api.delete(f"/v1/snippets/{snippet['id']}")
    # The reference is in the template, which the request names.
    assert await tried(template_id=template["id"]) == (400, "resource_missing", "template_id")
    assert await Message.all().count() == 0
    assert (await post(api, "/v1/messages", to=PHONE, body="{snippet.long}"))["body"] == long["body"]


async def make_long(api: httpx.AsyncClient) -> Json:
    return await post(api, "/v1/snippets", name="long", body="x" * 801)


async def test_the_texts_of_another_mode_are_not_there(
    api: httpx.AsyncClient, snippet: Json, other: httpx.AsyncClient
) -> None:
    template = await make(api)
    assert await refused(await other.post("/v1/messages", json={"to": PHONE, "template_id": template["id"]})) == (
        400,
        "resource_missing",
        "template_id",
    )
    assert await refused(await other.post("/v1/messages", json={"to": PHONE, "body": "{snippet.signature}"})) == (
        400,
        "resource_missing",
        "body",
    )


@pytest.fixture
async def other(client: Any, other_ctx: Any) -> httpx.AsyncClient:
    """A client of another workspace."""
    return await client(other_ctx)  # type: ignore[no-any-return]


async def test_a_batch_resolves_each_message_by_itself(api: httpx.AsyncClient, snippet: Json) -> None:
    template = await make(api)
    messages: list[Json] = [
        {"to": PHONE, "template_id": template["id"], "variables": {"firstName": "Maria"}},
        {"to": PHONE, "body": "{snippet.none}"},
        {"to": PHONE},
        {"to": PHONE, "template_id": MISSING},
        {"to": PHONE, "body": "Plain"},
        {"to": PHONE, "body": "By {snippet.signature}"},
    ]
    data = (await post(api, "/v1/messages/batch", 200, messages=messages))["data"]
    assert [
        each["message"]["body"] if each["message"] else (each["error"]["code"], each["error"]["param"]) for each in data
    ] == [
        "Hi Maria. Ana, Cohort Labs",
        ("resource_missing", "body"),
        ("parameter_missing", "body"),
        ("resource_missing", "template_id"),
        "Plain",
        "By Ana, Cohort Labs",
    ]


async def test_a_campaign_and_its_variants_take_the_texts(api: httpx.AsyncClient, snippet: Json) -> None:
    template = await make(api)
    contact = await post(api, "/v1/contacts", phone=PHONE, first_name="Maria", opt_in={"source": "checkout"})
    audience = {"contact_ids": [contact["id"]]}
    preview = await post(api, "/v1/campaigns/preview", 200, template_id=template["id"], audience=audience)
    assert preview["samples"][0]["body"] == "Hi Maria. Ana, Cohort Labs"
    draft = await post(
        api,
        "/v1/campaigns",
        name="Close",
        template_id=template["id"],
        audience=audience,
        draft=True,
        ab_test={
            "variants": [{}, {"body": "B by {snippet.signature}"}, {"template_id": template["id"], "from": "COHORT"}]
        },
    )
    text = "Hi {firstName|there}. Ana, {brand|Cohort Labs}"
    assert draft["body"] == text
    assert [each["body"] for each in draft["ab_test"]["variants"]] == [text, "B by Ana, {brand|Cohort Labs}", text]
    path = f"/v1/campaigns/{draft['id']}"
    await post(api, f"/v1/snippets/{snippet['id']}", 200, body="Bia")
    # What does not name the body leaves it.
    assert (await post(api, path, 200, name="Last call"))["body"] == text
    assert (await post(api, path, 200, template_id=template["id"], ab_test=None))["body"] == "Hi {firstName|there}. Bia"
    await post(api, f"/v1/templates/{template['id']}", 200, body="Too late")
    await post(api, f"{path}/launch", 200)
    await work()
    (message,) = (await get(api, "/v1/messages", campaign_id=draft["id"]))["data"]
    assert message["body"] == "Hi Maria. Bia"


async def test_a_campaign_names_what_it_cannot_take(api: httpx.AsyncClient) -> None:
    async def tried(path: str = "/v1/campaigns", **body: object) -> tuple[int, str, str | None]:
        asked = {"name": "Close", "audience": {}, "draft": True, **body}
        return await refused(await api.post(path, json=asked))

    assert await tried() == (400, "parameter_missing", "body")
    assert await tried(template_id=MISSING) == (400, "resource_missing", "template_id")
    assert await tried(body="Hi", template_id=MISSING) == (400, "parameter_invalid", "template_id")
    variants = [{}, {"body": "{snippet.none}"}]
    assert await tried(body="Hi", ab_test={"variants": variants}) == (
        400,
        "resource_missing",
        "ab_test.variants[1].body",
    )
    assert (await get(api, "/v1/campaigns", status="draft"))["data"] == []


async def test_the_steps_of_a_sequence_take_the_texts(api: httpx.AsyncClient, snippet: Json) -> None:
    template = await make(api)
    steps: list[Json] = [
        {"key": "a", "template_id": template["id"]},
        {"key": "b", "body": "B by {snippet.signature}", "wait_minutes": 5},
    ]
    made = await post(api, "/v1/sequences", name="Challenge", steps=steps)
    assert [step["body"] for step in made["steps"]] == [
        "Hi {firstName|there}. Ana, {brand|Cohort Labs}",
        "B by Ana, {brand|Cohort Labs}",
    ]
    path = f"/v1/sequences/{made['id']}"
    assert await refused(await api.post(path, json={"steps": [{"key": "a"}]})) == (
        400,
        "parameter_missing",
        "steps[0].body",
    )
    changed = await post(api, path, 200, steps=[{"key": "a", "template_id": template["id"]}])
    assert len(changed["steps"]) == 1


async def test_a_preview_shows_a_template_as_it_would_arrive(api: httpx.AsyncClient, snippet: Json) -> None:
    template = await make(api)
    preview = await post(api, "/v1/messages/preview", 200, to=PHONE, template_id=template["id"])
    assert (preview["body"], preview["encoding"], preview["segments"]) == ("Hi there. Ana, Cohort Labs", "gsm7", 1)
    assert preview["refusal"] is None


async def test_the_texts_of_the_workspace_know_no_snippets(api: httpx.AsyncClient, snippet: Json) -> None:
    changed = await post(api, "/v1/workspace", 200, help_text="Write to {snippet.signature}")
    assert changed["help_text"] == "Write to {snippet.signature}"


def test_references_are_found_and_replaced_once() -> None:
    body = "{a|b} {snippet.one}{snippet.two-2} {{snippet.three}} {snippet.one}"
    assert snippet_names(body) == ("one", "two-2")
    assert put_snippets(body, {"one": "{snippet.two-2}", "two-2": "2"}) == (
        "{a|b} {snippet.two-2}2 {{snippet.three}} {snippet.two-2}"
    )


@pytest.mark.parametrize(
    "body", ["{snippet.}", "{snippet.A}", "{snippet.a b}", "{snippet.é}", "{snippet.a|x}", "{snippet.-a}"]
)
def test_no_reference_is_guessed(body: str) -> None:
    with pytest.raises(TemplateError):
        snippet_names(body)
