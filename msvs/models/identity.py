"""Primary keys: UUIDv7, so that rows sort by the time they were made."""

from msvs.new_ids import new_id

__all__ = ("new_id",)
