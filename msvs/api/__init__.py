"""What the system can do: one verb-named function an operation, no HTTP, GraphQL or RQ in it."""
