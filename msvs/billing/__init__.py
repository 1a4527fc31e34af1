"""The front for who pays: Stripe's events, and the pages that a buyer comes back to."""
