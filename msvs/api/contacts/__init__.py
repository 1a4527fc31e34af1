"""Contacts, lists, segments, suppressions and imports."""
