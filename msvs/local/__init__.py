"""What makes one machine enough: embedded PostgreSQL and Valkey, and the supervisor of all processes."""
