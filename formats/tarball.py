"""`tarball`: the root file system as one tar, to be unpacked as it is: for containers, chroots, netboot, LXC."""

from dataclasses import dataclass

from formats.format import FileArtefact, Order
from formats.root_archive import write_root
from layers.codec import Codec

#: What file names end with, by codec.
SUFFIXES = {"none": "", "gzip": ".gz", "xz": ".xz", "zstd": ".zst", "lzip": ".lz", "bzip2": ".bz2"}


@dataclass(frozen=True, slots=True)
class Options:
    """How a tarball is made.

    Attributes:
        codec: compresses it.
        root_name: the folder of the archive that everything is in; empty: none.
    """

    codec: Codec
    root_name: str = ""


def default_output(stem: str, options: Options) -> str:  # noqa: D103
    return f"{stem}.tar{SUFFIXES[options.codec.name]}"


def write(order: Order) -> FileArtefact:
    """Write the tarball; see `formats.format.Format`."""
    options: Options = order.options
    return write_root(order, options.codec, root_name=options.root_name.encode())
