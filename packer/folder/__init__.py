"""Folders of this machine as items: what is found in them, what a manifest says about it, and what it comes to."""
