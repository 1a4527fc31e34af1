"""Carriers, which deliver messages to handsets."""
