"""The registry of connectors by kind: a new one is its file and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from msvs.connectors.base import Connection, Connector
from msvs.connectors.hook import HookConnector

CONNECTORS: Mapping[str, type[Connector]] = {each.kind: each for each in (HookConnector,)}


def open_connector(kind: str, connection: Connection) -> Connector:
    """Return the connector of a kind at work. Raises KeyError where there is none."""
    return CONNECTORS[kind](connection)
