"""Names under which pages and GraphQL are served."""

from __future__ import annotations

import httpx
import pytest

from msvs.app import create_app
from msvs.http.hosts import host_name
from msvs.settings import Settings, SettingsError, from_environment
from tests.services import SERVICES

PATHS = ("/graphql", "/graphql/stream", "/handset", "/handset/session", "/ops", "/ops/login")


async def statuses(host: str, **more: object) -> set[tuple[int, bool]]:
    """The statuses of the guarded paths under a name, and whether the name was refused."""
    settings = Settings(database_url="postgresql://127.0.0.1:1/none", **more)  # type: ignore[arg-type]
    app = create_app(settings, SERVICES)
    found = set()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as client:
        for path in PATHS:
            answer = await client.get(path, headers={"Host": host})
            refused = answer.status_code == 400 and '"host_unknown"' in answer.text
            found.add((400 if refused else 0, refused))
        # What brings a key is served under any name.
        assert '"host_unknown"' not in (await client.get("/v1/credits", headers={"Host": host})).text
        assert (await client.get("/healthz", headers={"Host": host})).status_code == 200
    return found


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "x@127.0.0.1.nip",
        "[::1",
    ],
)
async def test_a_name_that_is_rebound_to_the_service_is_refused(host: str) -> None:
    assert await statuses(host) == {(400, True)}


@pytest.mark.parametrize(
    ("host", "more"),
    [
        ("127.0.0.1:8000", {}),
        ("[::1]:8000", {}),
        ("10.0.0.3", {}),
        ("localhost", {}),
        ("LOCALHOST.:8000", {}),
        ("app.localhost:8000", {}),
        ("sms.cohortlabs.co", {"public_url": "https://SMS.cohortlabs.co"}),
        ("inner.cohortlabs.co", {"allowed_hosts": ("inner.cohortlabs.co",)}),
        ("evil.example", {"allowed_hosts": ("*",)}),
    ],
)
async def test_its_own_names_and_addresses_are_served(host: str, more: dict[str, object]) -> None:
    assert await statuses(host, **more) == {(0, False)}


def test_the_setting_is_a_list_of_names() -> None:
    assert from_environment({}).allowed_hosts == ()
    named = from_environment({"MSVS_ALLOWED_HOSTS": " SMS.cohortlabs.co, *"})
    assert named.allowed_hosts == ("sms.cohortlabs.co", "*")
    for wrong in ("https://sms.cohortlabs.co", "sms.cohortlabs.co:443", "a b"):
        with pytest.raises(SettingsError, match="MSVS_ALLOWED_HOSTS must be names"):
            from_environment({"MSVS_ALLOWED_HOSTS": wrong})


@pytest.mark.parametrize(
    ("host", "name"), [("A.b.:1", "a.b"), ("[::1]:80", "::1"), ("", ""), ("a:b:c", "a"), ("[", "")]
)
def test_a_host_is_read_without_its_port(host: str, name: str) -> None:
    assert host_name(host) == name
