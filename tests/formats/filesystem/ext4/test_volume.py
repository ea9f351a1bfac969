"""Whole volumes, read by e2fsck, the kernel and GRUB."""

import hashlib
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from formats.filesystem import TooSmallError, ext4
from formats.filesystem.ext4 import Ext4
from formats.filesystem.ext4.demands import Demands
from formats.filesystem.ext4.features import EXT2, EXT2_HURD, EXT3, EXT4, Features
from formats.filesystem.ext4.nodes import Nodes
from formats.filesystem.ext4.placement import Missing, Placement, place
from layers.entry import Data, Device, DeviceKind, Directory, Entry, File, Hardlink, Meta, Slice, Symlink
from layers.errors import EntryError, InputError
from layers.reader import Reader
from tests.oracle.ext4 import by_grub, complaints, debugfs, expected, header, mounted, seen
from tests.support.entries import ACL, ALL_KINDS, CAPABILITY, noise
from tests.support.processes import as_nobody, needs_root, public_folder
from tests.support.volumes import GIB, MIB, VOLUME, tree_of, write_ext4, write_volume

U_BOOT = EXT4.changed("^metadata_csum,^64bit")

FEATURES = {
    "ext4": EXT4,
    "ext4-for-u-boot": U_BOOT,
    "ext4-with-crc16": EXT4.changed("^metadata_csum,uninit_bg"),
    "ext4-without-options": EXT4.changed("^flex_bg,^resize_inode,^dir_index,^has_journal,^huge_file,^extra_isize"),
    "ext3": EXT3,
    "ext2": EXT2,
    "ext2-with-checksums": EXT2.changed("metadata_csum"),
    "ext2-with-small-inodes": Features(EXT2.enabled, inode_size=128),
    "ext2-of-the-hurd": EXT2_HURD,
}


def with_xattrs(count: int) -> list[Entry]:
    """As many files with the same attributes, which are too many for an inode."""
    meta = Meta(0o644, xattrs=((b"user.same", b"v" * 500),))
    return [File(b"shared/%04d" % number, meta=meta) for number in range(count)]


TREES: dict[str, list[Entry]] = {
    "empty": [],
    "one-file": [File(b"file", Data(b"one file\n"))],
    "all-kinds": list(ALL_KINDS),
    "deep": [File(b"/".join([b"d" * 50] * 60) + b"/file", Data(b"deep"))],
    "many-names": [File(b"many/%05d" % number, Data(b"%d" % number)) for number in range(3000)],
    "long-names": [Directory(b"long/" + (b"%05d" % number).rjust(255, b"n")) for number in range(700)],
    "sizes": [
        File(b"sizes/%d" % size, Data(noise(size)))
        for size in (0, 1, 4095, 4096, 4097, 65535, 65536, 65537, 262143, 262144, 1048575, 1048576, 5000000)
    ],
    "holes": [
        File(b"holes/%d" % number, Data(data))
        for number, data in enumerate(
            [
                bytes(65535), bytes(65536), bytes(65537), bytes(300000), noise(65536) + bytes(65536),
                bytes(65536) + b"x", b"x" + bytes(65536), b"x" + bytes(131071),
                noise(70000) + bytes(200000) + noise(70000), bytes(13 * 4096) + b"x" + bytes(5 << 20) + b"y",
            ]
        )
    ],
    "xattrs": [
        File(b"xattrs/%d" % size, meta=Meta(0o644, xattrs=((b"user.v", b"v" * size),)))
        for size in (0, 1, 3, 4, 56, 60, 64, 65, 68, 72, 76, 77, 100, 1000, 3072, 4000)
    ],
    "xattrs-of-all": [
        Directory(
            b"folder",
            Meta(
                0o755,
                xattrs=(
                    (b"security.selinux", b"system_u:object_r:bin_t:s0\0"), (b"system.posix_acl_access", ACL),
                    (b"system.posix_acl_default", ACL), (b"trusted.overlay.opaque", b"y"), (b"user.name", b"value"),
                ),
            ),
        ),
        File(b"acl", meta=Meta(0o670, xattrs=((b"system.posix_acl_access", ACL),))),
        File(b"capability", meta=Meta(0o755, xattrs=((b"security.capability", CAPABILITY),))),
        Symlink(b"link", b"t" * 59, Meta(0o777, xattrs=((b"trusted.t", b"on a link"),))),
        Device(b"fifo", DeviceKind.FIFO, meta=Meta(0o600, xattrs=((b"trusted.t", b"on a pipe" * 20),))),
    ],
    "shared-xattrs": with_xattrs(2500),
    "links": [
        *(Symlink(b"links/%d" % size, b"t" * size) for size in (1, 58, 59, 60, 61, 4095)),
        File(b"names/0", Data(b"x")),
        *(Hardlink(b"names/%d" % number, b"names/0") for number in range(1, 300)),
    ],
    "devices": [
        Device(b"%d-%d" % (major, minor), DeviceKind.BLOCK, major, minor)
        for major in (0, 1, 255, 256, 4095)
        for minor in (0, 255, 256, 1048575)
    ],
}  # fmt: skip


@needs_root
@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("kind", FEATURES)
def test_what_is_mounted_is_the_tree(tmp_path: Path, kind: str, name: str) -> None:
    entries = TREES[name]
    volume = write_ext4(tmp_path / "volume", entries, 128 * MIB, FEATURES[kind])
    assert complaints(volume) == ""
    with mounted(volume) as place:
        assert seen(place) == expected(tree_of(entries), VOLUME.epoch)


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("kind", ["ext4", "ext4-for-u-boot", "ext2"])
def test_the_least_size_is_full_and_one_block_less_is_refused(tmp_path: Path, kind: str, name: str) -> None:
    features = FEATURES[kind]
    volume = write_ext4(tmp_path / "volume", TREES[name], None, features)
    assert complaints(volume) == ""
    least = volume.stat().st_size
    assert int(header(volume)["Free blocks"]) <= (0 if least > MIB else 20)
    with pytest.raises(TooSmallError) as caught:
        write_ext4(tmp_path / "other", TREES[name], least - 1, features)
    assert (caught.value.size, caught.value.needed) == (least - 1, least)
    assert not (tmp_path / "other").exists()


def test_the_least_size_is_found_in_a_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is a little more than a group, and what is too short for another must be left out."""
    steps: list[int] = []

    def counted(nodes: Nodes, demands: Demands, blocks: int, inodes: int, features: Features) -> Placement | Missing:
        steps.append(blocks)
        return place(nodes, demands, blocks, inodes, features)

    monkeypatch.setattr(ext4, "place", counted)
    prepared = Ext4(VOLUME).prepare(tree_of(File(b"%d" % name) for name in range(100_000)), Reader())
    for features in (EXT4, EXT2, FEATURES["ext4-without-options"]):
        prepared._options = Ext4(VOLUME, features, bytes_per_inode=1 << 20)
        least = prepared.minimum_size()
        assert len(steps) < 20
        with pytest.raises(TooSmallError) as caught:
            prepared.plan(least - 4096)
        assert caught.value.needed == least
        steps.clear()


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        *((kind, size) for kind in FEATURES for size in (8 * MIB, 128 * MIB - 4096, 128 * MIB + 4096, 129 * MIB + 5)),
        *((kind, 3 * GIB) for kind in ("ext4", "ext4-for-u-boot", "ext2")),
        ("ext4", 40 * GIB),
    ],
)
def test_volumes_of_any_size_are_clean_and_sparse(tmp_path: Path, kind: str, size: int) -> None:
    volume = write_ext4(tmp_path / "volume", TREES["all-kinds"], size, FEATURES[kind])
    assert complaints(volume) == ""
    assert size - 2 * MIB <= volume.stat().st_size <= size
    assert volume.stat().st_blocks * 512 < MIB + size // 2000


def test_a_volume_may_have_more_blocks_than_32_bits_count(tmp_path: Path) -> None:
    plan = Ext4(VOLUME, bytes_per_inode=1 << 22).prepare(tree_of(TREES["all-kinds"]), Reader()).plan(20 << 40)
    assert plan.size == 20 << 40
    with pytest.raises(InputError, match="64bit"):
        Ext4(VOLUME, U_BOOT).prepare(tree_of([]), Reader()).plan(20 << 40)


def test_copies_of_the_superblock_are_in_groups_beyond_16_bits() -> None:
    plan = Ext4(VOLUME, bytes_per_inode=1 << 22).prepare(tree_of([]), Reader()).plan(12 << 40)
    last = 5**7 << 27  # groups have 128 MiB
    assert [piece for piece in plan.pieces(Reader()) if piece.offset == last]


def test_names_and_identifiers_are_in_the_superblock(tmp_path: Path) -> None:
    found = header(write_ext4(tmp_path / "volume", [], 64 * MIB))
    assert found["Filesystem volume name"] == "volume"
    assert found["Filesystem UUID"] == str(VOLUME.identifier("ext4 uuid"))
    assert found["Filesystem state"] == "clean"
    assert found["Filesystem created"] == "Sun Sep  9 01:46:40 2001"
    assert found["Reserved block count"] == str(64 * MIB // 4096 // 20)
    assert int(found["Inode count"]) == 64 * MIB // 16384
    assert found["Total journal size"] == "4096k"


def test_grub_reads_the_same_bytes(tmp_path: Path) -> None:
    entries = [*TREES["sizes"], *TREES["holes"], *TREES["many-names"]]
    volume = write_ext4(tmp_path / "volume", entries, 128 * MIB)
    for entry in [*TREES["sizes"], *TREES["holes"], *TREES["many-names"][::500]]:
        assert isinstance(entry, File) and isinstance(entry.content, Data)
        assert by_grub(volume, f"/{entry.path.decode()}") == entry.content.data


@needs_root
def test_a_hundred_thousand_files_in_one_folder(tmp_path: Path) -> None:
    entries = [File(b"folder/a-file-among-many-%06d" % number) for number in range(100_000)]
    volume = write_ext4(tmp_path / "volume", entries)
    assert complaints(volume) == ""
    with mounted(volume) as place:
        assert len(os.listdir(place / "folder")) == 100_000
        assert all((place / "folder" / f"a-file-among-many-{number:06}").is_file() for number in range(0, 100_000, 997))
        assert not (place / "folder" / "a-file-among-many-100000").exists()
    assert "Indirect levels: 1" in debugfs(volume, "htree_dump /folder")


@needs_root
@pytest.mark.parametrize("kind", ["ext4", "ext2"])
def test_five_gibibytes_of_hole_take_no_room(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "source"
    with open(source, "wb") as file:
        file.write(b"begin")
        file.seek(3 * GIB)
        file.write(noise(100_000))
        file.truncate(5 * GIB)
    entries = [File(b"sparse", Slice(str(source), 0, 5 * GIB))]
    volume = write_ext4(tmp_path / "volume", entries, 64 * MIB, FEATURES[kind])
    assert complaints(volume) == ""
    with mounted(volume) as place, open(place / "sparse", "rb") as file:
        assert os.fstat(file.fileno()).st_size == 5 * GIB
        assert os.pread(file.fileno(), 10, 0) == b"begin" + bytes(5)
        assert os.lseek(file.fileno(), 65536, os.SEEK_DATA) == 3 * GIB
        assert os.pread(file.fileno(), 100_010, 3 * GIB) == noise(100_000) + bytes(10)
        assert os.fstat(file.fileno()).st_blocks < 1000


@needs_root
@pytest.mark.parametrize("kind", ["ext4", "ext4-for-u-boot", "ext2"])
def test_trees_of_extents_are_as_deep_as_they_must_be(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "source"
    pieces = 1500  # more than 4 x 340
    with open(source, "wb") as file:
        for number in range(pieces):
            file.seek(number * 131072)
            file.write(b"%d" % number)
    size = source.stat().st_size
    volume = write_ext4(tmp_path / "volume", [File(b"file", Slice(str(source), 0, size))], None, FEATURES[kind])
    assert complaints(volume) == ""
    with mounted(volume) as place, open(source, "rb") as wanted, open(place / "file", "rb") as found:
        assert hashlib.file_digest(found, "sha256").digest() == hashlib.file_digest(wanted, "sha256").digest()
    if kind != "ext2":
        assert " 2/ 2" in debugfs(volume, "dump_extents /file")


def test_files_may_be_split_by_the_metadata_of_groups(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(noise(140 * MIB))  # more than a group
    volume = write_ext4(tmp_path / "volume", [File(b"file", Slice(str(source), 0, 140 * MIB))], features=EXT3)
    assert complaints(volume) == ""
    debugfs(volume, f"dump /file {tmp_path / 'found'}")
    assert (tmp_path / "found").read_bytes() == source.read_bytes()


def test_the_bytes_are_the_same_whoever_writes_and_wherever_contents_come_from(tmp_path: Path) -> None:
    entries = [*TREES["sizes"], *TREES["holes"], *TREES["all-kinds"]]
    at_hand = write_ext4(tmp_path / "volume", entries, 64 * MIB)
    wanted = hashlib.sha256(at_hand.read_bytes()).hexdigest()
    with public_folder(0o777) as folder:
        slices = [sliced(entry, folder) for entry in entries]

        def build() -> str:
            return hashlib.sha256(write_ext4(folder / "volume", slices, 64 * MIB).read_bytes()).hexdigest()

        assert as_nobody(build) == wanted
        assert build() == wanted


def sliced(entry: Entry, folder: Path) -> Entry:
    """A file with its content in the middle of one of the host's, whose zeros are written."""
    if not isinstance(entry, File) or not isinstance(entry.content, Data):
        return entry
    place = folder / hashlib.sha256(entry.path).hexdigest()
    place.write_bytes(b"before" + entry.content.data + b"after")
    place.chmod(0o644)
    return File(entry.path, Slice(str(place), 6, entry.content.size), entry.meta)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([File(b"lost+found")], "lost.found"),
        ([Symlink(b"a", b"t" * 4096)], "/a is a symbolic link to 4096 bytes"),
        ([Symlink(b"a", b"")], "/a is a symbolic link to 0 bytes"),
        ([File(b"a", meta=Meta(0o644, xattrs=((b"other.name", b""),)))], "/a: ext4 has no extended attributes like"),
        ([File(b"a", meta=Meta(0o644, xattrs=((b"user.v", b"v" * 4050),)))], "/a: its extended attributes do not fit"),
        ([File(b"a", meta=Meta(0o644, xattrs=((b"system.posix_acl_access", b"x"),)))], "/a: system.posix_acl_access"),
        ([File(b"a"), *(Hardlink(b"b%d" % number, b"a") for number in range(65000))], "/a has more than 65000 names"),
        ([File(b"a", Slice("/nowhere", 0, 1 << 44))], "/a is larger than"),
    ],
)
def test_what_ext4_cannot_hold_is_refused(entries: list[Entry], message: str) -> None:
    with pytest.raises(EntryError, match=message):
        Ext4(VOLUME).prepare(tree_of(entries), Reader())


def test_the_label_has_its_limit() -> None:
    volume = replace(VOLUME, label="17 bytes, no less")
    with pytest.raises(InputError, match="17 bytes"):
        Ext4(volume).prepare(tree_of([]), Reader())


@pytest.mark.parametrize("epoch", [0, 1, 2**31 - 1, 2**31, 2**32, 2**33, 2**34 - 2**31 - 1])
@needs_root
def test_times_of_five_centuries(tmp_path: Path, epoch: int) -> None:
    volume = replace(VOLUME, epoch=epoch)
    path = write_volume(tmp_path / "volume", Ext4(volume), [File(b"file")])
    with mounted(path) as place:
        status = (place / "file").stat()
        assert (status.st_mtime, status.st_atime, status.st_ctime) == (epoch, epoch, epoch)


@pytest.mark.parametrize(("features", "epoch"), [(EXT4, 2**34 - 2**31), (FEATURES["ext2-with-small-inodes"], 2**31)])
def test_times_after_that_are_refused(features: Features, epoch: int) -> None:
    volume = replace(VOLUME, epoch=epoch)
    with pytest.raises(InputError, match="cannot hold the time"):
        Ext4(volume, features).prepare(tree_of([]), Reader()).plan(MIB)


@needs_root
def test_the_root_folder_has_an_owner_permissions_and_attributes(tmp_path: Path) -> None:
    root = Meta(0o1750, 1000, 2000, ((b"user.of", b"the root" * 100),))
    path = write_volume(tmp_path / "volume", Ext4(replace(VOLUME, root=root)), [File(b"file")])
    assert complaints(path) == ""
    with mounted(path) as place:
        status = place.stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o1750, 1000, 2000)
        assert os.getxattr(place, "user.of") == b"the root" * 100


@needs_root
def test_a_folder_may_have_more_folders_than_links_can_be_counted(tmp_path: Path) -> None:
    entries = [Directory(b"folder/%d" % number) for number in range(65_000)]
    volume = write_ext4(tmp_path / "volume", entries)
    assert complaints(volume) == ""
    with mounted(volume) as place:
        assert (place / "folder").stat().st_nlink == 1
        assert len(os.listdir(place / "folder")) == 65_000
    with pytest.raises(EntryError, match="/folder has more than 64998 folders"):
        Ext4(VOLUME, EXT3).prepare(tree_of(entries), Reader())
