"""Privacy: erase a person, export what is kept about one."""
