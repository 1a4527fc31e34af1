"""Privacy: erase a person, and export a person's data."""
