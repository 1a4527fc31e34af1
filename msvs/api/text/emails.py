"""Read e-mail addresses."""

from __future__ import annotations

import re

from msvs.api.errors import ErrorCode, InvalidRequest

MAX_EMAIL = 254

_label = r"[^\W_](?:[\w-]*[^\W_])?"
_email = re.compile(rf"[^\s\x00-\x1f\x7f\ud800-\udfff@,;:<>()\[\]\\\"]{{1,64}}@(?:{_label}\.)+{_label}").fullmatch


def read_email(text: str) -> str:
    """Return an e-mail address as it was written. Raises InvalidRequest."""
    if len(text) > MAX_EMAIL or not _email(text):
        raise InvalidRequest("The e-mail address is not valid.", param="email", code=ErrorCode.EMAIL_INVALID)
    return text
