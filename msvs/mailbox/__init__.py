"""The development mailbox: a page of mail that would have been sent."""
