"""The carriers by name: adding one is its file and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msvs.carriers.faults import Faults, FaultyCarrier
from msvs.carriers.protocol import Capability, Carrier
from msvs.carriers.virtual import VirtualCarrier
from msvs.settings import Settings, SettingsError


def _virtual(settings: Settings) -> Carrier:
    try:
        capability = Capability(settings.virtual_capability)
        faults = Faults.parse(settings.virtual_faults)
    except ValueError as error:
        raise SettingsError(f"MSVS_VIRTUAL_CAPABILITY or MSVS_VIRTUAL_FAULTS: {error}") from None
    return FaultyCarrier(capability, faults=faults) if settings.virtual_faults else VirtualCarrier(capability)


CARRIERS: Mapping[str, Callable[[Settings], Carrier]] = {
    VirtualCarrier.name: _virtual,
}
