"""The pages at the root: what the service is, and what to do at an address that has nothing."""
