"""Tests of the SMPP carrier."""
