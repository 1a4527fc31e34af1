"""Tests of the front for who pays."""
