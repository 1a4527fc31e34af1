"""Messages: send, read, explain and count them."""
