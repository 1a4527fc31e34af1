"""SMPP 3.4: an asyncio client of our own, as a carrier."""
