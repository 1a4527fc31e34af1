"""SMPP 3.4: our own asyncio client, as a carrier."""
