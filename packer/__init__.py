"""Top floor: the program, from os.toml to closure, system, artefact and registry."""
