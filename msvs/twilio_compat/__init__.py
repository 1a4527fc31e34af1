"""Twilio's Messages API, version 2010-04-01, over our operations: Twilio's official libraries work unchanged."""
