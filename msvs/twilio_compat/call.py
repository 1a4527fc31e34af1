"""A request, as handlers receive it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from msvs.api.context import Context
from msvs.twilio_compat.sids import ACCOUNT, encode_sid

API_VERSION = "2010-04-01"

# A status and its JSON, None where there is none.
Found = tuple[int, dict[str, object] | None]


@dataclass(frozen=True, slots=True)
class Call:
    """The caller and its key, the parameters of the path, of the query and of the form."""

    ctx: Context
    path: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]
    # The caller's key: what Twilio calls the auth token.
    token: str = field(default="", repr=False)

    @property
    def account_sid(self) -> str:
        """The SID of the caller's workspace."""
        return encode_sid(ACCOUNT, self.ctx.workspace_id)


Handler = Callable[[Call], Awaitable[Found]]
