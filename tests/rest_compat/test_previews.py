"""The preview routes over HTTP."""

from __future__ import annotations

import httpx

from msvs import database as db
from msvs.api import ids
from msvs.api.context import Context
from tests import factories


async def test_a_message_preview(api: httpx.AsyncClient) -> None:
    answer = await api.post(
        "/v1/messages/preview", json={"to": "+12125550100", "body": "It’s {x}", "variables": {"x": "on"}}
    )
    assert answer.status_code == 200
    assert answer.json() == {
        "object": "message_preview",
        "livemode": False,
        "to": "+12125550100",
        "from": "MASSIVESMS",
        "body": "It’s on",
        "encoding": "ucs2",
        "segments": 1,
        "credits": 1,
        "credits_per_segment": 1,
        "parts": ["It’s on"],
        "characters": [
            {
                "character": "’",
                "name": "RIGHT SINGLE QUOTATION MARK",
                "message_count": 1,
                "replacement": "'",
                "segments_saved": 0,
            }
        ],
        "suggested_body": "It's {x}",
        "segments_saved": 0,
        "missing_variables": [],
        "balance": 10_000,
        "warnings": [
            {
                "code": "ucs2_single_character",
                "message": "The character '’' alone makes this UCS-2: 70 characters fit into a segment instead of 160.",
                "param": "body",
            },
            {
                "code": "sender_not_carried",
                "message": "Carriers in US take no alphanumeric sender.",
                "param": "from",
            },
        ],
        "refusal": None,
    }
    assert await db.fetch_value("SELECT count(*) FROM contacts") == 0


async def test_a_campaign_preview_takes_the_body_of_a_creation(api: httpx.AsyncClient, ctx: Context) -> None:
    contact = await factories.make_contact(ctx, "+12125550100", first_name="Maria")
    contact_id = ids.encode_id(ids.CONTACT, contact.id)
    creation = {
        "name": "Cohort 06",
        "body": "Hi {firstName}",
        "audience": {"contact_ids": [contact_id]},
        "metadata": {"launch": "06"},
    }
    answer = await api.post("/v1/campaigns/preview", json=creation)
    assert answer.status_code == 200
    assert answer.json() == {
        "object": "campaign_preview",
        "livemode": False,
        "from": "MASSIVESMS",
        "audience_count": 1,
        "recipient_count": 1,
        "skipped_count": 0,
        "skipped": [],
        "held_count": 0,
        "encodings": {"gsm7": 1, "ucs2": 0},
        "segments": [{"segments": 1, "message_count": 1}],
        "credits": {"total": 1, "minimum": 1, "maximum": 1},
        "characters": [],
        "suggested_body": None,
        "segments_saved": 0,
        "missing_variables": [],
        "samples": [
            {"contact_id": contact_id, "to": "+12125550100", "body": "Hi Maria", "encoding": "gsm7", "segments": 1}
        ],
        "estimated_seconds": 1,
        "balance": 10_000,
        "balance_after": 10_000,
        "exact": True,
        "sample_size": 1,
        "approval_required": False,
        "warnings": [
            {
                "code": "opt_out_words_missing",
                "message": "The body does not say how to opt out. Laws and carriers ask for words such as"
                " 'Reply STOP to opt out.' in marketing messages.",
                "param": "body",
            }
        ],
        "refusal": None,
    }
    assert await db.fetch_value("SELECT count(*) FROM campaigns") == 0


async def test_the_metadata_of_a_campaign_preview_is_ignored(api: httpx.AsyncClient, ctx: Context) -> None:
    contact = await factories.make_contact(ctx, "+12125550100")
    audience = {"contact_ids": [ids.encode_id(ids.CONTACT, contact.id)]}
    for metadata in ({"": "x"}, {"k" * 41: "v" * 501}, {f"k{at}": at for at in range(21)}):
        answer = await api.post(
            "/v1/campaigns/preview", json={"body": "Hi", "audience": audience, "metadata": metadata}
        )
        assert (answer.status_code, answer.json()["refusal"]) == (200, None)


async def test_an_audience_is_required(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/campaigns/preview", json={"body": "Hi", "audience": {}})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "audience"
