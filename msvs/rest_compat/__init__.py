"""The documented /v1 routes over the operations."""
