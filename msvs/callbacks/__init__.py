"""HTTP callbacks of carriers: delivery reports and inbound messages."""
