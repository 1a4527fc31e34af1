"""Holds each SDK to the real service, with faults in between."""
