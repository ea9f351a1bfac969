"""ISO 9660 with Rock Ridge: the file system of CDs, for reading alone; with El Torito and zisofs.

Everything that a root file system has is there: owners, permissions, links, devices, names of any bytes. Linux shows
no more than 253 bytes of a name, no extended attributes, and hard links as files of their own that share their data;
the volume has all of it, for xorriso and others. Systems without Rock Ridge see names of 8 and 3 characters.

`structures` shows what it looks like on disk, `system_use` what Rock Ridge adds, `names`, `nodes` and `records` are
about folders, `zisofs` compresses, `boot` starts computers, `checksums` proves all of it, and `plan` brings it into one
stream.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from formats.filesystem import TooSmallError, Volume
from formats.filesystem.iso9660.boot import Boot
from formats.filesystem.iso9660.nodes import Nodes, survey
from formats.filesystem.iso9660.plan import Iso9660Plan
from formats.filesystem.iso9660.structures import BLOCK, LABEL_BYTES, MOST_BLOCKS
from formats.filesystem.iso9660.zisofs import Compressed
from layers.errors import InputError
from layers.reader import Reader
from layers.tree import Tree


@dataclass(frozen=True, slots=True)
class Iso9660:
    """An ISO 9660 file system with its options.

    Attributes:
        volume: what it is told of itself; its label has at most 32 characters of ASCII. Its UUID is a date, which
            derives from the one that is given (see `volume_date`).
        boot: what starts a computer from it.
        compressed: path -> what stands for a file's content: see `zisofs.Zisofs.compress`.
        checksums: whether it has the MD5 of each file and of all.
    """

    volume: Volume
    boot: Boot | None = None
    compressed: Mapping[bytes, Compressed] = field(default_factory=dict)
    checksums: bool = True

    def prepare(self, tree: Tree, reader: Reader) -> "PreparedIso9660":
        """See `formats.filesystem.FileSystem`.

        Raises:
            EntryError: ISO 9660 cannot hold something in the tree.
            InputError: it cannot have the label, or start as it should.
        """
        label = self.volume.label
        if not label.isascii() or not (label.isprintable()) or len(label) > LABEL_BYTES:
            raise InputError(f"the label {label!r} is not of up to {LABEL_BYTES} characters of ASCII")
        boot = self.boot.checked() if self.boot else None
        nodes = survey(tree, self.volume, self.compressed, checksums=self.checksums, reader=reader)
        return PreparedIso9660(self, nodes, boot)


class PreparedIso9660:
    """A tree that was looked at.

    Args:
        options: of the file system.
        nodes: of the tree.
        boot: what starts a computer from it.
    """

    def __init__(self, options: Iso9660, nodes: Nodes, boot: Boot | None) -> None:
        self._plan = Iso9660Plan(nodes, options.volume, boot, checksums=options.checksums)
        if self._plan.size > MOST_BLOCKS * BLOCK:
            raise InputError(f"the volume would have {self._plan.size} bytes, and ISO 9660 has room for 8 TiB")

    def minimum_size(self) -> int:
        """The bytes that hold it: nobody adds anything to a volume of this kind, so it has no other size."""
        return self._plan.size

    def plan(self, size: int) -> Iso9660Plan:
        """Decide where everything goes.

        Args:
            size: in bytes; what it does not need stays unused.

        Raises:
            TooSmallError: that is not enough.
        """
        if size < self._plan.size:
            raise TooSmallError(size, self._plan.size)
        return self._plan
