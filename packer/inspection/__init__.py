"""What artefacts hold and how two of them differ: `ocipack inspect` and `ocipack diff`.

`formats.reading` reads them; here is what their files mean: which item owns a path, who can log in, what is special.
"""
