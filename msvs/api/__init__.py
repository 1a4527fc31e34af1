"""The operations of the system: one verb-named function each, without HTTP, GraphQL or RQ."""
