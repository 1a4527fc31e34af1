"""Pages for operators: health and the RQ page."""
