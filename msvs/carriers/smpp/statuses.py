"""Map the statuses of message centers to our failure codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from msvs.carriers.protocol import Refused

# SMPP 3.4 § 5.1.3.
OK: Final = 0x00
INVALID_COMMAND_LENGTH: Final = 0x02
INVALID_COMMAND: Final = 0x03
TEMPORARY_APPLICATION_ERROR: Final = 0x64
PERMANENT_APPLICATION_ERROR: Final = 0x65

# The codes that an operator may give to a vendor's own numbers.
CODES: Final = frozenset(
    (
        "invalid_number",
        "carrier_filtered",
        "unreachable",
        "carrier_rejected",
        "sender_rejected",
        "recipient_opted_out",
        "region_blocked",
        "number_type_blocked",
    )
)

RETRY_SECONDS: Final = 1.0
FAULT_RETRY_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Status:
    """A command_status: its name, our code for it, and whether it is for the moment or about us."""

    name: str
    code: str = "carrier_rejected"
    retryable: bool = False
    is_fault: bool = False


STATUSES: Final[Mapping[int, Status]] = {
    0x01: Status("ESME_RINVMSGLEN"),
    0x02: Status("ESME_RINVCMDLEN"),
    0x03: Status("ESME_RINVCMDID", is_fault=True),
    0x04: Status("ESME_RINVBNDSTS", retryable=True, is_fault=True),
    0x05: Status("ESME_RALYBND", retryable=True, is_fault=True),
    0x06: Status("ESME_RINVPRTFLG"),
    0x07: Status("ESME_RINVREGDLVFLG"),
    0x08: Status("ESME_RSYSERR", retryable=True, is_fault=True),
    0x0A: Status("ESME_RINVSRCADR", "sender_rejected"),
    0x0B: Status("ESME_RINVDSTADR", "invalid_number"),
    0x0C: Status("ESME_RINVMSGID"),
    0x0D: Status("ESME_RBINDFAIL", retryable=True, is_fault=True),
    0x0E: Status("ESME_RINVPASWD", retryable=True, is_fault=True),
    0x0F: Status("ESME_RINVSYSID", retryable=True, is_fault=True),
    0x11: Status("ESME_RCANCELFAIL"),
    0x13: Status("ESME_RREPLACEFAIL"),
    0x14: Status("ESME_RMSGQFUL", retryable=True),
    0x15: Status("ESME_RINVSERTYP"),
    0x33: Status("ESME_RINVNUMDESTS"),
    0x34: Status("ESME_RINVDLNAME"),
    0x40: Status("ESME_RINVDESTFLAG"),
    0x42: Status("ESME_RINVSUBREP"),
    0x43: Status("ESME_RINVESMCLASS"),
    0x44: Status("ESME_RCNTSUBDL"),
    0x45: Status("ESME_RSUBMITFAIL"),
    0x48: Status("ESME_RINVSRCTON", "sender_rejected"),
    0x49: Status("ESME_RINVSRCNPI", "sender_rejected"),
    0x50: Status("ESME_RINVDSTTON", "invalid_number"),
    0x51: Status("ESME_RINVDSTNPI", "invalid_number"),
    0x53: Status("ESME_RINVSYSTYP", is_fault=True),
    0x54: Status("ESME_RINVREPFLAG"),
    0x55: Status("ESME_RINVNUMMSGS"),
    0x58: Status("ESME_RTHROTTLED", retryable=True),
    0x61: Status("ESME_RINVSCHED"),
    0x62: Status("ESME_RINVEXPIRY"),
    0x63: Status("ESME_RINVDFTMSGID"),
    0x64: Status("ESME_RX_T_APPN", retryable=True),
    0x65: Status("ESME_RX_P_APPN"),
    0x66: Status("ESME_RX_R_APPN"),
    0x67: Status("ESME_RQUERYFAIL"),
    0xC0: Status("ESME_RINVOPTPARSTREAM"),
    0xC1: Status("ESME_ROPTPARNOTALLWD"),
    0xC2: Status("ESME_RINVPARLEN"),
    0xC3: Status("ESME_RMISSINGOPTPARAM"),
    0xC4: Status("ESME_RINVOPTPARAMVAL"),
    0xFE: Status("ESME_RDELIVERYFAILURE", "unreachable"),
    0xFF: Status("ESME_RUNKNOWNERR"),
}
THROTTLES: Final = frozenset((0x14, 0x58))


def status_name(status: int) -> str:
    """Return the protocol's name of a command_status, or its number."""
    known = STATUSES.get(status)
    return known.name if known else f"0x{status:08X}"


def refusal(status: int, codes: Mapping[int, str]) -> Refused:
    """Return the outcome of a submit_sm answered with an error; `codes` are the operator's for this message center."""
    known = STATUSES.get(status)
    if status in codes:
        return Refused(codes[status])
    if known is None:
        return Refused("carrier_rejected")
    return Refused(
        known.code,
        retryable=known.retryable,
        retry_after=FAULT_RETRY_SECONDS if known.is_fault else RETRY_SECONDS,
        is_fault=known.is_fault,
    )
