"""Text and numbers: encodings, templates, words, phones, quiet hours."""
