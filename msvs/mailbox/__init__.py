"""The mailbox of development: mail that would have been sent, as a page."""
