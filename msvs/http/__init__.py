"""Shared code of all HTTP fronts."""
