"""The SDKs, their generator, and what their suites share."""
