"""The Strawberry schema over the operations, for the dashboard."""
