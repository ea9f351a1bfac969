"""Mounts: /etc/fstab (fstab(5)), and the folders where they go.

A line has six fields: what is mounted, where, the type of file system, options, 0 (once for dump(8)), and when it is
checked. A character that would end a field is written as a backslash and its number in octal.
"""

from collections.abc import Iterable, Iterator

from layers.entry import Data, Directory, Entry, File
from packer.operating_system.image import Image
from packer.tables.mounts import NOWHERE, Mount

_PATH = b"etc/fstab"
_ESCAPED = {ord(character): f"\\{ord(character):03o}" for character in " \t\n\\#"}


def entries(mounts: Iterable[Mount], image: Image) -> Iterator[Entry]:
    """The file: what the image has, then the declared lines; and the folders that are missing."""
    mounts = tuple(mounts)
    if not mounts:
        return
    before = image.text(_PATH)
    places = {fields[1] for line in before.splitlines() if len(fields := line.partition("#")[0].split()) > 1}
    for rank, mount in enumerate(mounts):
        if mount.mount_point != NOWHERE and mount.mount_point.translate(_ESCAPED) in places:
            message = f"the image has a line for {mount.mount_point!r} in /etc/fstab already"
            image.wrong(f"os.mounts[{rank}].mount-point", message, "leave it out, or write /etc/fstab with os.files")
    separator = "" if not before or before.endswith("\n") else "\n"
    yield File(_PATH, Data((before + separator + "".join(map(line, mounts))).encode(errors="replace")))
    for mount in mounts:
        if mount.mount_point not in (NOWHERE, "/") and image.follow(mount.mount_point) is None:
            yield Directory(mount.mount_point.strip("/").encode())


def line(mount: Mount) -> str:
    """A line of /etc/fstab."""
    names = {"LABEL": mount.label, "UUID": mount.uuid}
    device = mount.device or next(f"{tag}={name}" for tag, name in names.items() if name)
    fields = (device, mount.mount_point, mount.type, ",".join(mount.options))
    return " ".join([*(field.translate(_ESCAPED) for field in fields), "0", str(mount.check)]) + "\n"
