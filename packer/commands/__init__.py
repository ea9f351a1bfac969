"""The commands, one a module; `make` has those of formats. Each speaks for itself, and leaves the work to others.

What a command needs is imported when it runs: checking os.toml and drawing bars takes longer to import than to print
the help.
"""
