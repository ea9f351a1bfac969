"""Debian: packages as files (`deb`, `control`), and what their maintainer scripts would have made of a root.

No script is ever run. What scripts do is read from the packages' data, or from the scripts as text, and written as
entries: one module for each thing that a root needs.
"""
