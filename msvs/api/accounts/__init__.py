"""Workspaces, users, keys and login sessions."""
