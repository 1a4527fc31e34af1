"""Sign operators in and out."""

from __future__ import annotations

import logging
import math
from html import escape
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from msvs.api.errors import ApiError
from msvs.http.body import ClientGone, read_body
from msvs.http.headers import read_headers
from msvs.ops.guard import LOGIN, is_same_origin, local_path, refused_as_cross_site
from msvs.ops.operator_sessions import FailedTries, Sessions
from msvs.ops.pages import fill, page
from msvs.settings import Settings

FORM_BYTES = 8 * 1024

log = logging.getLogger(__name__)


class Login:
    """The login page, its form and the sign-out button's target."""

    def __init__(self, settings: Settings, sessions: Sessions, tries: FailedTries) -> None:
        self._settings = settings
        self._sessions = sessions
        self._tries = tries

    async def show(self, request: Request) -> Response:
        """GET /ops/login: the form or, for who is signed in, the page they wanted."""
        wanted = local_path(request.query_params.get("next"))
        if await self._sessions.is_signed_in(request):
            return RedirectResponse(wanted, status_code=303)
        return login_page(wanted)

    async def sign_in(self, request: Request) -> Response:
        """POST /ops/login: open a session for the right name, password and code; 401, 403 or 429 otherwise."""
        if not is_same_origin(request, self._settings):
            return refused_as_cross_site
        form = await _form(request)
        wanted = local_path(form.get("next"))
        name = form.get("name", "").strip()
        token, wait = await self.enter(request, name, form.get("password", ""), form.get("code", ""))
        if token is None and wait > 0:
            answer = login_page(wanted, "Too many wrong passwords. Wait a minute, then try again.", 429)
            answer.headers["Retry-After"] = str(wait)
            return answer
        if token is None:
            problem = "The name, the password or the code is wrong." if name else "That is not the operator password."
            return login_page(wanted, problem, 401)
        opened = RedirectResponse(wanted, status_code=303)
        self._sessions.open(opened, token)
        return opened

    async def enter(self, request: Request, name: str, password: str, code: str) -> tuple[str | None, int]:
        """Return the token of a new session, or None and in how many seconds one may try again; 0 is at once."""
        address = request.client.host if request.client else ""
        # Who signed in here before is not held back for what others in the network tried.
        who = self._sessions.device(request) or address
        wait = self._tries.seconds_to_wait(who)
        token = await self._sessions.sign_in(request, name, password, code, is_held_back=wait > 0)
        if token is not None:
            log.info("operator signed in from %s", address)
            return token, 0
        if wait > 0:
            log.warning("operator sign-in held back after too many wrong passwords from %s", address)
        else:
            self._tries.add(who)
            log.warning("operator sign-in refused: wrong password from %s", address)
        return None, math.ceil(max(wait, 0.0))

    async def sign_out(self, request: Request) -> Response:
        """POST /ops/logout: close the session."""
        if not is_same_origin(request, self._settings):
            return refused_as_cross_site
        await self._sessions.end(request)
        closed = RedirectResponse(LOGIN, status_code=303)
        self._sessions.close(closed)
        return closed


def login_page(wanted: str, problem: str = "", status: int = 200) -> Response:
    """Return the login form, with what went wrong the last time."""
    body = fill(
        "login.html",
        action=LOGIN,
        wanted=escape(wanted),
        problem=f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else "",
        described='aria-invalid="true"' if problem else "",
    )
    html, headers = page("Sign in", body)
    return HTMLResponse(html, status, headers)


async def _form(request: Request) -> dict[str, str]:
    """Return the last value of each field of a URL-encoded form. Raises HTTPException 400, 408, 413 or 415."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    try:
        body = await read_body(request.receive, read_headers(request.scope), FORM_BYTES)
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=10, errors="strict")
    except ApiError as refused:
        raise HTTPException(refused.status) from None
    except (ValueError, ClientGone):
        raise HTTPException(400) from None
    return {name: values[-1] for name, values in fields.items()}
