"""Decide who is skipped and why: the one rule for claims, expansions and previews."""

from __future__ import annotations

from collections.abc import Callable

from msvs.models import OptInStatus


def _any_destination() -> str | None:
    return None


def skip_reason(
    consent: str | None,
    *,
    admits_unknown: bool,
    is_suppressed: bool = False,
    is_single: bool = False,
    exclusion: str | None = None,
    destination: Callable[[], str | None] = _any_destination,
    has_sender: bool = True,
    is_capped: bool = False,
    is_unreachable: bool = False,
) -> str | None:
    """Return the code for which a recipient gets no message, or None.

    `consent` is the contact's opt-in status, None if the contact is gone. A single message needs no more than that
    its recipient has not opted out; a campaign's needs consent (`admits_unknown`: or that it is not known), that the
    campaign does not exclude the recipient (`exclusion` is the code if it does), a destination that is not refused
    (`destination` gives the code, asked last) and a sender that may be used. `is_capped`: the recipient got as many
    messages as a frequency cap that holds for this one allows. `is_unreachable`: messages to the number failed again
    and again, so that no campaign goes there.
    """
    if is_suppressed or consent == OptInStatus.OPTED_OUT:
        return "recipient_opted_out"
    if is_single:
        return "frequency_cap" if is_capped else None
    if consent is None:
        return "recipient_deleted"
    if consent != OptInStatus.OPTED_IN and not (admits_unknown and consent == OptInStatus.UNKNOWN):
        return "recipient_not_opted_in"
    if is_unreachable:
        return "recipient_unreachable"
    if exclusion is not None:
        return exclusion
    code = destination()
    if code is None and not has_sender:
        return "sender_not_allowed"
    if code is None and is_capped:
        return "frequency_cap"
    return code
