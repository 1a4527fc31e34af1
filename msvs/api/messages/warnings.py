"""Warnings about one message: about its body, and about its sender in the recipient's region."""

from __future__ import annotations

from collections.abc import Iterable

from msvs.api.dispatch import sender_rules
from msvs.api.text import body_warnings
from msvs.api.text.body_warnings import BodyWarning
from msvs.api.text.rendering import Rendered
from msvs.api.text.templates import Template
from msvs.models.messages import KeptWarning

SENDER_NOT_CARRIED = "sender_not_carried"


def message_warnings(
    body: str,
    template: Template,
    rendered: Rendered | None,
    *,
    sender: str,
    region: str | None,
    livemode: bool,
    is_literal: bool = False,
) -> list[BodyWarning]:
    """Return what may not have been meant by a message that can be sent; `rendered` is None if it cannot be made."""
    texts = () if rendered is None or template.is_literal else (rendered.body,)
    found = body_warnings.warn_of_template(body, template, is_marketing=False, rendered=texts, is_literal=is_literal)
    if rendered is not None:
        found += body_warnings.warn_of_encoding(rendered.body, rendered.encoding)
        found += body_warnings.warn_of_segments(rendered.segments)
    reason = sender_rules.refusal(sender, region, is_registered=livemode)
    if reason is not None:
        found.append(BodyWarning(SENDER_NOT_CARRIED, reason, "from"))
    return found


def kept(warnings: Iterable[BodyWarning]) -> list[KeptWarning]:
    """Return warnings as rows keep them."""
    return [{"code": code, "message": message, "param": param} for code, message, param in warnings]
