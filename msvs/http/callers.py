"""Identify the caller: an API key, a browser with a session, or a stranger, who may only log in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit
from uuid import UUID, uuid5

from starlette.types import Scope

from msvs.api import ids
from msvs.api.accounts.auth import authenticate
from msvs.api.accounts.clocks import enter_time
from msvs.api.accounts.login_sessions import (
    LIFETIME,
    Identity,
    authenticate_session,
    check_csrf,
    enter_workspace,
    find_place,
)
from msvs.api.accounts.networks import network_of
from msvs.api.context import Context, Services, Visitor
from msvs.api.errors import (
    ApiError,
    AuthenticationFailed,
    ErrorCode,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    RateLimited,
)
from msvs.api.limits import Bucket
from msvs.http.cookies import find_cookie
from msvs.http.headers import header_text
from msvs.http.middleware import CALLER
from msvs.settings import Settings

COOKIE = "msvs_session"
# Browsers keep a cookie of this name to one host, https and the path /.
PRODUCTION_COOKIE = f"__Host-{COOKIE}"

# Networks are counted beside workspaces, under ids made from their addresses.
NETWORKS = UUID("6f2d1b5e-3c0a-4c1e-9d5b-0b8f1f3a7c42")

Headers = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller. `ctx` is None for an anonymous caller and for a user outside any workspace; `refusal` says why.

    `authorization` is the header of an API key, `identity` a user with a session; `returning` is a user whose page has
    the session's cookie and no CSRF token, as after it was loaded again.
    """

    visitor: Visitor
    ctx: Context | None = None
    identity: Identity | None = None
    livemode: bool = False
    refusal: ApiError | None = None
    authorization: str | None = None
    returning: Identity | None = None

    @property
    def is_stranger(self) -> bool:
        """Whether neither a key nor a session and its CSRF token say who it is."""
        return self.ctx is None and self.identity is None

    @property
    def bucket(self) -> tuple[UUID, Bucket]:
        """The bucket from which this caller's requests take tokens."""
        if self.ctx is not None:
            return self.ctx.workspace_id, Bucket.REQUESTS
        identity = self.identity or self.returning
        if identity is not None:
            return identity.user_id, Bucket.REQUESTS
        return uuid5(NETWORKS, network_of(self.visitor.ip or "")), Bucket.STRANGERS


class Callers:
    """Finds out who is asking, by the rules of one installation."""

    def __init__(self, settings: Settings, services: Services) -> None:
        self.services = services
        self._production = settings.is_production
        self._sign_up = settings.sign_up_policy
        self.cookie = PRODUCTION_COOKIE if self._production else COOKIE
        self._own = _origin(settings.public_url) if settings.public_url else None

    async def identify(self, headers: Headers, scope: Scope, request_id: str) -> Caller:
        """Return the caller of a request by its headers. Raises AuthenticationFailed, PermissionDenied, InvalidRequest.

        A key is all that a program needs. What a browser sends of itself must come from our own pages: its Origin is
        ours, and the CSRF token of the session is in the header X-CSRF-Token. With the Origin alone it may come by that
        token, and log in or out.
        """
        visitor = replace(
            visitor_of(self.services, scope, request_id),
            sign_up=self._sign_up,
            user_agent=header_text(headers.get(b"user-agent")),
        )
        authorization = headers.get(b"authorization")
        if authorization is not None:
            caller = await self.by_key(authorization.decode("latin-1"), visitor)
            scope[CALLER] = caller.ctx
            return caller
        self.check_origin(headers)
        token = self.token_of(headers)
        if token is None:
            return stranger(visitor)
        try:
            identity = await authenticate_session(self.services, token, ip=visitor.ip)
        except (AuthenticationFailed, RateLimited) as refusal:
            # A cookie that has run out must not keep its owner from logging in.
            return Caller(visitor, refusal=refusal)
        try:
            check_csrf(identity, header_text(headers.get(b"x-csrf-token")))
        except PermissionDenied as refusal:
            if b"x-csrf-token" in headers or b"origin" not in headers:
                raise
            return Caller(visitor, refusal=refusal, returning=identity)
        livemode = header_text(headers.get(b"x-livemode"))
        if livemode not in (None, "true", "false"):
            raise InvalidRequest("X-Livemode must be true or false.", param="X-Livemode")
        return await enter_at_its_time(
            identity, visitor, header_text(headers.get(b"x-workspace")), livemode=livemode == "true"
        )

    async def by_key(self, authorization: str, visitor: Visitor) -> Caller:
        """Return the caller with this Authorization header. Raises AuthenticationFailed."""
        ctx = await authenticate(visitor.services, authorization, visitor.request_id, ip=visitor.ip)
        return Caller(visitor, ctx, livemode=ctx.livemode, authorization=authorization)

    def token_of(self, headers: Headers) -> str | None:
        """Return the token in the session's cookie, or None."""
        return find_cookie([headers.get(b"cookie", b"")], self.cookie)

    def check_origin(self, headers: Headers, *, required: bool = False) -> None:
        """Refuse what a page of another site sends. Raises PermissionDenied code `origin_refused`.

        A request of no page at all has no Origin; where a cookie alone must do, it is `required`.
        """
        origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site")
        foreign = site not in (None, b"same-origin", b"none")
        if origin is None:
            foreign |= required
        elif not self._is_own(_origin(origin.decode("latin-1")), headers.get(b"host", b"").decode("latin-1").lower()):
            foreign = True
        if foreign:
            raise PermissionDenied("Requests from pages of other sites are refused.", code=ErrorCode.ORIGIN_REFUSED)

    def set_cookie(self, token: str | None) -> tuple[bytes, bytes]:
        """Return the header that gives a browser its session, or takes it away."""
        age = 0 if token is None else int(LIFETIME.total_seconds())
        secure = "; Secure" if self._production else ""
        text = f"{self.cookie}={token or ''}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}"
        return b"set-cookie", text.encode()

    def _is_own(self, origin: tuple[str, str] | None, host: str) -> bool:
        if origin is None:
            return False
        if origin == self._own:
            return True
        return origin[1] == host and (origin[0] == "https" or not self._production)


def visitor_of(services: Services, scope: Scope, request_id: str) -> Visitor:
    """Return the address and request id of a connection."""
    return Visitor(ip=address_of(scope), request_id=request_id, services=services)


def address_of(scope: Scope) -> str | None:
    """Return the address of the client of a connection, None if a socket has none."""
    client = scope.get("client")
    return client[0] if client else None


def stranger(visitor: Visitor) -> Caller:
    """Return a caller who said nothing of who they are."""
    message = "Log in, or give your API key in the header: Authorization: Bearer msvs_…."
    return Caller(visitor, refusal=AuthenticationFailed(message, code=ErrorCode.API_KEY_MISSING))


def enter(identity: Identity, visitor: Visitor, workspace: str | None, *, livemode: bool) -> Caller:
    """Return a user in the workspace named, or in the only one that is theirs.

    If the workspace refuses the user, `ctx` is None and `refusal` says why: their own account still works.
    """
    try:
        ctx = enter_workspace(identity, _wanted(identity, workspace), visitor, livemode=livemode)
    except NotFound as missing:
        # Name the header as the parameter: an operation's own argument may name another workspace.
        refusal: ApiError = NotFound(missing.message, param="X-Workspace")
        return Caller(visitor, identity=identity, livemode=livemode, refusal=refusal)
    except PermissionDenied as denied:
        return Caller(visitor, identity=identity, livemode=livemode, refusal=denied)
    return Caller(visitor, ctx, identity, livemode)


async def enter_at_its_time(identity: Identity, visitor: Visitor, workspace: str | None, *, livemode: bool) -> Caller:
    """Return a user in a workspace, as `enter` does; in a sandbox with a clock what follows happens at its time."""
    caller = enter(identity, visitor, workspace, livemode=livemode)
    if caller.ctx is not None and not livemode:
        workspace_id = caller.ctx.workspace_id
        if find_place(identity, workspace_id).has_test_clock:
            await enter_time(workspace_id)
    return caller


def _wanted(identity: Identity, workspace: str | None) -> UUID:
    """Return the named workspace, or the user's only one. Raises NotFound, PermissionDenied."""
    if workspace is not None:
        return ids.find_id(ids.WORKSPACE, workspace, "workspace")
    if len(identity.memberships) != 1:
        message = "Name one of your workspaces in the header X-Workspace."
        raise PermissionDenied(message, code=ErrorCode.WORKSPACE_REQUIRED)
    return identity.memberships[0].workspace_id


def _origin(url: str) -> tuple[str, str] | None:
    """Return the scheme and the host with its port, without the scheme's own."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.username is not None:
            return None
    except ValueError:
        return None
    return parts.scheme, parts.netloc.lower()
