"""Stand-ins for services outside."""
