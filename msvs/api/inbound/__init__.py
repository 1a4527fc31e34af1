"""Inbound: replies, the inbox, keywords and carrier events."""
