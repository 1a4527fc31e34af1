"""The mailbox of development."""
