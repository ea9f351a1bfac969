"""Where the paths of Debian packages land: in a merged /usr, and in /run.

Folders of the root are links into /usr since Debian 12 (file-hierarchy(7), "Compatibility Symlinks"), and /var/run and
/var/lock into /run, though packages have files, and base-files folders, below those names. The links themselves are
made with the base of the root.
"""

from layers.placement import Placement

#: Folders of the root whose contents are in the folders of /usr of the same names.
MERGED = (b"bin", b"lib", b"lib32", b"lib64", b"libx32", b"sbin")

#: Folders of /var whose contents are in /run.
RUNTIME = ((b"var/lock", b"run/lock"), (b"var/run", b"run"))

PLACEMENT = Placement((*((name, b"usr/" + name) for name in MERGED), *RUNTIME))
