"""/etc/machine-id: an empty file, so that each machine that is started from the image makes an id of its own.

Without the file systemd takes the machine for a new one and enables units by its presets, on Debian some twenty, among
them those that halt and reboot it (machine-id(5), "First Boot Semantics"). An id in an image would be everybody's.
"""

from collections.abc import Iterator

from layers.entry import Entry, File
from packer.operating_system.image import Image

_PATH = b"etc/machine-id"
_MANAGER = "/lib/systemd/systemd"


def entries(image: Image, init: str | None) -> Iterator[Entry]:
    """The file, in an image of systemd or with an id."""
    found = image.follow(_PATH)
    has_id = isinstance(found, File) and found.content.size > 0
    has_systemd = image.follow("/usr" + _MANAGER) or image.follow(_MANAGER) or (init or "").endswith(_MANAGER)
    if has_id or (has_systemd and found is None):
        yield File(_PATH)
