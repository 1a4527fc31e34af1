"""The SDKs: what is generated, and what may not be lost."""
