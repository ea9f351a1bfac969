"""What updates pull, by strategy and number of layers, before any of it is pushed: `ocipack plan --compare`.

versions  what is compared: os.toml, os.lock, archives, layouts, references; each becomes a closure
replay    each strategy plans each version, and the layers of neighbours are compared
text      the figures as a table and as JSON
page      the same as one page, with a treemap of the layers
"""
