"""Read delivery receipts, from optional parameters and from text."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Final, Literal

from msvs.carriers.smpp.pdu import Message, Tag
from msvs.carriers.smpp.text import read

# How a message centre writes its ids: in submit_sm_resp and in receipts. `as_is` compares them as they stand; the
# others compare numbers, so that leading zeros and the case of digits do not matter.
IdFormat = Literal["as_is", "hex", "decimal", "hex_decimal", "decimal_hex"]

# As long as the column that keeps it; § 5.3.2.12 ends it at 65 octets.
MAX_ID: Final = 100
_MAX_NUMBER: Final = 64

# Outcomes besides the codes of our failure catalogue.
DELIVERED: Final = "delivered"
ON_THE_WAY: Final = "on_the_way"

# A truncated word has at least so many letters, and a word that others go on behind at least so many.
_LEAST_TRUNCATED: Final = 4
_LEAST_CONTINUED: Final = 6
_LONGEST_WORD: Final = 40


# 3GPP TS 29.002 § 17.6.6: unknownSubscriber. What else the network says comes down to `unreachable`, or to the
# state's own code.
_UNKNOWN_SUBSCRIBER: Final = 1
_GSM_NETWORK: Final = 3

# § 5.2.12: what a deliver_sm is, in bits 5 to 2.
_TYPE: Final = 0x3C
_RECEIPT: Final = 0x04
_INTERMEDIATE: Final = 0x20

_FIELD: Final = r"(?:(?:submit|done) date|error code|[A-Z]+) ?[:=]"
_id = re.compile(r"\b(?:(?:msg|message)[ _-]?)?id\s*[:=]\s*[\"']?([^\s,;\"']+)", re.IGNORECASE)
# A word, or a few up to the next field; or the number of a message_state.
_stat = re.compile(
    rf"\bstat(?:us|e)?\s*[:=]\s*[\"']?(\d{{1,3}}(?!\w)|(?!{_FIELD})[A-Z][A-Z_-]*"
    rf"(?: (?!{_FIELD}|(?:err|text|sub|dlvrd|submit|done|id|msg)\b)[A-Z_-]+){{0,3}})",
    re.IGNORECASE,
)
_err = re.compile(r"\berr(?:or)?(?: code)?\s*[:=]\s*[\"']?([0-9A-Z]+)", re.IGNORECASE)
_text = re.compile(r"\btext\s*[:=]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class State:
    """What a receipt says became of a message; `code` is ours for why it was not delivered, None for what is no end."""

    name: str
    is_delivered: bool = False
    code: str | None = None

    @property
    def is_final(self) -> bool:
        """Whether this is what became of the message, and not a word from its way."""
        return self.is_delivered or self.code is not None


def make_state(name: str, outcome: str) -> State:
    """Make the state of an outcome as files name it: `delivered`, `on_the_way`, or a code of our failure catalogue."""
    return State(name, outcome == DELIVERED, None if outcome in (DELIVERED, ON_THE_WAY) else outcome)


def _read_table() -> tuple[dict[int, State], dict[str, State], frozenset[str]]:
    """Return the states by number and by word, and the words that mean nothing before another."""
    table = tomllib.loads((resources.files(__package__) / "receipt_states.toml").read_text())
    by_number: dict[int, State] = {}
    by_word: dict[str, State] = {}
    for row in table["state"]:
        state = make_state(row["name"], row["outcome"])
        if "number" in row:
            by_number[row["number"]] = state
        for word in (row["name"], *row["words"]):
            if by_word.setdefault(word, state) is not state:
                raise ValueError(f"{word} is in receipt_states.toml twice")
    return by_number, by_word, frozenset(table["silent"])


_BY_NUMBER, _BY_WORD, _SILENT = _read_table()


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt: the message center's id of the message in its canonical form, its state, and the error it names.

    `unread` is the word for a state that nobody knows; the state is then none that ends anything.
    """

    ref: str
    state: State
    error: str | None = None
    network_error: tuple[int, int] | None = None
    unread: str | None = None

    def failure(self, codes: Mapping[str, str]) -> str:
        """Our code for why it was not delivered; `codes` are the operator's for this message center's `err`."""
        if self.error is not None:
            for error, code in codes.items():
                if _plain(error) == _plain(self.error):
                    return code
        if self.network_error == (_GSM_NETWORK, _UNKNOWN_SUBSCRIBER):
            return "invalid_number"
        return self.state.code or "carrier_rejected"


def is_receipt(message: Message) -> bool:
    """Return whether a deliver_sm is a receipt, by esm_class (§ 5.2.12) or by the parameter that only receipts have.

    Never by its text alone: anybody can write such a text from a handset.
    """
    kind = message.esm_class & _TYPE
    if kind in (_RECEIPT, _INTERMEDIATE):
        return True
    return message.tlv(Tag.RECEIPTED_MESSAGE_ID) is not None


def read_receipt(
    message: Message, id_format: IdFormat, words: Mapping[str, str] = MappingProxyType({})
) -> Receipt | None:
    """Read the receipt in a deliver_sm (§ 5.3.2.12, 5.3.2.31, 5.3.2.35 and Appendix B), or None without an id or a
    state.

    `words` are the operator's outcomes for this message center's own `stat`.
    """
    text = _read_text(message)
    # What the message said follows `text:` and may look like anything.
    if found := _text.search(text):
        text = text[: found.start()]
    ref = _read_id(message.tlv(Tag.RECEIPTED_MESSAGE_ID), text, id_format)
    state, unread = _read_state(message.tlv(Tag.MESSAGE_STATE), text, words)
    if ref is None or state is None:
        return None
    if message.esm_class & _TYPE == _INTERMEDIATE and state.code is not None:
        state = _BY_WORD["ENROUTE"]
    error = _err.search(text)
    network = message.tlv(Tag.NETWORK_ERROR_CODE)
    return Receipt(
        ref,
        state,
        error[1].upper() if error else None,
        (network[0], int.from_bytes(network[1:3])) if network is not None and len(network) == 3 else None,
        unread,
    )


def read_word(word: str, words: Mapping[str, str] = MappingProxyType({})) -> State | None:
    """Read the state that a word of a receipt means.

    Written out, cut short or gone on behind, or None if nobody knows.
    """
    letters = _letters(word)
    if (own := _read_own(letters, words)) is not None:
        return own
    if letters.isdigit():
        return _BY_NUMBER.get(int(letters))
    if (known := _BY_WORD.get(letters)) is not None:
        return known
    if len(letters) >= _LEAST_TRUNCATED:
        meant = {state for whole, state in _BY_WORD.items() if whole.startswith(letters)}
        if len({(state.is_delivered, state.code) for state in meant}) == 1:
            return min(meant, key=lambda state: state.name)
    tokens = _tokens(word)
    if len(tokens) > 1 and tokens[0] in _SILENT:
        return read_word(" ".join(tokens[1:]), words)
    return _read_beginning(tokens)


def response_ref(message_id: str, id_format: IdFormat) -> str | None:
    """Return the canonical form of the id in a submit_sm_resp, or None if there is none."""
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


def _read_state(parameter: bytes | None, text: str, words: Mapping[str, str]) -> tuple[State | None, str | None]:
    """Read the state by parameter or text, and the word for it where nobody knows that.

    What the operator says of the word counts first, then what is final.
    """
    by_number = _BY_NUMBER.get(int.from_bytes(parameter)) if parameter and len(parameter) <= 4 else None
    written = _stat.search(text)
    word = written[1].strip() if written else None
    by_word = read_word(word, words) if word else None
    is_own = word is not None and _read_own(_letters(word), words) is not None
    is_known = by_word is not None or (by_number is not None and by_number.is_final)
    unread = _letters(word)[:_LONGEST_WORD] if word and not is_known else None
    if by_number is None or is_own or (by_word is not None and by_word.is_final and _says_more(by_word, by_number)):
        state = by_word
    else:
        state = by_number
    return (_BY_WORD["UNKNOWN"] if state is None and unread else state), unread


def _says_more(by_word: State, by_number: State) -> bool:
    """Return whether the word counts: the number says nothing final, or both say failed and the word says why."""
    return not by_number.is_final or (not by_number.is_delivered and not by_word.is_delivered)


def _read_text(message: Message) -> str:
    """Read the text of a receipt, which many message centres write in ASCII.

    They often leave the `data_coding` of the message that the receipt is for.
    """
    data = message.text
    text = data.decode("latin-1")
    return text if _stat.search(text) or _id.search(text) else read(data, message.data_coding, "latin1").text


def _read_own(letters: str, words: Mapping[str, str]) -> State | None:
    """Read the state that the operator gives to a word."""
    for own, outcome in words.items():
        if _letters(own) == letters:
            return make_state(letters[:_LONGEST_WORD], outcome)
    return None


def _read_beginning(tokens: Sequence[str]) -> State | None:
    """Read the state by the first of several words, where none of the others says anything else."""
    for count in range(len(tokens) - 1, 0, -1):
        whole = "".join(tokens[:count])
        if len(whole) >= _LEAST_CONTINUED and (state := _BY_WORD.get(whole)) is not None:
            others = {_BY_WORD.get(token, state) for token in tokens[count:]}
            return state if others == {state} else None
    return None


def _tokens(word: str) -> list[str]:
    return [token for token in re.split(r"[^A-Z0-9]+", word.upper()) if token]


def _letters(word: str) -> str:
    return "".join(_tokens(word))


def _plain(error: str) -> str:
    """Return an `err` as it is compared: no case, no leading zeros."""
    return error.upper().lstrip("0") or "0"
