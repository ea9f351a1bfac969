"""Ground floor: what images are made of.

Entries, trees, items, closures and layers. Nothing here knows what an artefact or a store is, and
nothing here reads the clock, the environment, the locale, the umask or the working directory.
"""
