"""Senders: what stands in a message's "from"."""

from __future__ import annotations

import re

from msvs.api.errors import InvalidRequest

# Alphanumeric (3GPP TS 23.040 § 9.1.2.5: at most 11 characters, here with a letter among them), E.164, or short code.
_SENDER = re.compile(r"(?=.{0,10}[A-Za-z])[A-Za-z0-9][A-Za-z0-9 ._&-]{0,10}|\+[1-9][0-9]{6,14}|[0-9]{3,8}")


def check_sender(sender: str, *, param: str = "from") -> str:
    """A sender that carriers can carry. Raises InvalidRequest code `sender_invalid`."""
    if not _SENDER.fullmatch(sender) or sender.endswith(" "):
        raise InvalidRequest(
            "A sender is 1 to 11 letters and digits with at least one letter, a phone in E.164, or a short code.",
            code="sender_invalid",
            param=param,
        )
    return sender
