"""The options of a message center in the carrier's table of the file."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from msvs.carriers.config import CarrierConfig
from msvs.carriers.smpp.pdu import Bind, PduError, encode_bind
from msvs.carriers.smpp.receipts import DELIVERED, ON_THE_WAY, IdFormat
from msvs.carriers.smpp.statuses import CODES
from msvs.carriers.smpp.text import Alphabet
from msvs.settings import SettingsError

Octet = Annotated[int, Meta(ge=0, le=255)]
Seconds = Annotated[float, Meta(gt=0, le=3600)]
# Numbering plan: type of number and its indicator (SMPP 3.4 § 5.2.5, 5.2.6).
Plan = tuple[Octet, Octet]

_status = re.compile(r"0[xX][0-9a-fA-F]{1,8}|0|[1-9][0-9]{0,9}")


class SmppOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message center and how it wants to be spoken to.

    `binds` sessions, each with a `window` of unanswered submits; `rate` in PDUs a second, all sessions together.
    `queue_seconds` is how long a message waits for its turn before it is handed back unsent, `response_seconds` how
    long an answer may take before the outcome is unknown. `statuses` and `receipt_errors` give our failure codes to a
    vendor's own `command_status` and `err` values, `receipt_states` those or `delivered` or `on_the_way` to its own
    `stat`. `validity_seconds` is how long the message center tries.
    """

    host: str
    system_id: str
    password: str
    port: Annotated[int, Meta(ge=1, le=65535)] = 2775
    system_type: str = ""
    bind: Literal["transceiver", "transmitter_receiver"] = "transceiver"
    tls: bool = False
    tls_ca: str | None = None
    tls_name: str | None = None
    binds: Annotated[int, Meta(ge=1, le=50)] = 1
    window: Annotated[int, Meta(ge=1, le=10_000)] = 10
    rate: Annotated[float, Meta(gt=0)] | None = None
    enquire_seconds: Seconds = 30.0
    # With its turn, its parts and its last answer a message stays within the lease that its worker has on it.
    response_seconds: Annotated[float, Meta(gt=0, le=30)] = 12.0
    queue_seconds: Annotated[float, Meta(gt=0, le=60)] = 10.0
    throttle_seconds: Annotated[float, Meta(gt=0, le=10)] = 1.0
    reconnect_seconds: Seconds = 1.0
    reconnect_max_seconds: Seconds = 60.0
    long_messages: Literal["udh", "sar", "payload"] = "udh"
    reference_bits: Literal[8, 16] = 8
    id_format: IdFormat = "as_is"
    default_alphabet: Alphabet = "gsm7"
    service_type: str = ""
    registered_delivery: Octet = 1
    validity_seconds: Annotated[int, Meta(ge=1, le=99 * 86400)] | None = None
    source_international: Plan = (1, 1)
    source_alphanumeric: Plan = (5, 0)
    source_short_code: Plan = (3, 0)
    destination_international: Plan = (1, 1)
    destination_plus: bool = False
    statuses: Mapping[str, str] = {}
    receipt_errors: Mapping[str, str] = {}
    receipt_states: Mapping[str, str] = {}

    def status_codes(self) -> dict[int, str]:
        """`statuses` by number."""
        return {int(status, 0): code for status, code in self.statuses.items()}

    def validity_period(self) -> str:
        """`validity_seconds` as a relative time (SMPP 3.4 § 7.1.1.2); empty for the message center's own default."""
        if self.validity_seconds is None:
            return ""
        minutes, seconds = divmod(self.validity_seconds, 60)
        hours, minutes = divmod(minutes, 60)
        days, hours = divmod(hours, 24)
        months, days = divmod(days, 30)
        return f"00{months:02}{days:02}{hours:02}{minutes:02}{seconds:02}000R"

    def tls_context(self) -> ssl.SSLContext | None:
        """Return a context that checks the message center's certificate, or None without TLS. Raises OSError."""
        return ssl.create_default_context(cafile=self.tls_ca) if self.tls else None


def read_options(config: CarrierConfig) -> SmppOptions:
    """Read the options of a carrier of the file. Raises SettingsError."""
    options = config.read(SmppOptions)
    wrong = _wrong(options)
    if wrong is not None:
        raise SettingsError(f"carrier {config.name}: {wrong}")
    return options


def _wrong(options: SmppOptions) -> str | None:
    outcomes = CODES | {DELIVERED, ON_THE_WAY}
    for name, values in (("statuses", CODES), ("receipt_errors", CODES), ("receipt_states", outcomes)):
        for key, code in getattr(options, name).items():
            if code not in values:
                return f"{name}: {key}: must be one of {', '.join(sorted(values))}"
            if name == "statuses" and not _status.fullmatch(key):
                return f"{name}: {key}: a number is wanted, such as 0x0400"
    if len(options.service_type) > 5:
        return "service_type: at most 5 characters"
    try:
        encode_bind(Bind(system_id=options.system_id, password=options.password, system_type=options.system_type))
    except PduError:
        return "system_id (15 characters), password (64) or system_type (12) does not fit"
    try:
        options.tls_context()
    except OSError as error:
        return f"tls_ca: {error.strerror or 'not a file of certificates'}"
    return None
