"""Arguments that reauthenticate a logged-in user, for mutations that a stolen session must not run."""

from __future__ import annotations

from typing import Annotated

import strawberry

from msvs.api.accounts.confirmations import PasskeyAnswer, confirm_fully
from msvs.api.accounts.login_sessions import FullConfirmation
from msvs.graphql.context import RequestContext, user_of


@strawberry.input(description="The browser's answer to a passkey challenge.")
class PasskeyAnswerInput:
    token: str = strawberry.field(description="The token of `beginPasskeyConfirmation`.")
    credential: str = strawberry.field(description="The browser's answer, as JSON.")


CurrentPassword = Annotated[str, strawberry.argument(description="The password of the current user.")]
Code = Annotated[
    str | None,
    strawberry.argument(
        description="A code of the authenticator app, or a recovery code. A user with a second factor gives this or a"
        " passkey."
    ),
]
PasskeyGiven = Annotated[
    PasskeyAnswerInput | None, strawberry.argument(description="A passkey of the user, in place of the code.")
]


async def confirm(
    request: RequestContext, password: str, code: str | None, passkey: PasskeyAnswerInput | None
) -> FullConfirmation:
    """Check the current user's password and, if they have one, a second factor.

    Raises InvalidRequest, RateLimited.
    """
    answer = None if passkey is None else PasskeyAnswer(passkey.token, passkey.credential)
    return await confirm_fully(request.caller.visitor, user_of(request), password, code=code, passkey=answer)
