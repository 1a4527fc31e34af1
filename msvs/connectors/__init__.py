"""Connectors: read the people of other services, one file a service."""
