"""The registry of carriers by kind: a new one is its file and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msvs.carriers.config import CarrierConfig, read_carriers
from msvs.carriers.faults import Faults, FaultyCarrier
from msvs.carriers.protocol import Capability, Carrier
from msvs.carriers.remote import RemoteCarrier
from msvs.carriers.smpp.carrier import SmppCarrier, make_smpp
from msvs.carriers.telnyx import TelnyxCarrier
from msvs.carriers.twilio import TwilioCarrier
from msvs.carriers.virtual import VirtualCarrier
from msvs.carriers.vonage import VonageCarrier
from msvs.settings import Settings, SettingsError

KINDS: Mapping[str, Callable[[CarrierConfig], Carrier]] = {
    SmppCarrier.kind: make_smpp,
    TelnyxCarrier.kind: TelnyxCarrier,
    TwilioCarrier.kind: TwilioCarrier,
    VonageCarrier.kind: VonageCarrier,
}


def make_carriers(settings: Settings, *, owns_binds: bool = True) -> dict[str, Carrier]:
    """Return every carrier by its name: the virtual one, and those of the operator's file. Raises SettingsError.

    Unless the process `owns_binds`, carriers that hold any are reached through the process that does.
    """
    carriers: dict[str, Carrier] = {VirtualCarrier.kind: _virtual(settings)}
    if settings.carriers is not None:
        for config in read_carriers(settings.carriers, public_url=settings.base_url):
            if config.kind not in KINDS:
                raise SettingsError(f"carrier {config.name}: kind must be one of {', '.join(KINDS)}")
            carriers[config.name] = KINDS[config.kind](config)
    if settings.live_carrier is not None and settings.live_carrier not in carriers:
        raise SettingsError(f"MSVS_LIVE_CARRIER must be one of {', '.join(carriers)}")
    if owns_binds:
        return carriers
    return {name: RemoteCarrier(each) if each.holds_binds else each for name, each in carriers.items()}


def _virtual(settings: Settings) -> Carrier:
    try:
        capability = Capability(settings.virtual_capability)
        faults = Faults.parse(settings.virtual_faults)
    except ValueError as error:
        raise SettingsError(f"MSVS_VIRTUAL_CAPABILITY or MSVS_VIRTUAL_FAULTS: {error}") from None
    return FaultyCarrier(capability, faults=faults) if settings.virtual_faults else VirtualCarrier(capability)
