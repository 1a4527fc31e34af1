"""Run everything on one machine: embedded PostgreSQL and Valkey, and a supervisor."""
