"""Carriers: what takes a message to a handset."""
