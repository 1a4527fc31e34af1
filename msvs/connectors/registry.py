"""The registry of connectors by kind: a new one is its file and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from msvs.connectors.activecampaign import ActiveCampaignConnector
from msvs.connectors.base import Connection, Connector
from msvs.connectors.csv_address import CsvConnector
from msvs.connectors.hook import HookConnector
from msvs.connectors.hubspot import HubspotConnector
from msvs.connectors.kajabi import KajabiConnector
from msvs.connectors.kit import KitConnector
from msvs.connectors.shopify import ShopifyConnector

CONNECTORS: Mapping[str, type[Connector]] = {
    each.kind: each
    for each in (
        KitConnector,
        CsvConnector,
        ShopifyConnector,
        HubspotConnector,
        ActiveCampaignConnector,
        KajabiConnector,
        HookConnector,
    )
}


def open_connector(kind: str, connection: Connection) -> Connector:
    """Return the connector of a kind at work. Raises KeyError where there is none."""
    return CONNECTORS[kind](connection)
