"""Mail to users: the outbox, and the letters in their languages."""
