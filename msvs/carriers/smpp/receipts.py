"""Delivery receipts, by optional parameters and by text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from msvs.carriers.smpp.pdu import Message, Tag

# How a message centre writes its ids: in submit_sm_resp and in receipts. `as_is` compares them as they stand; the
# others compare numbers, so that leading zeros and the case of digits do not matter.
IdFormat = Literal["as_is", "hex", "decimal", "hex_decimal", "decimal_hex"]

# As long as the column that keeps it; § 5.3.2.12 ends it at 65 octets.
MAX_ID: Final = 100
_MAX_NUMBER: Final = 64

DELIVERED: Final = "DELIVRD"
# § 5.2.28 message_state; Appendix B has the words for it in receipts by text. 0, 8 and 9 are of SMPP 5.0 and in use.
_STATES: Final = {
    0: "SCHEDULED",
    1: "ENROUTE",
    2: DELIVERED,
    3: "EXPIRED",
    4: "DELETED",
    5: "UNDELIV",
    6: "ACCEPTD",
    7: "UNKNOWN",
    8: "REJECTD",
    9: "SKIPPED",
}
# Words as vendors write them, by their first letters.
_WORDS: Final = {
    "DELIV": DELIVERED,
    "EXPIR": "EXPIRED",
    "DELET": "DELETED",
    "UNDEL": "UNDELIV",
    "FAIL": "UNDELIV",
    "REJEC": "REJECTD",
    "SKIPP": "SKIPPED",
}
# The other states (ENROUTE, ACCEPTD, SCHEDULED, BUFFRED …) are on the way; UNKNOWN says that the message centre does
# not know, which is no report either.
_FAILURES: Final = {
    "EXPIRED": "unreachable",
    "UNDELIV": "unreachable",
    "DELETED": "carrier_rejected",
    "REJECTD": "carrier_rejected",
    "SKIPPED": "carrier_rejected",
}
# 3GPP TS 29.002 § 17.6.6: unknownSubscriber. What else the network says comes down to `unreachable`, or to the
# state's own code.
_UNKNOWN_SUBSCRIBER: Final = 1
_GSM_NETWORK: Final = 3

# § 5.2.12: what a deliver_sm is, in bits 5 to 2.
_TYPE: Final = 0x3C
_RECEIPT: Final = 0x04
_INTERMEDIATE: Final = 0x20

_id = re.compile(r"\bid:\s*([^\s]+)", re.IGNORECASE)
_stat = re.compile(r"\bstat:\s*([A-Z_]+)", re.IGNORECASE)
_err = re.compile(r"\berr:\s*([0-9A-Z]+)", re.IGNORECASE)
_text = re.compile(r"\btext:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt: the message centre's id of the message in its canonical form, its state, and the error it names."""

    ref: str
    state: str
    error: str | None = None
    network_error: tuple[int, int] | None = None

    @property
    def is_final(self) -> bool:
        """Whether this is what became of the message, and not a word from its way."""
        return self.state == DELIVERED or self.state in _FAILURES

    @property
    def is_delivered(self) -> bool:
        """Whether the handset has it."""
        return self.state == DELIVERED

    def failure(self, codes: Mapping[str, str]) -> str:
        """Our code for why it was not delivered; `codes` are the operator's for this message centre's `err`."""
        for error, code in codes.items():
            if error.upper() == self.error:
                return code
        if self.network_error == (_GSM_NETWORK, _UNKNOWN_SUBSCRIBER):
            return "invalid_number"
        return _FAILURES[self.state]


def is_receipt(message: Message) -> bool:
    """Whether a deliver_sm is a receipt, by esm_class (§ 5.2.12) or by the parameter that only receipts have.

    Never by its text alone: anybody can write such a text from a handset.
    """
    kind = message.esm_class & _TYPE
    if kind in (_RECEIPT, _INTERMEDIATE):
        return True
    return message.tlv(Tag.RECEIPTED_MESSAGE_ID) is not None


def read_receipt(message: Message, id_format: IdFormat) -> Receipt | None:
    """The receipt in a deliver_sm (§ 5.3.2.12, 5.3.2.31, 5.3.2.35 and Appendix B); None without an id or a state."""
    data = message.short_message or message.tlv(Tag.MESSAGE_PAYLOAD) or b""
    text = data.decode("utf-16-be" if message.data_coding == 0x08 else "latin-1", "replace")
    # What the message said follows `text:` and may look like anything.
    if found := _text.search(text):
        text = text[: found.start()]
    ref = _read_id(message.tlv(Tag.RECEIPTED_MESSAGE_ID), text, id_format)
    state = _read_state(message.tlv(Tag.MESSAGE_STATE), text)
    if ref is None or state is None:
        return None
    if message.esm_class & _TYPE == _INTERMEDIATE and state in _FAILURES:
        state = "ENROUTE"
    error = _err.search(text)
    network = message.tlv(Tag.NETWORK_ERROR_CODE)
    return Receipt(
        ref,
        state,
        error[1].upper() if error else None,
        (network[0], int.from_bytes(network[1:3])) if network is not None and len(network) == 3 else None,
    )


def response_ref(message_id: str, id_format: IdFormat) -> str | None:
    """The canonical form of the id in a submit_sm_resp; None where there is none."""
    return _canonical(message_id, {"hex": 16, "hex_decimal": 16, "decimal": 10, "decimal_hex": 10}.get(id_format))


def _receipt_ref(message_id: str, id_format: IdFormat) -> str | None:
    return _canonical(message_id, {"hex": 16, "decimal_hex": 16, "decimal": 10, "hex_decimal": 10}.get(id_format))


def _canonical(message_id: str, base: int | None) -> str | None:
    kept = message_id.replace("\0", "").strip()[:MAX_ID]
    if not kept:
        return None
    if base is None or len(kept) > _MAX_NUMBER or not kept.isalnum() or not kept.isascii():
        return kept
    try:
        return str(int(kept, base))
    except ValueError:
        return kept


def _read_id(parameter: bytes | None, text: str, id_format: IdFormat) -> str | None:
    written = _id.search(text)
    by_text = _receipt_ref(written[1], id_format) if written else None
    if parameter is None:
        return by_text
    value = parameter.split(b"\0")[0].decode("latin-1")
    # The parameter is to be written as submit_sm_resp wrote it (§ 5.3.2.12), and often is when the text is not.
    as_responded = response_ref(value, id_format)
    if by_text is not None and as_responded == by_text:
        return by_text
    return _receipt_ref(value, id_format) or by_text


def _read_state(parameter: bytes | None, text: str) -> str | None:
    if parameter is not None and len(parameter) == 1 and parameter[0] in _STATES:
        return _STATES[parameter[0]]
    written = _stat.search(text)
    if written is None:
        return None
    word = written[1].upper()
    for beginning, state in _WORDS.items():
        if word.startswith(beginning):
            return state
    return word
