"""Fake services on loopback, built from each service's API documentation."""
