"""Consent: opt-in, opt-out, the chain of evidence and automatic replies."""
