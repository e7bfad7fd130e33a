"""Servers that nobody here wrote, started for tests."""
