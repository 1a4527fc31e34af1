"""Tell whether a search text names a person; an erasure deletes such texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# A text with fewer digits matches too many phones to identify one.
LEAST_DIGITS = 7


@dataclass(frozen=True, slots=True)
class Person:
    """The values that a search may identify a person by."""

    phones: Sequence[str]
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    external_id: str | None = None

    def is_named_by(self, text: str) -> bool:
        """Return whether a text names the person: by phone, e-mail address or its local part, external id or name.

        A first name alone does not identify a person.
        """
        folded = text.strip().casefold()
        digits = "".join(filter(str.isdecimal, text))
        if len(digits) >= LEAST_DIGITS and any(digits in phone or phone[1:] in digits for phone in self.phones):
            return True
        if self.external_id and folded == self.external_id.casefold():
            return True
        email = (self.email or "").casefold()
        names = [(self.first_name or "").casefold().split(), (self.last_name or "").casefold().split()]
        if email and (email in folded or (folded == email.partition("@")[0] and [folded] not in names)):
            return True
        return all(names) and set(folded.replace(",", " ").split()) >= {*names[0], *names[1]}


def without_target(click: Mapping[object, object]) -> dict[object, object]:
    """Return a click of an event without where its link leads, which may name the person."""
    return {**click, "url": ""}
