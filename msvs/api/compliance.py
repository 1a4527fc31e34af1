"""What law and policy forbid: blocked destinations, and the reply keywords that every sender must honour."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from enum import StrEnum
from functools import lru_cache

import phonenumbers

from msvs.api.errors import ComplianceRefused
from msvs.api.phones import Phone

ALWAYS_BLOCKED = frozenset(("CU", "IR", "KP", "SY"))

# Calling codes that separate countries share by treaty. Every other shared code is one country's plan with its
# dependencies in it (+44: GB, then GG, IM and JE).
TREATY_CODES = frozenset((1, 7))

# Inmarsat, the global mobile satellite systems, and the international networks.
SATELLITE_CODES = frozenset((870, 881, 882, 883))

BLOCKED_KINDS = {
    "premium_rate": "premium-rate",
    "shared_cost": "shared-cost",
    "uan": "universal access",
    "pager": "pager",
    "voicemail": "voicemail",
}


class Keyword(StrEnum):
    """What a whole reply asks for."""

    STOP = "stop"
    START = "start"
    HELP = "help"
    CONFIRM = "confirm"


STOP_WORDS = (
    "STOP",
    "STOPALL",
    "UNSUBSCRIBE",
    "CANCEL",
    "END",
    "QUIT",
    "REVOKE",
    "OPTOUT",
    "OPT OUT",
    "REMOVE",
    "CANCELAR",
    "SAIR",
    "PARAR",
    "BAJA",
    "ALTO",
    "ARRET",
)
START_WORDS = ("START", "UNSTOP")
HELP_WORDS = ("HELP", "INFO", "AYUDA", "AJUDA")
CONFIRM_WORDS = ("YES", "SIM", "SI", "Y")


def check_destination(phone: Phone, blocked_regions: Collection[str]) -> None:
    """Refuse a number that may not be sent to, by region, calling code or type. Raises ComplianceRefused.

    `blocked_regions` holds ISO 3166-1 codes in capitals, besides ALWAYS_BLOCKED. A blocked region blocks

    - the numbers phonenumbers places in it;
    - the numbers of its calling code that cannot be placed in any region;
    - every number of its calling code, where the code is its own or it is the code's main country (GB of +44, so
      a British mobile that phonenumbers places in Guernsey is caught) and the code is not one of TREATY_CODES.

    So GG does not block GB, US does not block CA, and RU does not block KZ.
    """
    blocked = ALWAYS_BLOCKED.union(blocked_regions) if blocked_regions else ALWAYS_BLOCKED
    region = _blocking_region(phone, blocked)
    if region is not None:
        raise ComplianceRefused(
            f"Messages to this region are blocked: {region} (+{phone.country_code}).",
            code="region_blocked",
            param="to",
        )
    kind = "satellite" if phone.country_code in SATELLITE_CODES else BLOCKED_KINDS.get(phone.kind)
    if kind is not None:
        raise ComplianceRefused(f"Messages to {kind} numbers are not sent.", code="number_type_blocked", param="to")


def classify_reply(text: str) -> Keyword | None:
    """The keyword a whole reply amounts to, or None for free text.

    Case, accents, punctuation, symbols and repeated whitespace do not count: "S.T.O.P" and "Arrêt!" opt out;
    "STOP PLEASE" is free text.
    """
    return _KEYWORDS.get(_fold(text))


def _blocking_region(phone: Phone, blocked: Collection[str]) -> str | None:
    if phone.region in blocked:
        return phone.region
    if phone.region is None:
        return next((region for region in _regions(phone.country_code) if region in blocked), None)
    if phone.country_code in TREATY_CODES:
        return None
    return next((main for main in _regions(phone.country_code)[:1] if main in blocked), None)


@lru_cache
def _regions(country_code: int) -> tuple[str, ...]:
    """The regions of a calling code, its main country first."""
    return tuple(phonenumbers.region_codes_for_country_code(country_code))


def _fold(text: str) -> str:
    text = _letters(text)
    if not text.isascii():
        # Symbols go first: some of them, such as the trade mark sign, decompose into letters.
        text = _letters(unicodedata.normalize("NFKD", text))
    return " ".join(text.casefold().split())


def _letters(text: str) -> str:
    return "".join(character for character in text if character.isalnum() or character.isspace())


_KEYWORDS = {
    _fold(word): keyword
    for keyword, words in (
        (Keyword.STOP, STOP_WORDS),
        (Keyword.START, START_WORDS),
        (Keyword.HELP, HELP_WORDS),
        (Keyword.CONFIRM, CONFIRM_WORDS),
    )
    for word in words
}
