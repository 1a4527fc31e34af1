"""Dispatch: claim messages, choose their route and sender, and record outcomes."""
