"""Tests of what every HTTP front shares."""
