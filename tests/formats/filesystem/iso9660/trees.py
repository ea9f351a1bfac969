"""Trees for volumes: of each kind that there may be trouble with."""

from layers.entry import Data, Device, DeviceKind, Directory, Entry, File, Hardlink, Meta, Symlink
from tests.support.entries import ACL, ALL_KINDS, CAPABILITY, noise

#: A device with numbers that Linux alone reads: others have no agreement on what is beyond 8 bits.
LARGE_DEVICE = b"devices/disk"

TREES: dict[str, list[Entry]] = {
    "empty": [],
    "one-file": [File(b"file", Data(b"one file\n"))],
    "all-kinds": list(ALL_KINDS),
    "long-names": [
        *(File(b"long/" + b"n" * size, Data(b"%d" % size)) for size in (125, 131, 132, 133, 200, 249, 250, 251, 252)),
        *(Directory(b"long/" + (b"%05d" % number).rjust(253, b"n")) for number in range(100)),
        Symlink(b"long/" + b"l" * 253, b"t" * 250),
    ],
    "deep": [File(b"/".join([b"d" * 50] * 20) + b"/file", Data(b"deep")), File(b"/".join([b"e"] * 200), Data(b"e"))],
    "many": [File(b"many/a file among many, %05d.txt" % number, Data(b"%d" % number)) for number in range(10_000)],
    "alike": [
        *(
            File(b"%s-%03d.%s" % (base, number, end), Data(b"x"))
            for base in (b"alike", b"ALIKE") for number in range(150) for end in (b"conf", b"config")
        ),
        *(Directory(b"folder-alike-%03d" % number) for number in range(30)),
        File(b"a"), File(b"A"), File(b".a"), Directory(b"a."), File(b"a.b.c"), File(b"a..c"), File(b"\xe9\xe9"),
        File(b"\xc3\xe9"),
    ],
    "sizes": [
        File(b"sizes/%d" % size, Data(noise(size)))
        for size in (0, 1, 2047, 2048, 2049, 65535, 65536, 65537, 262143, 262144, 262145, 1 << 20, 5_000_000)
    ],
    "holes": [
        File(b"holes/%d" % number, Data(data))
        for number, data in enumerate([
            bytes(65536), bytes(70000), bytes(3_000_000), noise(65536) + bytes(65536), b"x" + bytes(131071),
            noise(70000) + bytes(2_000_000) + noise(70000), bytes(13 * 4096) + b"x" + bytes(5 << 20) + b"y",
        ])
    ],
    "links": [
        *(
            Symlink(b"links/%d" % number, target)
            for number, target in enumerate([
                b"/", b".", b"..", b"/.", b"a/", b"./a", b"../../a/./b", b"/a/", b"a" * 249,
                b"a" * 250, b"b/" + b"a" * 248, b"b/" * 200 + b"a" * 300,
                *(b"c" * size + b"/d" for size in range(240, 255)),
            ])
        ),
        File(b"names/0", Data(b"x")),
        *(Hardlink(b"names/%d" % number, b"names/0") for number in range(1, 300)),
    ],
    "long-targets": [Symlink(b"1", b"/" + b"c" * 4094), Symlink(b"2", b"/".join([b"d" * 255] * 15))],
    "double-slashes": [Symlink(b"1", b"a//b"), Symlink(b"2", b"//a")],
    "empty-links": [File(b"0"), Hardlink(b"1", b"0")],
    "xattrs": [
        Directory(
            b"folder",
            Meta(
                0o770,
                xattrs=(
                    (b"trusted.overlay.opaque", b"y"), (b"user.name", b"value"),
                ),
            ),
        ),
        Directory(b"default", Meta(0o755, xattrs=((b"system.posix_acl_default", ACL),))),
        File(b"acl", meta=Meta(0o770, xattrs=((b"system.posix_acl_access", ACL),))),
        File(b"capability", meta=Meta(0o755, xattrs=((b"security.capability", CAPABILITY),))),
        *(File(b"%d" % size, meta=Meta(0o644, xattrs=((b"user.v", b"v" * size),))) for size in range(200, 260)),
        File(b"some", meta=Meta(0o644, xattrs=tuple((b"user.%02d" % number, b"v" * 70) for number in range(30)))),
    ],
    "devices": [
        Device(b"%d-%d" % (major, minor), DeviceKind.BLOCK, major, minor)
        for major in (1, 8, 255, 256, 4095)
        for minor in (0, 1, 255)
    ],
    "modes": [File(b"%04o" % mode, Data(b"x"), Meta(mode, mode, mode * 1000)) for mode in range(0, 0o10000, 0o111)],
}  # fmt: skip

#: xorriso reads targets of up to 1023 bytes, in which it joins slashes; isoinfo crashes on long ones; libarchive takes
#: no empty files for links of each other.
READ_BY_XORRISO = TREES.keys() - {"long-targets", "double-slashes"}
READ_BY_ISOINFO = TREES.keys() - {"long-targets"}
READ_BY_LIBARCHIVE = TREES.keys() - {"empty-links"}
