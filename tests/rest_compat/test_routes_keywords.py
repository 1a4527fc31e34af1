"""Keywords, flagged messages and opt-outs in other words, over HTTP."""

from __future__ import annotations

import httpx

from tests.rest_compat.making import get, make_synced, post, refused, work

PHONE = "+12125550123"


async def test_a_keyword_from_its_making_to_its_end(api: httpx.AsyncClient) -> None:
    one = (await post(api, "/v1/lists", name="Cohort 06"))["id"]
    two = (await post(api, "/v1/lists", name="Cohort 07"))["id"]
    made = await post(api, "/v1/keywords", word="Cohort6", list_id=one, reply="You are in.")
    assert {name: made[name] for name in ("object", "livemode", "word", "list_id", "reply")} == {
        "object": "keyword",
        "livemode": False,
        "word": "Cohort6",
        "list_id": one,
        "reply": "You are in.",
    }
    path = f"/v1/keywords/{made['id']}"
    assert made["id"].startswith("kwd_")
    assert await get(api, path) == made
    other = await post(api, "/v1/keywords", word="VIP", list_id=two)
    assert (await get(api, "/v1/keywords"))["data"] == [other, made]
    assert (await get(api, "/v1/keywords", list_id=one))["data"] == [made]
    changed = await post(api, path, 200, list_id=two, reply=None)
    changes = {"list_id": two, "reply": None, "version": changed["version"]}
    assert changed == {**made, **changes} == await get(api, path)
    gone = await api.delete(path)
    assert (gone.status_code, gone.json()) == (200, {"id": made["id"], "object": "keyword", "deleted": True})
    assert (await api.get(path)).status_code == 404
    await api.delete(f"/v1/lists/{two}")
    assert (await get(api, "/v1/keywords"))["data"] == []


async def test_an_invalid_keyword_is_refused(api: httpx.AsyncClient) -> None:
    one = (await post(api, "/v1/lists", name="Cohort 06"))["id"]
    synced = (await post(api, "/v1/lists", name="Kit"))["id"]
    await make_synced(synced)
    made = await post(api, "/v1/keywords", word="JOIN", list_id=one)

    async def tried(**body: object) -> tuple[int, str, str | None]:
        return await refused(await api.post("/v1/keywords", json={"word": "VIP", "list_id": one, **body}))

    assert await tried(word="Arrêt") == (400, "keyword_reserved", "word")
    assert await tried(word="take me off your list") == (400, "keyword_reserved", "word")
    assert await tried(word="") == (400, "parameter_out_of_range", "word")
    assert await tried(reply="x" * 321) == (400, "parameter_out_of_range", "reply")
    assert await tried(list_id="lst_1") == (400, "id_invalid", "list_id")
    assert await tried(list_id=one[:-1] + ("1" if one.endswith("0") else "0")) == (400, "resource_missing", "list_id")
    assert await tried(list_id=synced) == (409, "list_synced", None)
    taken = await api.post("/v1/keywords", json={"word": "join!", "list_id": one})
    assert await refused(taken) == (409, "keyword_exists", "word")
    assert taken.json()["error"]["existing_id"] == made["id"]
    assert (await get(api, "/v1/keywords"))["data"] == [made]


async def test_anyone_who_texts_the_word_joins_the_list(api: httpx.AsyncClient) -> None:
    one = (await post(api, "/v1/lists", name="Cohort 06"))["id"]
    await post(api, "/v1/keywords", word="JOIN", list_id=one, reply="You are in.")
    for _ in range(2):
        inbound = await post(api, "/v1/test/inbound", from_=PHONE, body="join")
        assert (inbound["keyword"], inbound["intent"], inbound["is_flagged"]) == ("join", None, False)
    (member,) = (await get(api, f"/v1/lists/{one}/contacts"))["data"]
    assert (member["phone"], member["opt_in"]["status"], member["opt_in"]["source"]) == (
        PHONE,
        "opted_in",
        "keyword:JOIN",
    )
    await work()
    assert [row["body"] for row in (await get(api, "/v1/messages"))["data"]] == ["You are in."]
    assert (await get(api, "/v1/inbox/threads"))["data"] == []


async def test_a_likely_opt_out_waits_for_somebody_to_look(api: httpx.AsyncClient) -> None:
    sent = await post(api, "/v1/messages", to=PHONE, body="Doors open")
    await work()
    plain = await post(api, "/v1/test/inbound", from_=PHONE, body="What time?")
    flagged = await post(api, "/v1/test/inbound", from_=PHONE, body="wrong number")
    assert (flagged["keyword"], flagged["intent"], flagged["is_flagged"]) == (None, "likely", True)
    contact = await get(api, f"/v1/contacts/{sent['contact_id']}")
    assert (contact["opt_in"]["status"], contact["opt_in"]["source"]) == ("opted_out", "phrase")
    assert (await get(api, "/v1/inbound", flagged="true"))["data"] == [flagged]
    assert (await get(api, "/v1/inbound", flagged="false"))["data"] == [plain]
    assert await refused(await api.get("/v1/inbound", params={"flagged": "yes"})) == (
        400,
        "parameter_invalid",
        "flagged",
    )
    path = f"/v1/inbound/{flagged['id']}/unflag"
    for _ in range(2):
        assert await post(api, path, 200) == {**flagged, "is_flagged": False}
    assert (await get(api, "/v1/inbound", flagged="true"))["data"] == []
    assert (await get(api, f"/v1/contacts/{sent['contact_id']}"))["opt_in"]["status"] == "opted_out"
    assert (await api.post(f"/v1/inbound/inb_{'0' * 26}/unflag")).status_code == 404


async def test_a_certain_opt_out_is_as_stop(api: httpx.AsyncClient) -> None:
    await post(api, "/v1/messages", to=PHONE, body="Doors open")
    await work()
    inbound = await post(api, "/v1/test/inbound", from_=PHONE, body="não quero mais receber mensagens")
    assert (inbound["keyword"], inbound["intent"], inbound["is_flagged"]) == ("stop", "certain", False)
    refusal = await api.post("/v1/messages", json={"to": PHONE, "body": "Hi"})
    assert await refused(refusal) == (422, "recipient_opted_out", "to")
