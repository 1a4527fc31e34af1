"""A browser that is or is not logged in, as the server sees one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from msvs.api import ids
from msvs.api.accounts.passwords import hash_password
from msvs.models import Membership, Role, User, Workspace

DOCUMENTS = Path(__file__).parents[2] / "docs" / "graphql"
PASSWORD = "correct horse battery staple"
HOST = "app.cohortlabs.co"


def document(name: str) -> str:
    """An operation of docs/graphql."""
    return (DOCUMENTS / f"{name}.graphql").read_text()


async def make_user(email: str, *places: tuple[Workspace, Role]) -> User:
    """A user whose password is PASSWORD, with these places in workspaces."""
    user = await User.create(
        email=email, name=email.partition("@")[0].title(), password_hash=await hash_password(PASSWORD)
    )
    for workspace, role in places:
        await Membership.create(user_id=user.id, workspace_id=workspace.id, role=role)
    return user


class Browser:
    """Keeps cookies, sends the Origin of the page and, once logged in, the CSRF token."""

    def __init__(self, app: Starlette | str, *, scheme: str = "http", ip: str = "203.0.113.9") -> None:
        if isinstance(app, str):
            self.http = httpx.AsyncClient(base_url=app)
            self.origin = app
        else:
            self.origin = f"{scheme}://{HOST}"
            self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(ip, 40000)), base_url=self.origin)
        self.csrf: str | None = None
        self.headers: dict[str, str] = {}

    async def post(self, query: str, variables: dict[str, Any] | None = None, **headers: str | None) -> httpx.Response:
        """The response to an operation; a header of None is left out, underscores stand for dashes."""
        sent: dict[str, str | None] = {"origin": self.origin, "x-csrf-token": self.csrf, **self.headers}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(
            "/graphql",
            json={"query": query, "variables": variables},
            headers={name.encode(): value.encode() for name, value in sent.items() if value is not None},
        )

    async def run(self, query: str, variables: dict[str, Any] | None = None, **headers: str | None) -> Any:
        """The data of an operation that has no errors."""
        response = await self.post(query, variables, **headers)
        answer = response.json()
        assert "errors" not in answer, answer
        return answer["data"]

    async def log_in(self, email: str, password: str = PASSWORD) -> Any:
        """Log in; what the mutation answers."""
        answer = (await self.run(document("LogIn"), {"email": email, "password": password}))["logIn"]
        self.csrf = answer.get("csrfToken")
        return answer

    def enter(self, workspace: Workspace, *, livemode: bool = False) -> None:
        """Work in a workspace and mode from now on."""
        self.headers["x-workspace"] = ids.encode_id(ids.WORKSPACE, workspace.id)
        self.headers["x-livemode"] = str(livemode).lower()
