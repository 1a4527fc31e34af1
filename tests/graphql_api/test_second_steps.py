"""The documents of second factors, each run as a browser runs it: an app, a passkey, recovery codes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from starlette.applications import Starlette

from msvs.api.accounts import totp
from msvs.api.accounts.passkeys import relying_party
from msvs.models import Mail, Role, User, Workspace
from msvs.settings import Settings
from tests.authenticator import Authenticator
from tests.graphql_api.browser import PASSWORD, Browser, document, make_user
from tests.graphql_api.operations import SECOND_STEPS
from tests.services import SERVICES

EMAIL = "rosa@cohortlabs.co"
BY_PASSWORD = {"currentPassword": PASSWORD}


class Person:
    """Somebody in a browser, and the documents that they ran."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.ran: set[str] = set()

    async def run(self, name: str, /, **variables: Any) -> Any:
        """What a document of docs/graphql answers; it is no error."""
        self.ran.add(name)
        (answer,) = (await self.browser.run(document(name), variables)).values()
        assert "code" not in answer, answer
        return answer

    async def first_step(self) -> str:
        """The token of a log-in that waits for its second step."""
        answer = await self.browser.log_in(EMAIL)
        assert answer["__typename"] == "SecondFactorNeeded"
        return str(answer["token"])

    def enter(self, session: Any) -> None:
        """Go on under the session that a log-in opened."""
        self.browser.csrf = session["csrfToken"]


@pytest.fixture
async def rosa(app: Starlette, workspace: Workspace) -> AsyncIterator[Person]:
    await make_user(EMAIL, (workspace, Role.OWNER))
    browser = Browser(app)
    await browser.log_in(EMAIL)
    browser.enter(workspace, livemode=True)
    yield Person(browser)
    await browser.http.aclose()


async def test_every_document_of_second_factors_is_run(rosa: Person) -> None:
    """From an app that is set up to both factors removed, with a log-in by each of them in between."""
    secret = (await rosa.run("BeginTotp", **BY_PASSWORD))["secret"]

    def code(later: int) -> str:
        return totp.make_code(secret, totp.current_step(SERVICES.clock()) + later)

    codes = (await rosa.run("ConfirmTotp", code=code(-1)))["codes"]
    assert len(codes) == 10
    rosa.enter(await rosa.run("LogInWithCode", token=await rosa.first_step(), code=code(0)))
    await rosa.run("RequireSecondFactor", required=True)
    await rosa.run("RequireSecondFactor", required=False)

    (origin,) = relying_party(replace(SERVICES, base_url=Settings().base_url))[1]
    device = Authenticator(origin)
    asked = await rosa.run("BeginPasskey", code=codes.pop(), **BY_PASSWORD)
    added = await rosa.run(
        "AddPasskey", token=asked["token"], credential=device.create(asked["options"]), name="My phone"
    )
    passkey = added["passkey"]["id"]
    assert (await rosa.run("RenamePasskey", id=passkey, name="Old phone"))["name"] == "Old phone"
    for is_second in (False, True):
        token = await rosa.first_step() if is_second else None
        asked = await rosa.run("BeginPasskeyLogin", token=token)
        credential = device.get(asked["options"])
        rosa.enter(await rosa.run("LogInWithPasskey", token=asked["token"], credential=credential))

    asked = await rosa.run("BeginPasskeyConfirmation")
    answer = {"token": asked["token"], "credential": device.get(asked["options"])}
    renewed = (await rosa.run("MakeRecoveryCodes", passkey=answer, **BY_PASSWORD))["codes"]
    rosa.enter(await rosa.run("LogInWithCode", token=await rosa.first_step(), code=renewed[0]))
    found = await rosa.run("SecondFactors")
    assert (found["hasTotp"], found["recoveryCodesLeft"]) == (True, 9)
    assert [each["name"] for each in found["passkeys"]] == ["Old phone"]

    await rosa.run("RemovePasskey", id=passkey, code=renewed[1], **BY_PASSWORD)
    await rosa.run("RemoveTotp", code=renewed[2], **BY_PASSWORD)
    found = await rosa.run("SecondFactors")
    assert (found["hasTotp"], found["passkeys"]) == (False, [])
    assert (await rosa.browser.log_in(EMAIL))["__typename"] == "Session"
    assert rosa.ran == {*SECOND_STEPS}


@pytest.mark.parametrize(
    ("name", "new", "slip"),
    [
        ("ChangeEmail", {"email": "rosa@elsewhere.example"}, {"email": "no address"}),
        ("ChangePassword", {"password": "an entirely new password"}, {"password": "short"}),
    ],
)
async def test_another_address_or_password_takes_the_second_factor_too(
    rosa: Person, name: str, new: dict[str, str], slip: dict[str, str]
) -> None:
    """A session in a stranger's hands with the password alone takes nothing over; a slip uses no code up."""
    secret = (await rosa.run("BeginTotp", **BY_PASSWORD))["secret"]
    step = totp.current_step(SERVICES.clock())
    await rosa.run("ConfirmTotp", code=totp.make_code(secret, step - 1))
    rosa.enter(await rosa.run("LogInWithCode", token=await rosa.first_step(), code=totp.make_code(secret, step)))
    before = await User.get(email=EMAIL)
    mails = await Mail.all().count()

    async def refused(**given: Any) -> tuple[str, str]:
        (answer,) = (await rosa.browser.run(document(name), {**BY_PASSWORD, **new, **given})).values()
        return answer["code"], answer["param"]

    code = totp.make_code(secret, step + 1)
    (field,) = new
    assert await refused() == ("parameter_missing", "code")
    assert await refused(code="000000x") == ("second_factor_invalid", "code")
    assert await refused(passkey={"token": "none", "credential": "{}"}) == ("second_factor_invalid", "passkey")
    assert await refused(currentPassword="a wrong password", code=code) == ("password_wrong", "currentPassword")
    assert (await refused(code=code, **slip))[1] == field
    assert await User.get(email=EMAIL) == before
    assert (await User.get(email=EMAIL)).password_hash == before.password_hash
    assert (await User.get(email=EMAIL)).pending_email is None
    assert await Mail.all().count() == mails

    await rosa.run(name, code=code, **BY_PASSWORD, **new)
    after = await User.get(email=EMAIL)
    assert (after.pending_email, after.password_hash == before.password_hash) == (
        (new["email"], True) if name == "ChangeEmail" else (None, False)
    )
