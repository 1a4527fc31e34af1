"""The virtual handset: a page that shows what the sandbox's phones received, and answers from them."""
