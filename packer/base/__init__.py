"""The image that another one stands on: its documents, its layers, its tree, and how it is run.

source          where it is: a file of this machine, or a registry
layer_cache     its layers, as blobs and as tars
merging         its layers laid over each other
configuration   what its configuration says of containers
"""
