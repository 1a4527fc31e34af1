"""The carriers by name: adding one is its file and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msvs.carriers.protocol import Carrier
from msvs.carriers.virtual import VirtualCarrier

CARRIERS: Mapping[str, Callable[[], Carrier]] = {
    VirtualCarrier.name: VirtualCarrier,
}
