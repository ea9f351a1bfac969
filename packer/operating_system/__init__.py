"""The operating system: what `[os]` of os.toml declares, as entries; one module for each of its nouns."""

from collections.abc import Iterator

from layers.entry import Data, Entry, File
from layers.tree import Tree
from packer.operating_system import files
from packer.tables.operating_system import OperatingSystem

_HOSTS = "127.0.0.1\tlocalhost\n127.0.1.1\t{name}\n::1\t\tlocalhost ip6-localhost ip6-loopback\n"


def declared_entries(declared: OperatingSystem, lower: Tree, folder: str) -> Iterator[Entry]:
    """What `[os]` asks for.

    Args:
        declared: the table.
        lower: what is in the image already: owners are looked up there.
        folder: where relative sources start.

    Raises:
        InputError: a source cannot be read, or an owner does not exist in the image.
    """
    if declared.hostname:
        yield File(b"etc/hostname", Data(f"{declared.hostname}\n".encode()))
        yield File(b"etc/hosts", Data(_HOSTS.format(name=declared.hostname).encode()))
    yield from files.entries(declared.files, lower, folder)
