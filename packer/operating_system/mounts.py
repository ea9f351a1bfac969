"""Mounts: /etc/fstab (fstab(5)), and the folders where they go.

A line has six fields: what is mounted, where, the type of file system, options, 0 (once for dump(8)), and when it is
checked. A character that would end a field is written as a backslash and its number in octal.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from layers.entry import Data, Directory, Entry, File
from layers.reader import Reader
from layers.tree import Tree
from packer.operating_system.image import Image
from packer.tables.mounts import NOWHERE, Mount

_PATH = b"etc/fstab"
_ESCAPED = {ord(character): f"\\{ord(character):03o}" for character in " \t\n\\#"}


@dataclass(frozen=True, slots=True)
class Fstab:
    """The file as an image has it.

    Attributes:
        path: where it is, the links to its folder followed; a link in its own place gives way to a file.
        text: what it says; bytes that are no UTF-8 survive `encode(errors="surrogateescape")`.
    """

    path: bytes
    text: str

    @classmethod
    def read(cls, tree: Tree, reader: Reader) -> "Fstab":
        """The file of a tree; empty if there is none.

        Raises:
            PackError: it cannot be read, or links to it lead in a circle.
        """
        file = tree.follow(_PATH)
        data = reader.read(file.content) if isinstance(file, File) else b""
        return cls(tree.real(_PATH), data.decode(errors="surrogateescape"))

    def has(self, mount_point: str) -> bool:
        """Whether something is mounted there."""
        rows = (row.partition("#")[0].split() for row in self.text.split("\n"))
        return mount_point != NOWHERE and mount_point.translate(_ESCAPED) in {row[1] for row in rows if len(row) > 1}

    def with_mounts(self, mounts: Iterable[Mount]) -> File:
        """The file with these lines at its end, and nothing else changed."""
        separator = "" if not self.text or self.text.endswith("\n") else "\n"
        text = self.text + separator + "".join(map(line, mounts))
        return File(self.path, Data(text.encode(errors="surrogateescape")))


def entries(mounts: Iterable[Mount], image: Image) -> Iterator[Entry]:
    """The file: what the image has, then the declared lines; and the folders that are missing."""
    mounts = tuple(mounts)
    if not mounts:
        return
    fstab = Fstab.read(image.tree, image.reader)
    for rank, mount in enumerate(mounts):
        if fstab.has(mount.mount_point):
            message = f"the image has a line for {mount.mount_point!r} in /etc/fstab already"
            image.wrong(f"os.mounts[{rank}].mount-point", message, "leave it out, or write /etc/fstab with os.files")
    yield fstab.with_mounts(mounts)
    for mount in mounts:
        if mount.mount_point not in (NOWHERE, "/") and image.follow(mount.mount_point) is None:
            yield Directory(mount.mount_point.strip("/").encode())


def line(mount: Mount) -> str:
    """A line of /etc/fstab."""
    names = {"LABEL": mount.label, "UUID": mount.uuid}
    device = mount.device or next(f"{tag}={name}" for tag, name in names.items() if name)
    fields = (device, mount.mount_point, mount.type, ",".join(mount.options))
    return " ".join([*(field.translate(_ESCAPED) for field in fields), "0", str(mount.check)]) + "\n"
