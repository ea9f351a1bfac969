"""The tables of os.toml: one module each, with its keys and its checks."""
