"""The registry of connectors by kind. To add a connector, write its module and add a line here."""

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
    """Create the connector of a kind. Raises KeyError for an unknown kind."""
    return CONNECTORS[kind](connection)
