"""Logging in over HTTP: what a browser may do, and what another site, another member or a stranger may not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.applications import Starlette

from msvs.api import ids
from msvs.api.accounts import login_sessions, totp, users
from msvs.api.accounts.passkeys import relying_party
from msvs.api.accounts.strangers import RATE as STRANGERS
from msvs.api.accounts.strangers import SessionStrangers
from msvs.api.context import Context
from msvs.api.limits import RATES, Bucket, LocalBuckets, Rate
from msvs.api.unit_of_work import unit_of_work
from msvs.app import create_app
from msvs.database import execute, fetch_value
from msvs.http.callers import COOKIE
from msvs.models import AuditEntry, Membership, Role, User, Workspace
from msvs.settings import Settings
from tests import factories
from tests.apps import settings_for
from tests.authenticator import Authenticator
from tests.engines import Engines
from tests.graphql_api.browser import PASSWORD, Browser, document, make_user
from tests.graphql_api.conftest import Caller
from tests.services import SERVICES

Browsers = Callable[..., Browser]
CREATE_LIST = (
    'mutation { createList(name: "Cohort 07") { __typename ... on Error { code } ... on ContactList { livemode } } }'
)
NOW = datetime(2026, 11, 29, tzinfo=UTC)
CREATE_KEY = "mutation { createApiKey { __typename ... on Error { code } } }"


@pytest.fixture
async def browsers(app: Starlette, clean: None) -> AsyncIterator[Browsers]:
    """`browsers()`: another browser."""
    made: list[Browser] = []

    def make(**options: Any) -> Browser:
        made.append(Browser(app, **options))
        return made[-1]

    yield make
    for browser in made:
        await browser.http.aclose()


@pytest.fixture
async def rosa(workspace: Workspace) -> User:
    """The workspace's owner."""
    return await make_user("rosa@cohortlabs.co", (workspace, Role.OWNER))


def code_of(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["errors"][0]["extensions"]["code"]


async def test_sign_up_makes_a_workspace_and_logs_in(browsers: Browsers) -> None:
    browser = browsers()
    given = {"email": "Rosa@CohortLabs.co", "password": PASSWORD, "name": "Rosa", "workspaceName": "Cohort Labs"}
    response = await browser.post(document("SignUp"), {"input": given})
    made = response.json()["data"]["signUp"]
    assert made["__typename"] == "SignedUp"
    assert made["testKey"].startswith("msvs_test_")
    browser.csrf = made["session"]["csrfToken"]
    viewer = (await browser.run(document("Viewer")))["viewer"]
    assert viewer == {
        "actor": made["session"]["user"]["id"],
        "livemode": False,
        "role": "OWNER",
        "session": {
            "user": {
                "id": viewer["actor"],
                "email": "rosa@cohortlabs.co",
                "name": "Rosa",
                "isConfirmed": False,
                "pendingEmail": "rosa@cohortlabs.co",
                "hasSecondFactor": False,
                "language": None,
                "timezone": None,
            },
            "memberships": [
                {
                    "workspaceId": made["workspaceId"],
                    "workspaceName": "Cohort Labs",
                    "role": "OWNER",
                    "requiresSecondFactor": False,
                }
            ],
            "csrfToken": browser.csrf,
            "expiresAt": viewer["session"]["expiresAt"],
        },
    }


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"password": "short"}, "password_length", "password"),
        ({"password": "a" * 20}, "password_weak", "password"),
        ({"email": "rosa"}, "email_invalid", "email"),
        ({"name": " "}, "parameter_out_of_range", "name"),
        ({"workspaceName": None}, "parameter_missing", "workspaceName"),
        ({"invitation": "x"}, "parameter_missing", "workspaceName"),
        ({"workspaceName": None, "invitation": "x"}, "invitation_invalid", "invitation"),
    ],
)
async def test_a_sign_up_refused_leaves_nothing(
    changes: dict[str, Any], code: str, param: str, browsers: Browsers
) -> None:
    given = {"email": "rosa@cohortlabs.co", "password": PASSWORD, "name": "Rosa", "workspaceName": "C", **changes}
    response = await browsers().post(document("SignUp"), {"input": given})
    refused = response.json()["data"]["signUp"]
    assert (refused["code"], refused["param"]) == (code, param)
    assert "set-cookie" not in response.headers
    assert await fetch_value("SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM sessions)") == 0
    assert await fetch_value("SELECT count(*) FROM workspaces") == 0


async def test_sign_ups_are_limited_by_network(browsers: Browsers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_sessions, "MAX_SIGN_UPS", 2)
    given = {"input": {"email": "x", "password": PASSWORD, "name": "Rosa", "workspaceName": "C"}}
    codes = [(await browsers().run(document("SignUp"), given))["signUp"]["code"] for _ in range(3)]
    assert codes == ["email_invalid", "email_invalid", "sign_up_throttled"]
    elsewhere = await browsers(ip="198.51.100.7").run(document("SignUp"), given)
    assert elsewhere["signUp"]["code"] == "email_invalid"


async def test_the_cookie_in_development(browsers: Browsers, rosa: User) -> None:
    response = await browsers().post(document("LogIn"), {"email": rosa.email, "password": PASSWORD})
    name, _, rest = response.headers["set-cookie"].partition("=")
    value, *attributes = rest.split("; ")
    assert (name, len(value)) == ("msvs_session", 43)
    assert attributes == ["Path=/", "Max-Age=604800", "HttpOnly", "SameSite=Strict"]
    assert value not in response.text


async def test_the_cookie_in_production(database: str, engines: Engines, tmp_path: Path, rosa: User) -> None:
    app = create_app(settings_for(database, engines, tmp_path, environment="production"), SERVICES)
    browser = Browser(app, scheme="https")
    response = await browser.post(document("LogIn"), {"email": rosa.email, "password": PASSWORD})
    name, _, rest = response.headers["set-cookie"].partition("=")
    assert name == "__Host-msvs_session"
    assert rest.split("; ")[1:] == ["Path=/", "Max-Age=604800", "HttpOnly", "SameSite=Strict", "Secure"]
    browser.csrf = response.json()["data"]["logIn"]["csrfToken"]
    assert (await browser.run(document("Viewer")))["viewer"]["role"] == "OWNER"
    # A page that anybody on the way could have written.
    assert code_of(await browser.post(document("Viewer"), origin="http://app.cohortlabs.co")) == (403, "origin_refused")
    await browser.http.aclose()
    await app.state.limiter.close()
    await app.state.readiness.close()


async def test_a_wrong_password_and_an_unknown_user_look_the_same(browsers: Browsers, rosa: User) -> None:
    browser = browsers()
    answers = []
    for email, password in ((rosa.email, "wrong horse battery"), ("nobody@cohortlabs.co", PASSWORD), ("no", "")):
        response = await browser.post(document("LogIn"), {"email": email, "password": password})
        answers.append((response.status_code, response.json()["data"], sorted(response.headers)))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][1]["logIn"]["code"] == "login_invalid"
    assert "set-cookie" not in answers[0][2]


async def test_logging_in_is_throttled(browsers: Browsers, rosa: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_sessions, "MAX_ATTEMPTS", 3)
    for email in (rosa.email, "nobody@cohortlabs.co"):
        answers = [await browsers().log_in(email, "wrong horse battery") for _ in range(4)]
        assert [each["code"] for each in answers] == ["login_invalid"] * 3 + ["login_throttled"]
        assert 0 < answers[3]["retryAfter"] <= 900
    # The right password does not help either, from this network.
    assert (await browsers().log_in(rosa.email))["code"] == "login_throttled"
    assert (await browsers(ip="198.51.100.7").log_in(rosa.email))["__typename"] == "Session"


async def test_strangers_have_a_bucket_a_network(browsers: Browsers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cast("dict[Bucket, Rate]", RATES), Bucket.STRANGERS, Rate(1, 2))
    browser = browsers()
    for _ in range(20):
        response = await browser.post("{ viewer { actor } }")
        if response.status_code == 429:
            break
    assert code_of(response) == (429, "rate_limit_exceeded")
    assert int(response.headers["retry-after"]) >= 1
    assert code_of(await browsers(ip="198.51.100.7").post("{ viewer { actor } }")) == (401, "api_key_missing")


async def test_who_is_held_back_for_unknown_sessions_may_log_in(browsers: Browsers, rosa: User) -> None:
    """Others in the network try sessions, and a cookie that has run out is one more of them."""
    SERVICES.forget(SessionStrangers)
    tried = SERVICES.keep(SessionStrangers)
    tried.tries = LocalBuckets(lambda: 1000.0)
    browser = browsers()
    for number in range(STRANGERS.capacity):
        assert tried.seconds_to_wait(str(number), "203.0.113.9") is None
    browser.http.cookies.set(COOKIE, "x" * 43, domain="app.cohortlabs.co")
    held = await browser.post("{ viewer { actor } }")
    assert code_of(held) == (429, "rate_limit_exceeded")
    assert held.headers["retry-after"] == "1"
    assert (await browser.log_in(rosa.email))["__typename"] == "Session"
    assert (await browser.run(document("Viewer")))["viewer"]["role"] == "OWNER"
    SERVICES.forget(SessionStrangers)


async def test_logging_in_again_ends_the_session_before(browsers: Browsers, rosa: User) -> None:
    browser = browsers()
    await browser.log_in(rosa.email)
    await browser.log_in(rosa.email)
    assert await fetch_value("SELECT count(*) FROM sessions") == 1
    assert (await browser.run(document("Viewer")))["viewer"]["role"] == "OWNER"


async def test_a_user_lists_sessions_and_ends_one(browsers: Browsers, rosa: User, workspace: Workspace) -> None:
    sessions, end_session = document("Sessions"), document("EndSession")
    luis = await make_user("luis@cohortlabs.co", (workspace, Role.MEMBER))
    here, phone, other = browsers(), browsers(), browsers()
    await phone.log_in(rosa.email)
    await here.log_in(rosa.email)
    await other.log_in(luis.email)
    newest, lost = (await here.run(sessions))["sessions"]
    assert (newest["isCurrent"], lost["isCurrent"]) == (True, False)
    refused = (await other.run(end_session, {"id": lost["id"]}))["endSession"]
    assert (refused["__typename"], refused["code"]) == ("NotFoundError", "resource_missing")
    assert len((await here.run(sessions))["sessions"]) == 2
    ended = (await here.run(end_session, {"id": lost["id"]}))["endSession"]
    assert ended == {"__typename": "Deleted", "id": lost["id"]}
    assert code_of(await phone.post(document("Viewer"))) == (401, "session_invalid")
    assert [each["id"] for each in (await here.run(sessions))["sessions"]] == [newest["id"]]
    assert len((await other.run(sessions))["sessions"]) == 1


async def test_logging_out(browsers: Browsers, rosa: User) -> None:
    first, second = browsers(), browsers()
    for browser in (first, second):
        await browser.log_in(rosa.email)
    token = first.http.cookies["msvs_session"]
    response = await first.post(document("LogOut"))
    assert response.json()["data"]["logOut"] == {"__typename": "LoggedOut", "sessionCount": 1}
    assert response.headers["set-cookie"].startswith("msvs_session=; Path=/; Max-Age=0;")
    assert "msvs_session" not in first.http.cookies
    stolen = await first.post(document("Viewer"), cookie=f"msvs_session={token}")
    assert code_of(stolen) == (401, "session_invalid")
    assert (await first.run(document("LogOut")))["logOut"]["sessionCount"] == 0
    assert (await second.run(document("LogOut"), {"everywhere": True}))["logOut"]["sessionCount"] == 1
    # A cookie that has run out does not stand in the way of logging in.
    first.http.cookies.set("msvs_session", token)
    assert (await first.log_in(rosa.email))["__typename"] == "Session"


async def test_a_reloaded_page_gets_its_token_back(browsers: Browsers, rosa: User) -> None:
    browser = browsers()
    token = (await browser.log_in(rosa.email))["csrfToken"]
    browser.csrf = None
    # Nothing else is told, and nothing at all to what does not come from a page of ours.
    for query, headers in (
        (CREATE_LIST, {}),
        ("{ viewer { session { csrfToken } } workspace { id } }", {}),
        (document("Viewer"), {"origin": None}),
        (document("Viewer"), {"origin": None, "sec_fetch_site": "same-origin"}),
        (document("Viewer"), {"x_csrf_token": ""}),
    ):
        assert code_of(await browser.post(query, **headers)) == (403, "csrf_invalid")
    assert code_of(await browser.post(document("Viewer"), origin="https://evil.example")) == (403, "origin_refused")
    inside = (await browser.post("{ viewer { workspace { id } } }")).json()
    assert (inside["data"], inside["errors"][0]["extensions"]["code"]) == (None, "csrf_invalid")
    viewer = (await browser.run(document("Viewer")))["viewer"]
    assert (viewer["role"], viewer["session"]["csrfToken"]) == (None, token)
    browser.csrf = viewer["session"]["csrfToken"]
    assert (await browser.run(CREATE_LIST))["createList"]["__typename"] == "ContactList"


@pytest.mark.parametrize("name", ["LogIn", "LogOut"])
async def test_a_page_without_its_token_logs_in_or_out(name: str, browsers: Browsers, rosa: User) -> None:
    browser = browsers()
    await browser.log_in(rosa.email)
    browser.csrf = None
    (answer,) = (await browser.run(document(name), {"email": rosa.email, "password": PASSWORD})).values()
    assert answer["__typename"] == {"LogIn": "Session", "LogOut": "LoggedOut"}[name]
    # The session before has ended either way.
    assert await fetch_value("SELECT count(*) FROM sessions") == (name == "LogIn")


async def test_changing_the_password(browsers: Browsers, rosa: User) -> None:
    browser, other = browsers(), browsers()
    for each in (browser, other):
        await each.log_in(rosa.email)
    before = browser.http.cookies["msvs_session"]
    new = {"password": "an entirely new password"}
    wrong = (await browser.run(document("ChangePassword"), {"currentPassword": "wrong", **new}))["changePassword"]
    assert (wrong["code"], wrong["param"]) == ("password_wrong", "currentPassword")
    changed = (await browser.run(document("ChangePassword"), {"currentPassword": PASSWORD, **new}))["changePassword"]
    assert browser.http.cookies["msvs_session"] != before
    assert changed["csrfToken"] != browser.csrf
    assert code_of(await browser.post(document("Viewer"))) == (403, "csrf_invalid")
    browser.csrf = changed["csrfToken"]
    assert (await browser.run(document("Viewer")))["viewer"]["role"] == "OWNER"
    assert code_of(await other.post(document("Viewer"))) == (401, "session_invalid")
    assert (await browsers().log_in(rosa.email))["code"] == "login_invalid"
    assert (await browsers().log_in(rosa.email, new["password"]))["__typename"] == "Session"
    assert await AuditEntry.filter(action="user.password_changed").count() == 1


async def test_an_invitation_is_shown_and_taken(browsers: Browsers, rosa: User, ctx: Context) -> None:
    eva = await make_user("eva@cohortlabs.co")
    owner = Context(ctx.workspace_id, False, ids.encode_id(ids.USER, rosa.id), role=Role.OWNER, services=SERVICES)
    async with unit_of_work():
        _, token = await users.invite_member(owner, email=str(eva.email), role=Role.READ_ONLY)
    shown = (await browsers().run(document("InvitationPreview"), {"token": token}))["invitationPreview"]
    assert (shown["workspaceName"], shown["email"], shown["role"]) == ("Cohort Labs", eva.email, "READ_ONLY")
    browser = browsers()
    await browser.log_in(eva.email)
    # A user without any workspace.
    viewer = (await browser.run(document("Viewer")))["viewer"]
    assert (viewer["role"], viewer["session"]["memberships"]) == (None, [])
    assert code_of(await browser.post("{ contacts { totalCount } }")) == (200, "workspace_required")
    assert (await browser.run(CREATE_LIST))["createList"]["code"] == "workspace_required"
    joined = (await browser.run(document("AcceptInvitation"), {"token": token}))["acceptInvitation"]
    workspace_id = ids.encode_id(ids.WORKSPACE, ctx.workspace_id)
    assert joined["memberships"] == [{"workspaceId": workspace_id, "role": "READ_ONLY"}]
    assert (await browser.run("{ contacts { totalCount } }"))["contacts"]["totalCount"] == 0
    again = (await browser.run(document("AcceptInvitation"), {"token": token}))["acceptInvitation"]
    assert (again["__typename"], again["code"]) == ("NotFoundError", "invitation_invalid")
    assert (await browser.run(document("InvitationPreview"), {"token": token}))["invitationPreview"] is None


async def test_a_user_switches_workspace_and_mode_by_headers(browsers: Browsers, workspace: Workspace) -> None:
    second = await factories.make_workspace(name="Second Studio")
    luis = await make_user("luis@cohortlabs.co", (workspace, Role.MEMBER), (second, Role.ADMIN))
    browser = browsers()
    await browser.log_in(luis.email)
    assert (await browser.run(document("Viewer")))["viewer"]["role"] is None
    assert (await browser.run(CREATE_LIST))["createList"]["code"] == "workspace_required"
    seen = set()
    for where, role in ((workspace, "MEMBER"), (second, "ADMIN")):
        for livemode in (False, True):
            browser.enter(where, livemode=livemode)
            viewer = (await browser.run("{ viewer { livemode role workspace { name } } }"))["viewer"]
            assert viewer == {"livemode": livemode, "role": role, "workspace": {"name": where.name}}
            assert (await browser.run("{ contactLists { totalCount } }"))["contactLists"]["totalCount"] == 0
            assert (await browser.run(CREATE_LIST))["createList"]["livemode"] is livemode
            seen.add((where.name, livemode))
    assert len(seen) == 4
    assert await fetch_value("SELECT count(*) FROM contact_lists") == 4


OWN = "{ sessions { id } secondFactors { hasTotp } viewer { role session { memberships { isSuspended } } } }"


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ({"suspended_at": NOW}, "workspace_suspended"),
        ({"suspended_at": NOW, "deletion_asked_at": NOW, "deletes_at": NOW}, "workspace_deleting"),
        ({"requires_second_factor": True}, "second_factor_required"),
        (None, "resource_missing"),
    ],
    ids=str,
)
@pytest.mark.parametrize("is_named", [True, False])
async def test_an_account_is_reached_from_a_workspace_that_may_not_be_entered(
    state: dict[str, Any] | None, code: str, is_named: bool, browsers: Browsers, rosa: User, workspace: Workspace
) -> None:
    luis = await make_user("luis@cohortlabs.co", (workspace, Role.MEMBER))
    browser, other = browsers(), browsers(ip="198.51.100.7")
    await browser.log_in(luis.email)
    await other.log_in(luis.email)
    if is_named:
        browser.enter(workspace)
    if state is None:
        await Membership.filter(user_id=luis.id).delete()
    else:
        await Workspace.filter(id=workspace.id).update(**state)
    if state is None and not is_named:
        code = "workspace_required"
    for asked in ("{ contacts { totalCount } }", CREATE_LIST):
        answer = (await browser.post(asked)).json()
        refused = answer["data"]["createList"] if answer["data"] else answer["errors"][0]["extensions"]
        assert (refused["code"], refused.get("param")) == (code, "X-Workspace" if code == "resource_missing" else None)
    shown = await browser.run(OWN)
    assert (len(shown["sessions"]), shown["viewer"]["role"]) == (2, None)
    held = [] if state is None else [{"isSuspended": code == "workspace_suspended"}]
    assert shown["viewer"]["session"]["memberships"] == held
    new = {"currentPassword": PASSWORD, "password": "an entirely new password"}
    changed = (await browser.run(document("ChangePassword"), new))["changePassword"]
    assert changed["__typename"] == "Session"
    browser.csrf = changed["csrfToken"]
    assert code_of(await other.post(document("Sessions"))) == (401, "session_invalid")
    assert await AuditEntry.filter(action="user.password_changed").count() == (0 if state is None else 1)
    begun = (await browser.run(document("BeginTotp"), {"currentPassword": new["password"]}))["beginTotp"]
    assert begun["__typename"] == "TotpSecret"
    if state is not None:
        named = {"workspaceId": ids.encode_id(ids.WORKSPACE, workspace.id)}
        left = (await browser.run(document("LeaveWorkspace"), named))["leaveWorkspace"]
        assert left == {"__typename": "Session", "memberships": []}
    assert (await browser.run(document("LogOut"), {"everywhere": False}))["logOut"]["sessionCount"] == 1


async def test_ways_into_another_workspace_stay_open(browsers: Browsers, workspace: Workspace) -> None:
    second = await factories.make_workspace(name="Second Studio")
    luis = await make_user("luis@cohortlabs.co", (workspace, Role.MEMBER), (second, Role.ADMIN))
    browser = browsers()
    await browser.log_in(luis.email)
    await Workspace.filter(id=workspace.id).update(suspended_at=NOW)
    for named in ("wsp_0", "nonsense", "\x00"):
        response = await browser.post("{ contacts { totalCount } }", x_workspace=named)
        assert code_of(response) == (200, "resource_missing")
        assert (await browser.run(OWN, x_workspace=named))["viewer"]["role"] is None
    browser.enter(second)
    assert (await browser.run(CREATE_LIST))["createList"]["livemode"] is False


async def set_up_app(browser: Browser) -> tuple[str, list[str]]:
    """The secret of an app that is set up with the code before this one, and the recovery codes."""
    secret = (await browser.run(document("BeginTotp"), {"currentPassword": PASSWORD}))["beginTotp"]["secret"]
    codes = (await browser.run(document("ConfirmTotp"), {"code": code_after(secret, -1)}))["confirmTotp"]["codes"]
    return secret, codes


def code_after(secret: str, later: int) -> str:
    return totp.make_code(secret, totp.current_step(SERVICES.clock()) + later)


async def test_deleting_transferring_and_canceling_ask_for_the_second_factor(
    browsers: Browsers, rosa: User, workspace: Workspace
) -> None:
    luis = await make_user("luis@cohortlabs.co", (workspace, Role.ADMIN))
    browser = browsers()
    await browser.log_in(rosa.email)
    browser.enter(workspace)
    _, recovery = await set_up_app(browser)
    place = {"workspaceId": ids.encode_id(ids.WORKSPACE, workspace.id)}
    heir = {"userId": ids.encode_id(ids.USER, luis.id)}
    asked: list[tuple[str, dict[str, str]]] = [
        ("DeleteWorkspace", {"name": "Cohort Labs"}),
        ("CancelWorkspaceDeletion", place),
        ("TransferOwnership", heir),
    ]
    for name, variables in asked:
        for given, refused in (
            ({"currentPassword": PASSWORD}, "parameter_missing"),
            ({"currentPassword": PASSWORD, "code": "000 000"}, "second_factor_invalid"),
            ({"currentPassword": "a wrong password", "code": recovery[0]}, "password_wrong"),
        ):
            (answer,) = (await browser.run(document(name), {**variables, **given})).values()
            assert answer["code"] == refused, name
        given = {"currentPassword": PASSWORD, "code": recovery.pop()}
        (answer,) = (await browser.run(document(name), {**variables, **given})).values()
        assert "code" not in answer, answer


async def passkey_of(browser: Browser, **proof: str) -> str:
    """The id of a passkey that is added."""
    begun = (await browser.run(document("BeginPasskey"), {"currentPassword": PASSWORD, **proof}))["beginPasskey"]
    device = Authenticator(relying_party(replace(SERVICES, base_url=Settings().base_url))[1][0])
    given = {"token": begun["token"], "credential": device.create(begun["options"]), "name": "Phone"}
    return str((await browser.run(document("AddPasskey"), given))["addPasskey"]["passkey"]["id"])


@pytest.mark.parametrize("name", ["BeginTotp", "BeginPasskey", "MakeRecoveryCodes", "RemovePasskey", "RemoveTotp"])
@pytest.mark.parametrize("by", ["code", "recovery code"])
async def test_a_second_factor_is_asked_for_before_another_is_added_or_removed(
    browsers: Browsers, rosa: User, workspace: Workspace, name: str, by: str
) -> None:
    browser = browsers()
    await browser.log_in(rosa.email)
    browser.enter(workspace)
    secret, codes = await set_up_app(browser)
    variables = {"id": await passkey_of(browser, code=codes.pop())} if name == "RemovePasskey" else {}
    before = (await browser.run(document("SecondFactors")))["secondFactors"]
    right = codes.pop() if by == "recovery code" else code_after(secret, 0)
    for given, refused in (
        ({"currentPassword": PASSWORD}, "parameter_missing"),
        ({"currentPassword": PASSWORD, "code": "000 000"}, "second_factor_invalid"),
        ({"currentPassword": "a wrong password", "code": right}, "password_wrong"),
    ):
        (answer,) = (await browser.run(document(name), {**variables, **given})).values()
        assert answer["code"] == refused
    assert (await browser.run(document("SecondFactors")))["secondFactors"] == before
    (answer,) = (await browser.run(document(name), {**variables, "currentPassword": PASSWORD, "code": right})).values()
    # An app that is set up is in the way of another, but the proof was taken.
    assert answer.get("code") == ("second_factor_exists" if name == "BeginTotp" else None), answer
    (answer,) = (await browser.run(document("BeginPasskey"), {"currentPassword": PASSWORD, "code": right})).values()
    assert answer.get("code") == (None if name == "RemoveTotp" else "second_factor_invalid"), answer


async def test_what_was_begun_by_the_password_alone_ends_when_a_factor_is_added(
    browsers: Browsers, rosa: User, workspace: Workspace
) -> None:
    thief, browser = browsers(), browsers()
    for each in (thief, browser):
        await each.log_in(rosa.email)
        each.enter(workspace)
    begun = (await thief.run(document("BeginPasskey"), {"currentPassword": PASSWORD}))["beginPasskey"]
    secret = (await thief.run(document("BeginTotp"), {"currentPassword": PASSWORD}))["beginTotp"]["secret"]
    await passkey_of(browser)
    (answer,) = (await thief.run(document("ConfirmTotp"), {"code": code_after(secret, 0)})).values()
    assert answer["code"] == "second_factor_invalid"
    device = Authenticator(relying_party(replace(SERVICES, base_url=Settings().base_url))[1][0])
    given = {"token": begun["token"], "credential": device.create(begun["options"]), "name": "Phone"}
    (answer,) = (await thief.run(document("AddPasskey"), given)).values()
    assert answer["code"] == "second_factor_invalid"
    found = (await browser.run(document("SecondFactors")))["secondFactors"]
    assert (found["hasTotp"], len(found["passkeys"])) == (False, 1)


async def test_a_session_that_is_not_used_ends(browsers: Browsers, rosa: User) -> None:
    browser = browsers()
    await browser.log_in(rosa.email)
    await execute("UPDATE sessions SET last_seen_at = last_seen_at - interval '12 hours 1 minute'")
    assert code_of(await browser.post(document("Viewer"))) == (401, "session_invalid")


@dataclass(frozen=True)
class Case:
    """A request, by changes to one that is allowed: who sends it, with which headers, and how it is refused."""

    name: str
    status: int
    code: str
    role: Role | None = Role.OWNER
    query: str = CREATE_LIST
    headers: dict[str, str | None] = field(default_factory=dict)


FOREIGN = "https://evil.example"
CASES = [
    Case("no cookie", 401, "api_key_missing", role=None),
    Case("no cookie, a foreign page", 403, "origin_refused", role=None, headers={"origin": FOREIGN}),
    Case(
        "logging in from a foreign page",
        403,
        "origin_refused",
        role=None,
        query='mutation { logIn(email: "rosa@cohortlabs.co", password: "x") { __typename } }',
        headers={"origin": FOREIGN},
    ),
    Case("another cookie", 401, "session_invalid", role=None, headers={"cookie": "msvs_session=x"}),
    Case("production's cookie", 401, "api_key_missing", role=None, headers={"cookie": "__Host-msvs_session=x"}),
    Case("no CSRF token", 403, "csrf_invalid", headers={"x-csrf-token": None}),
    Case("a wrong CSRF token", 403, "csrf_invalid", headers={"x-csrf-token": "x"}),
    Case("a CSRF token that is no ASCII", 403, "csrf_invalid", headers={"x-csrf-token": "\xe9"}),
    Case("a foreign Origin", 403, "origin_refused", headers={"origin": FOREIGN}),
    Case("an opaque Origin", 403, "origin_refused", headers={"origin": "null"}),
    Case("a sibling's Origin", 403, "origin_refused", headers={"origin": "http://evil.cohortlabs.co"}),
    Case(
        "our name within another's", 403, "origin_refused", headers={"origin": "http://app.cohortlabs.co.evil.example"}
    ),
    Case("our name as a user", 403, "origin_refused", headers={"origin": "http://app.cohortlabs.co@evil.example"}),
    Case("another port", 403, "origin_refused", headers={"origin": "http://app.cohortlabs.co:8080"}),
    Case("a malformed Origin", 403, "origin_refused", headers={"origin": "http://["}),
    Case("cross-site by its witness", 403, "origin_refused", headers={"sec-fetch-site": "cross-site"}),
    Case("same-site by its witness", 403, "origin_refused", headers={"sec-fetch-site": "same-site"}),
    Case("another's workspace", 200, "resource_missing", headers={"x-workspace": "OTHER"}),
    Case("a workspace that never was", 200, "resource_missing", headers={"x-workspace": "wsp_1"}),
    Case("an unknown mode", 400, "parameter_invalid", headers={"x-livemode": "yes"}),
    Case("a header that is no key", 401, "api_key_malformed", headers={"authorization": "Bearer x"}),
    Case("another scheme", 401, "api_key_malformed", headers={"authorization": "Basic eDp4"}),
    Case("a member doing an admin's work", 200, "permission_denied", role=Role.MEMBER, query=CREATE_KEY),
    Case("a reader writing", 200, "permission_denied", role=Role.READ_ONLY),
    Case("a reader doing an admin's work", 200, "permission_denied", role=Role.READ_ONLY, query=CREATE_KEY),
    Case(
        "an admin making an owner",
        200,
        "permission_denied",
        role=Role.ADMIN,
        query='mutation { inviteMember(email: "a@example.com", role: OWNER) { __typename ... on Error { code } } }',
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_callers_without_permission_are_refused(
    case: Case, browsers: Browsers, workspace: Workspace, other_ctx: Context
) -> None:
    browser = browsers()
    if case.role is not None:
        user = await make_user("luis@cohortlabs.co", (workspace, case.role))
        await browser.log_in(user.email)
    headers = {name.replace("-", "_"): value for name, value in case.headers.items()}
    if headers.get("x_workspace") == "OTHER":
        headers["x_workspace"] = ids.encode_id(ids.WORKSPACE, other_ctx.workspace_id)
    response = await browser.post(case.query, None, **headers)
    answer = response.json()
    if "errors" in answer:
        assert code_of(response) == (case.status, case.code)
    else:
        (result,) = answer["data"].values()
        assert (response.status_code, result["code"]) == (case.status, case.code)
    made = await fetch_value(
        "SELECT (SELECT count(*) FROM contact_lists) + (SELECT count(*) FROM api_keys)"
        " + (SELECT count(*) FROM invitations)"
    )
    assert made == 0


async def test_the_request_that_the_cases_change_is_allowed(browsers: Browsers, rosa: User) -> None:
    browser = browsers()
    await browser.log_in(rosa.email)
    assert (await browser.run(CREATE_LIST))["createList"] == {"__typename": "ContactList", "livemode": False}
    same = await browser.run("{ viewer { role } }", sec_fetch_site="same-origin", origin=None)
    assert same["viewer"]["role"] == "OWNER"


@pytest.mark.parametrize(
    "body",
    [
        b"not JSON",
        b"{}",
        b'{"query": "{ ...F } fragment F on Query { viewer { actor } }"}',
        b'{"query": "mutation { logOut { __typename } createApiKey { __typename } }"}',
        b'{"query": "query A { viewer { actor } } mutation B { logOut { __typename } }", "operationName": "A"}',
        b'{"query": "{ __schema { types { name } } }"}',
        b'{"query": "{ viewer { actor } }' + b" " * 20_000 + b'"}',
    ],
)
async def test_a_stranger_is_told_nothing_else(body: bytes, browsers: Browsers) -> None:
    response = await browsers().http.post("/graphql", content=body, headers={"content-type": "application/json"})
    assert code_of(response) == (401, "api_key_missing")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("query", ["{", "{ nonsense }"])
async def test_a_caller_without_login_learns_what_is_wrong_in_a_document(query: str, browsers: Browsers) -> None:
    response = await browsers().post(query)
    assert code_of(response) == (200, "document_invalid")
    assert "data" not in response.json()


async def test_a_stranger_asks_for_one_field_at_a_time(browsers: Browsers) -> None:
    field = 'logIn(email: "a", password: "b") { __typename }'
    two = f"mutation {{ a: {field} b: {field} }}"
    assert code_of(await browsers().post(two)) == (200, "document_invalid")
    assert await fetch_value("SELECT count(*) FROM login_throttles") == 0


async def test_a_key_cannot_act_for_a_user(caller: Caller, rosa: User) -> None:
    answer = await caller.run(document("LogIn"), {"email": rosa.email, "password": PASSWORD})
    assert (answer["logIn"]["__typename"], answer["logIn"]["code"]) == ("PermissionError", "permission_denied")
    viewer = (await caller.run(document("Viewer")))["viewer"]
    assert (viewer["role"], viewer["session"]) == (None, None)
    assert await fetch_value("SELECT count(*) FROM sessions") == 0
