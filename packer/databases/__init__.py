"""Databases: the entries that register a closure in an image, so that its own package manager knows what is there."""
