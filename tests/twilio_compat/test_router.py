"""Twilio's API before any operation: who is asking, limits, and requests that Twilio does not have."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from starlette.applications import Starlette

from msvs.api import limits
from msvs.api.context import Context
from msvs.api.limits import Allowance
from msvs.api.messages import messages
from msvs.models import ApiKey, Message
from tests.twilio_compat.conftest import Account, Accounts
from tests.twilio_compat.test_messages import refusal

FORM = "application/x-www-form-urlencoded"


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


async def test_an_account_is_found_by_its_key_alone(account: Account) -> None:
    response = await account.http.get("/2010-04-01/Accounts.json", auth=(account.key, account.key))
    assert response.status_code == 200
    page = response.json()
    [found] = page["accounts"]
    assert (found["sid"], found["friendly_name"], found["type"]) == (account.sid, "Cohort Labs", "Trial")
    assert (page["next_page_uri"], page["page_size"]) == (None, 1)
    one = await account.http.get(found["uri"], auth=account.auth)
    assert one.json() == found
    assert account.key not in response.text + one.text


async def test_a_live_account_is_full(account_of: Accounts, live_ctx: Context) -> None:
    live = await account_of(live_ctx)
    assert (await live.http.get(f"{live.path}.json", auth=live.auth)).json()["type"] == "Full"


async def test_requests_without_valid_login_are_refused(
    account: Account, account_of: Accounts, other_ctx: Context
) -> None:
    other = await account_of(other_ctx)
    path = f"{account.path}/Messages.json"
    for authorization in (
        None,
        "",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"\xff\xfe:a").decode(),
        f"Bearer {account.key}",
        basic(account.key),
        basic(f"{account.sid}:"),
        basic(f"{account.sid}:not a key"),
        basic(f"{account.sid}:{account.key}x"),
        basic(f":{account.key}"),
        basic(f"{other.sid}:{account.key}"),
        basic(f"{other.key}:{account.key}"),
        basic(f"{account.sid}é:{account.key}"),
    ):
        headers = {} if authorization is None else {"Authorization": authorization}
        response = await account.http.get(path, headers=headers)
        assert refusal(response) == (401, 20003, None), authorization
        assert response.headers["www-authenticate"] == 'Basic realm="MassiveSMS"'
        assert account.key not in response.text


async def test_a_revoked_key_is_not_let_in(account: Account, ctx: Context) -> None:
    await ApiKey.filter(workspace_id=ctx.workspace_id, livemode=False).update(revoked_at=datetime.now(UTC))
    response = await account.http.get(f"{account.path}.json", auth=account.auth)
    assert refusal(response) == (401, 20003, None)
    assert response.json()["details"]["code"] == "api_key_revoked"


async def test_the_path_names_the_callers_account(account: Account, account_of: Accounts, other_ctx: Context) -> None:
    other = await account_of(other_ctx)
    for sid in (other.sid, account.sid.upper(), "AC", account.key):
        for path in (f"/2010-04-01/Accounts/{sid}.json", f"/2010-04-01/Accounts/{sid}/Messages.json"):
            response = await account.http.get(path, auth=account.auth)
            assert refusal(response) == (404, 20404, "AccountSid")
            assert account.key not in response.text


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/2010-04-01", None),
        ("GET", "/2010-04-01/", (404, 20404)),
        ("POST", "/2010-04-01/Accounts/{sid}/Calls.json", (404, 20404)),
        ("GET", "/2010-04-01/Accounts/{sid}/Messages", (404, 20404)),
        ("GET", "/2010-04-01/Accounts/{sid}/Messages/a/b/c.json", (404, 20404)),
        ("PUT", "/2010-04-01/Accounts/{sid}/Messages.json", (405, 20004)),
        ("DELETE", "/2010-04-01/Accounts/{sid}.json", (405, 20004)),
        ("POST", "/2010-04-01/Accounts.json", (405, 20004)),
    ],
)
async def test_what_is_not_here(account: Account, method: str, path: str, expected: tuple[int, int] | None) -> None:
    response = await account.http.request(method, path.format(sid=account.sid), auth=account.auth)
    if expected is None:
        assert response.json()["error"]["code"] == "route_unknown"
    else:
        assert refusal(response)[:2] == expected


@pytest.mark.parametrize(
    ("content", "content_type", "expected"),
    [
        (b'{"To": "+12125550111"}', "application/json", (415, 20415)),
        (b"To=a", None, (415, 20415)),
        (b"To=a", f"{FORM}; charset=latin-1", (415, 20415)),
        (b"To=\xff", FORM, (400, 20001)),
        (b"To=%ff", FORM, (400, 20001)),
        (b"To=%ed%a0%80", FORM, (400, 20001)),
        (b"To=a&To=b", FORM, (400, 20001)),
        (b"&".join(b"a%d=1" % number for number in range(51)), FORM, (400, 20001)),
        (b"T%00=a", FORM, (400, 20001)),
        (b"a" * (64 * 1024 + 1), FORM, (413, 20413)),
        (b"a" * (1024 * 1024 + 1), FORM, (413, 20413)),
        (b"", None, (400, 21604)),
        (b"&&&", FORM, (400, 21604)),
        (b"=", FORM, (400, 21604)),
        (b"x" * 1000, FORM, (400, 21604)),
        (b"x" * 1000 + b"=1", FORM, (400, 20001)),
        (b"%zz=%zz", FORM, (400, 20001)),
    ],
)
async def test_a_bad_form_is_refused_and_nothing_is_written(
    account: Account, content: bytes, content_type: str | None, expected: tuple[int, int]
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    response = await account.http.post(
        f"{account.path}/Messages.json", content=content, headers=headers, auth=account.auth
    )
    assert refusal(response)[:2] == expected
    assert len(response.content) < 1000
    assert await Message.all().count() == 0


@pytest.mark.parametrize(
    "query",
    [
        "PageSize=0",
        "PageSize=1001",
        "PageSize=-1",
        "PageSize=1e3",
        "Page=99999999",
        "PageToken=PA",
        "PageToken=XXSM" + "0" * 32,
        "PageToken=PASM" + "z" * 32,
        "DateSent=yesterday",
        "DateSent=2026-02-30",
        "DateSent%3C=2026-05-01T20:00:00",
        "DateSent%3E=9999-12-31T23:59:59-14:00",
        "Limit=1",
        "To=a&To=b",
        "To=%00",
        "%ff",
        "To=%ff",
        "Foo=",
        "Foo",
        "=",
        "to=",
        "DateSent%3E%3D2026-11-29",
        "DateSent%3C%3D2026-11-29",
        "DateSent=2026-11-29&Foo",
        "Page=1",
        "Page=1&PageToken=",
        "Page=1&PageSize=50",
    ],
)
async def test_a_bad_query_of_the_message_list_is_refused(account: Account, query: str) -> None:
    response = await account.http.get(f"{account.path}/Messages.json?{query}", auth=account.auth)
    assert refusal(response)[:2] == (400, 20001)


@pytest.mark.parametrize("query", ["Foo=", "Foo", "Page=1", "Page=x", "PageSize=0", "To=%2B12125550111"])
async def test_a_bad_query_of_the_other_lists_is_refused(account: Account, query: str) -> None:
    for path in ("/2010-04-01/Accounts.json", f"{account.path}/Messages/SM{'0' * 32}/Media.json"):
        response = await account.http.get(f"{path}?{query}", auth=account.auth)
        assert refusal(response)[:2] == (400, 20001)


@pytest.mark.parametrize("query", ["To=", "From=&DateSent=", "Page=0", "PageToken=", "PageSize="])
async def test_known_filters_may_be_blank(account: Account, query: str) -> None:
    response = await account.http.get(f"{account.path}/Messages.json?{query}", auth=account.auth)
    assert (response.status_code, response.json()["messages"]) == (200, [])


@pytest.mark.parametrize("query", ["Foo=", "Foo"])
async def test_a_post_with_a_blank_parameter_in_its_query_sends_nothing(account: Account, query: str) -> None:
    data = {"To": "+12125550111", "Body": "Doors open"}
    response = await account.http.post(f"{account.path}/Messages.json?{query}", data=data, auth=account.auth)
    assert refusal(response)[:2] == (400, 20001)
    assert await Message.all().count() == 0


async def test_parameters_of_a_post_are_in_its_body(account: Account) -> None:
    response = await account.http.post(
        f"{account.path}/Messages.json?To=%2B12125550111", data={"Body": "Doors open"}, auth=account.auth
    )
    assert refusal(response) == (400, 20001, "To")


async def test_a_head_has_no_body(account: Account) -> None:
    response = await account.http.head(f"{account.path}/Messages.json", auth=account.auth)
    assert (response.status_code, response.content) == (200, b"")


async def test_an_answer_tells_what_is_left_of_the_limit(account: Account) -> None:
    response = await account.http.get(f"{account.path}.json", auth=account.auth)
    assert response.headers["x-ratelimit-limit"] == "100"
    assert response.headers["x-ratelimit-remaining"] == "199"
    assert int(response.headers["x-ratelimit-reset"]) >= int(datetime.now(UTC).timestamp())
    assert response.headers["x-request-id"].startswith("req_")
    assert response.headers["cache-control"] == "no-store"


async def test_too_many_requests(account: Account, app: Starlette, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none_left(*_: object, **__: object) -> Allowance:
        return Allowance(limit=100, remaining=0, reset_epoch=1, retry_after=2)

    monkeypatch.setattr(limits.Limiter, "take", none_left)
    response = await account.post("Messages.json", To="+12125550111", Body="Doors open")
    assert refusal(response) == (429, 20429, None)
    assert (response.headers["retry-after"], response.headers["x-ratelimit-remaining"]) == ("2", "0")
    assert await Message.all().count() == 0


@pytest.mark.parametrize(
    ("error", "status", "number"), [(RuntimeError("a detail of ours"), 500, 20500), (OSError("away"), 503, 20503)]
)
async def test_what_goes_wrong_on_our_side_says_nothing_of_it(
    account: Account, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, number: int
) -> None:
    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(messages, "get_message", fail)
    response = await account.http.get(f"{account.path}/Messages/SM{'0' * 32}.json", auth=account.auth)
    assert refusal(response) == (status, number, None)
    assert str(error) not in response.text
