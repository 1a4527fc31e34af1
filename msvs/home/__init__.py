"""The start page, and the page for unknown addresses."""
