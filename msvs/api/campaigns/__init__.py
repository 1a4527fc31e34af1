"""Campaigns: audiences, previews, lifecycle and reconciliation."""
