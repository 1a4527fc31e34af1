"""Twilio's Messages API, version 2010-04-01, over our own operations: its official libraries work unchanged."""
