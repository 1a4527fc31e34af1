"""The virtual handset: a page that shows messages to the sandbox's phones, and sends replies."""
