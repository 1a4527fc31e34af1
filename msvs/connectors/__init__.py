"""Connectors: read people from other services, one module per service."""
