"""Events and the webhooks that deliver them."""
