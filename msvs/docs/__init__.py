"""The documentation at /docs: the built site and the API reference."""
