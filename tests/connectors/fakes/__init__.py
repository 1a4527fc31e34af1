"""Services on loopback, built from what each documents of itself."""
