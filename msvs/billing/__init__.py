"""The billing front: Stripe's events, and the pages to which buyers return."""
