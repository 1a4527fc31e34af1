"""Write answered requests to the request log."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import Scope

from msvs.api.accounts.request_log import RequestLog
from msvs.api.context import Context, Services
from msvs.http.middleware import CALLER, ERROR_CODE


def noting(services: Services) -> Callable[[Scope, int, float], None]:
    """Return what notes a request by its scope, the status of its answer and the seconds that took."""

    def note(scope: Scope, status: int, seconds: float) -> None:
        ctx: Context | None = scope.get(CALLER)
        if ctx is not None:
            services.keep(RequestLog).note(
                ctx,
                method=scope["method"][:10],
                path=scope["path"],
                status=status,
                error_code=scope.get(ERROR_CODE),
                seconds=seconds,
            )

    return note
