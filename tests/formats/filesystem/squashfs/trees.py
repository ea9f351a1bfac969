"""Trees for squashfs: those that ISO 9660 has trouble with, and those that squashfs alone may have."""

from layers.entry import Data, Device, DeviceKind, Directory, Entry, File, Hardlink, Meta, Symlink
from tests.formats.filesystem.iso9660.trees import TREES as OF_ISO9660
from tests.support.entries import noise

_ATTRIBUTES = Meta(0o640, 1000, 2000, ((b"security.x", b"\0\xff"), (b"trusted.y", b""), (b"user.z", b"v" * 3000)))

TREES: dict[str, list[Entry]] = {
    **OF_ISO9660,
    "many": OF_ISO9660["many"][::5],
    "listings": [
        *(File(b"long/" + (b"%05d" % number).rjust(250, b"n")) for number in range(600)),
        *(Directory(b"folders/" + b"%05d" % number) for number in range(3000)),
        *(File(b"\xe9/%03d" % number) for number in range(300)),
        *(Hardlink(b"\xe9/z%02d" % number, b"long/" + (b"%05d" % number).rjust(250, b"n")) for number in range(20)),
    ],
    "attributes": [
        File(b"file", Data(b"x"), _ATTRIBUTES),
        Directory(b"folder", _ATTRIBUTES),
        Symlink(b"link", b"target", Meta(0o777, 1, 2, ((b"trusted.a", b"b"),))),
        Device(b"disk", DeviceKind.BLOCK, 259, 1048575, Meta(0o600, 1, 2, ((b"trusted.a", b"b"),))),
        Device(b"null", DeviceKind.CHARACTER, 1, 3, Meta(0o600, 1, 2, ((b"trusted.a", b"b"),))),
        Device(b"fifo", DeviceKind.FIFO, meta=Meta(0o600, 1, 2, ((b"trusted.a", b"c"),))),
        *(File(b"%d" % n, meta=Meta(0o644, xattrs=((b"user.number", b"%d" % n),))) for n in range(1500)),
    ],
    "blocks": [
        File(b"blocks/%d" % (size + more), Data(noise(size + more)))
        for size in (4096, 131072, 262144, 1 << 20) for more in (-1, 0, 1)
    ],
    "zeros": [
        File(b"all", Data(bytes(3 << 20))),
        File(b"behind", Data(bytes(2 << 20) + b"x")),
        File(b"before", Data(b"x" + bytes((3 << 20) - 1))),
        File(b"between", Data(noise(1 << 20) + bytes(4 << 20) + noise((1 << 20) + 5))),
    ],
    "owners": [File(b"%05d" % number, meta=Meta(0o644, number, 1 << 31 | number)) for number in range(1000)],
}  # fmt: skip
