"""Hides the library of this name, which only tests have: jsonschema imports it when it finds it, and takes a second."""

raise ImportError("hidden")
