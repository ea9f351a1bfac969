"""Whole volumes, read by fsck.fat, mtools, blkid and GRUB."""

import struct
import subprocess
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from formats.filesystem import TooSmallError
from formats.filesystem.fat import Fat
from formats.filesystem.pieces import Bytes
from layers.digest import Digest
from layers.entry import Data, Device, DeviceKind, Directory, Entry, File, Hardlink, Meta, Slice, Symlink
from layers.errors import EntryError, InputError, PackError
from layers.reader import Reader
from tests.oracle.fat import by_grub, clusters, complaints, contents, everything, identity, kind, listing
from tests.support.disks import damaged
from tests.support.entries import noise
from tests.support.processes import as_nobody, public_folder
from tests.support.volumes import GIB, MIB, VOLUME, tree_of, write_volume

BOOT: list[Entry] = [
    File(b"EFI/BOOT/BOOTX64.EFI", Data(noise(100_000)), Meta(0o755)),
    File(b"EFI/debian/grub.cfg", Data(b"search --label root\n")),
    File(b"loader/entries/debian-6.1.conf", Data(b"title Debian\n")),
    File(b"vmlinuz-6.1.0-56-amd64", Data(noise(700_000)), Meta(0o600, 1000, 1000)),
]
TREES: dict[str, list[Entry]] = {
    "empty": [],
    "boot": BOOT,
    "sizes": [File(b"%d" % size, Data(noise(size))) for size in (0, 1, 511, 512, 513, 2048, 2049, 65536, 300_001)],
    "holes": [
        File(b"begins", Data(bytes(200_000) + b"end")),
        File(b"between", Data(b"begin" + bytes(300_000) + b"middle" + bytes(300_000) + b"end")),
        File(b"ends", Data(b"begin" + bytes(1 << 20))),
        File(b"nothing", Data(bytes(1 << 20))),
    ],
    "names": [
        *(File(name.encode(), Data(b"x")) for name in ("été ü.txt", "a.b.c", ".hidden", "+,;=[]", " blank", "Ω" * 20)),
        *(File(b"n" * size) for size in (8, 9, 12, 13, 14, 25, 26, 27, 39, 254, 255)),
        *(File(b"alike/some-long-name-%d.conf" % number, Data(b"%d" % number)) for number in range(300)),
        Directory(b"empty folder"),
    ],
    "deep": [File(b"/".join(b"level %d" % level for level in range(12)) + b"/file", Data(b"deep"))],
}  # fmt: skip
WITH_ROOT: list[Entry] = [File(b"many-in-the-root-%d" % number) for number in range(400)]


def content_of(file: File) -> bytes:
    with Reader() as reader:
        return reader.read(file.content)


def expected(entries: list[Entry], epoch: int = VOLUME.epoch) -> dict[str, tuple[bytes, int] | None]:
    return {
        entry.path.decode(): (content_of(entry), epoch) if isinstance(entry, File) else None
        for entry in tree_of(entries)
    }


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize(("bits", "found"), [(12, 12), (16, 16), (32, 32), (None, 16)])
def test_what_is_read_is_the_tree(tmp_path: Path, bits: int | None, found: int, name: str) -> None:
    volume = write_volume(tmp_path / "volume", Fat(VOLUME, bits), TREES[name], 40 * MIB)
    assert complaints(volume) == ""
    assert kind(volume)[0] == found
    assert contents(volume) == expected(TREES[name])
    assert volume.stat().st_size == 40 * MIB
    assert volume.stat().st_blocks * 512 < 6 * MIB
    for file in [entry for entry in TREES[name] if isinstance(entry, File)][:3]:
        assert by_grub(volume, "/" + file.path.decode()) == content_of(file)


LEAST = {12: 1, 16: 4087, 32: 65529}  # clusters: with fewer it is another FAT


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize(("bits", "found"), [(12, 12), (16, 16), (32, 32), (None, 12)])
def test_the_least_size_is_full_and_one_sector_less_is_refused(
    tmp_path: Path, bits: int | None, found: int, name: str
) -> None:
    volume = write_volume(tmp_path / "volume", Fat(VOLUME, bits), TREES[name])
    assert complaints(volume) == ""
    assert contents(volume) == expected(TREES[name])
    least = volume.stat().st_size
    assert kind(volume)[0] == found
    used, there = clusters(volume)
    assert there == max(used, LEAST[found])
    with pytest.raises(TooSmallError) as caught:
        write_volume(tmp_path / "other", Fat(VOLUME, bits), TREES[name], least - 1)
    assert (caught.value.size, caught.value.needed) == (least - 1, least)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("size", [*range(512, 20 * 512, 512), MIB, 4 * MIB, 9 * MIB, 34 * MIB, 130 * MIB, 512 * MIB])
def test_every_size_that_is_enough_will_do(size: int) -> None:
    with Reader() as reader:
        prepared = Fat(VOLUME).prepare(tree_of(TREES["deep"]), reader)
        assert prepared.plan(prepared.minimum_size() + size).size == prepared.minimum_size() + size


@pytest.mark.parametrize(("bits", "size"), [(32, 64 * MIB), (16, 33056 * 512)])
def test_clusters_for_which_the_fats_are_too_short_are_not_counted(tmp_path: Path, bits: int, size: int) -> None:
    for sectors in range(size // 512 - 8, size // 512 + 8):
        volume = write_volume(tmp_path / "volume", Fat(VOLUME, bits, 512), [], sectors * 512)
        assert not complaints(volume), sectors


def test_a_root_of_fat16_may_be_larger_than_usual(tmp_path: Path) -> None:
    volume = write_volume(tmp_path / "volume", Fat(VOLUME, 16), WITH_ROOT, 40 * MIB)
    assert complaints(volume) == ""
    assert contents(volume) == expected(WITH_ROOT)


@pytest.mark.parametrize("size", [2, 5, 8, 9, 17, 40, 100, 127, 256, 400, 511, 512, 1024, 8 << 10, 9 << 10, 40 << 10])
def test_volumes_are_divided_as_mkfs_has_it(tmp_path: Path, size: int) -> None:
    volume = write_volume(tmp_path / "volume", Fat(VOLUME), [], size * MIB)
    theirs = tmp_path / "theirs"
    with open(theirs, "wb") as file:
        file.truncate(size * MIB)
    subprocess.run(["mkfs.fat", theirs], check=True, capture_output=True)
    assert kind(volume) == kind(theirs)
    assert abs(clusters(volume)[1] - clusters(theirs)[1]) <= 4  # they round other structures
    assert complaints(volume) == ""


@pytest.mark.parametrize("cluster_size", [512 << power for power in range(7)])
def test_clusters_have_the_size_that_is_asked_for(tmp_path: Path, cluster_size: int) -> None:
    fat = Fat(VOLUME, cluster_size=cluster_size)
    volume = write_volume(tmp_path / "volume", fat, BOOT, 40 * MIB)
    assert kind(volume)[1] == cluster_size
    assert complaints(volume) == ""


def test_a_tree_that_does_not_fit_into_the_usual_clusters_has_others() -> None:
    files: list[Entry] = [File(b"%d/%d" % (number // 1000, number), Data(b"x")) for number in range(40_000)]
    with Reader() as reader:
        prepared = Fat(VOLUME).prepare(tree_of(files), reader)
        assert prepared.minimum_size() < 30 * MIB
        assert prepared.plan(64 * MIB).size == 64 * MIB


@pytest.mark.parametrize(
    ("epoch", "time"),
    [
        (0, 315532800), (315532799, 315532800), (315532801, 315532800), (1, 315532800), (1_700_000_001, 1_700_000_000),
    ],
)  # fmt: skip
def test_times_are_the_nearest_that_fat_has(tmp_path: Path, epoch: int, time: int) -> None:
    volume = write_volume(tmp_path / "volume", Fat(replace(VOLUME, epoch=epoch)), BOOT)
    assert contents(volume) == expected(BOOT, time)


@pytest.mark.parametrize("epoch", [4354819199, 4354819200, 1 << 40])
def test_no_time_is_after_2107(tmp_path: Path, epoch: int) -> None:
    """As it is shown; when mtools count seconds, they take 2100 for a leap year."""
    said = listing(write_volume(tmp_path / "volume", Fat(replace(VOLUME, epoch=epoch)), BOOT))
    assert said.count("2107-12-31  23:59") == len(tree_of(BOOT)) + 2 * 5


def test_all_times_of_an_entry_are_the_epoch(tmp_path: Path) -> None:
    volume = write_volume(tmp_path / "volume", Fat(replace(VOLUME, epoch=1_700_000_001), 16), [File(b"FILE")])
    data = volume.read_bytes()
    start = data.index(b"FILE       ")
    _, attributes, case, hundredths, *times = struct.unpack_from("<11sBBBHHHHHHHI", data, start)
    time, date = 22 << 11 | 13 << 5 | 10, 43 << 9 | 11 << 5 | 14  # 2023-11-14 22:13:21
    assert (attributes, case, hundredths) == (0x20, 0, 100)
    assert times == [time, date, date, 0, time, date, 0, 0]


@pytest.mark.parametrize("bits", [12, 16, 32])
def test_labels_and_identifiers(tmp_path: Path, bits: int) -> None:
    named = Fat(replace(VOLUME, label="GNU-ESP", uuid=UUID("1234abcd-0000-0000-0000-000000000000")), bits)
    found = identity(write_volume(tmp_path / "named", named, BOOT))
    assert (found["LABEL"], found["UUID"], found["VERSION"]) == ("GNU-ESP", "1234-ABCD", f"FAT{bits}")
    unnamed = Fat(replace(VOLUME, label=""), bits)
    found = identity(volume := write_volume(tmp_path / "unnamed", unnamed, BOOT))
    assert "LABEL" not in found
    assert complaints(volume) == ""
    other = Fat(replace(VOLUME, identity=Digest.of(b"another")), bits)
    assert len({found["UUID"], identity(write_volume(tmp_path / "other", other, BOOT))["UUID"]}) == 2


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (Symlink(b"boot/link", b"target"), "/boot/link is a symbolic link"),
        (Hardlink(b"boot/link", b"plain"), "/boot/link is a hard link"),
        (Device(b"boot/null", DeviceKind.CHARACTER, 1, 3), "/boot/null is a device or a pipe"),
        (File(b"boot/su", meta=Meta(0o4755)), "/boot/su is setuid, setgid or sticky"),
        (Directory(b"boot/tmp", Meta(0o1777)), "/boot/tmp is setuid, setgid or sticky"),
        (File(b"boot/x", meta=Meta(0o644, xattrs=((b"user.x", b"y"),))), "/boot/x has extended attributes"),
        (File(b"boot/a:b"), "/boot/a:b has ':' in its name"),
        (File(b"boot/large", Slice("/nonexistent", 0, 1 << 32)), "/boot/large has 4294967296 bytes"),
    ],
)  # fmt: skip
def test_what_fat_cannot_hold_is_named_with_all_else(entry: Entry, message: str) -> None:
    with Reader() as reader, pytest.raises(EntryError) as caught:
        Fat(VOLUME).prepare(tree_of([File(b"plain"), entry, Symlink(b"zz", b"t")]), reader)
    assert message in str(caught.value)
    assert "/zz is a symbolic link" in str(caught.value)


def test_names_that_are_one_to_fat_are_named() -> None:
    with Reader() as reader, pytest.raises(EntryError, match="/plain has the name of /PLAIN, but for the case"):
        Fat(VOLUME).prepare(tree_of([File(b"plain"), File(b"PLAIN")]), reader)


def test_a_folder_has_room_for_65536_entries() -> None:
    names: list[Entry] = [File(b"F/F%06d" % number) for number in range(65_534)]
    with Reader() as reader:
        assert Fat(VOLUME).prepare(tree_of(names), reader).minimum_size() > 2 * MIB
        with pytest.raises(EntryError, match="/F has more names"):
            Fat(VOLUME).prepare(tree_of([*names, File(b"F/ONE")]), reader)


@pytest.mark.parametrize(
    ("fat", "size", "message"),
    [
        (Fat(replace(VOLUME, label="twelve chars")), MIB, "'twelve chars' has 12 characters, and FAT room for 11"),
        (Fat(VOLUME, 8), MIB, "there is no FAT8"),
        (Fat(VOLUME, cluster_size=1000), MIB, "FAT has no clusters of 1000 bytes"),
        (Fat(VOLUME, 16), 10 * GIB, "no FAT16 volume has that size"),
        (Fat(VOLUME, 12, 512), 10 * MIB, "no FAT12 volume with clusters of 512 bytes has that size"),
        (Fat(VOLUME), 2049 * GIB, "no FAT volume has that size"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together_are_refused(fat: Fat, size: int, message: str) -> None:
    with Reader() as reader, pytest.raises(InputError) as caught:
        fat.prepare(tree_of(BOOT), reader).plan(size)
    assert message in str(caught.value)


def test_a_tree_that_no_fat12_holds() -> None:
    with Reader() as reader, pytest.raises(PackError, match="no FAT12 volume holds all of it"):
        Fat(VOLUME, 12).prepare(tree_of([File(b"x", Data(bytes(130 * MIB)))]), reader).minimum_size()


@pytest.mark.parametrize("bits", [12, 16, 32])
def test_bytes_do_not_depend_on_who_writes_nor_on_where_contents_are(tmp_path: Path, bits: int) -> None:
    mine = write_volume(tmp_path / "mine", Fat(VOLUME, bits), TREES["sizes"]).read_bytes()
    with public_folder(0o777) as folder:
        written = as_nobody(
            lambda: Digest.of(write_volume(folder / "it", Fat(VOLUME, bits), TREES["sizes"]).read_bytes())
        )
        assert written == str(Digest.of(mine))
    entries: list[Entry] = []
    for number, entry in enumerate(TREES["sizes"]):
        assert isinstance(entry, File)
        (tmp_path / str(number)).write_bytes(b"before" + content_of(entry))
        entries.append(replace(entry, content=Slice(str(tmp_path / str(number)), 6, entry.content.size)))
    assert write_volume(tmp_path / "slices", Fat(VOLUME, bits), entries).read_bytes() == mine


DAMAGED: list[Entry] = [File(b"FILE", Data(noise(10_000))), File(b"a long name/in a folder", Data(noise(5000)))]
NOT_SHOWN = range(12, 20)  # bytes of an entry: case, times of creation, of access


def starts(data: bytes) -> dict[str, tuple[int, list[int]]]:
    """Structure -> where it begins, and which of its bytes mean something."""
    reserved, fat, root = (struct.unpack_from(form, data, at)[0] for form, at in (("<H", 14), ("<I", 36), ("<I", 44)))
    first_fat, second_fat, clusters_at = (sector * 512 for sector in (reserved, reserved + fat, reserved + 2 * fat))
    assert root == 2
    shown = [byte for byte in range(32) if byte not in NOT_SHOWN]
    long_name = [byte for byte in range(32) if byte not in (12, 26, 27)]
    return {
        "boot sector": (0, list(range(512))),
        "copy of the boot sector": (6 * 512, list(range(512))),
        "information": (512, [*range(4), *range(484, 496), 510, 511]),
        "fat": (first_fat, list(range(4 * 30))),
        "fat again": (second_fat, list(range(4 * 30))),
        "label": (clusters_at, list(range(12))),
        "long name": (clusters_at + 64, long_name),
        "entry of a file": (clusters_at + 32, shown),
        "entry of a folder": (clusters_at + 96, shown),
        "contents": (data.index(noise(10_000)), list(range(10_000))),
    }


@pytest.mark.parametrize("structure", starts(bytes(14) + b"\0\0" + bytes(28) + b"\2\0\0\0" + noise(10_000)))
def test_a_damaged_byte_is_noticed(tmp_path: Path, structure: str) -> None:
    volume = write_volume(tmp_path / "volume", Fat(VOLUME, 32), DAMAGED)
    sound = everything(volume)
    start, positions = starts(volume.read_bytes())[structure]

    def noticed() -> bool:
        if complaints(volume) or everything(volume) != sound:
            return True
        return contents(volume) != expected(DAMAGED)

    assert not noticed()
    for seed in range(6):
        position = positions[int(Digest.of(f"{structure} {seed}".encode()).hex, 16) % len(positions)]
        with damaged(volume, start + position):
            assert noticed(), f"byte {position} of {structure}"


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("bits", [12, 16, 32])
def test_pieces_are_in_order_and_all_that_is_read_is_seen(tmp_path: Path, bits: int, observed: bool) -> None:
    whole = noise(600_000) + bytes(300_000) + b"end"
    (tmp_path / "source").write_bytes(whole)
    sizes = (900_003, 0, 5, 70_000, 300_000, 900_001)
    entries: list[Entry] = [File(b"%d" % n, Slice(str(tmp_path / "source"), 0, size)) for n, size in enumerate(sizes)]
    seen = bytearray()
    with Reader() as reader:
        plan = Fat(VOLUME, bits).prepare(tree_of(entries), reader).plan(40 * MIB)
        reader.observe(seen.extend if observed else None)
        end = 0
        for piece in plan.pieces(reader):
            assert piece.offset >= end
            end = piece.offset + (len(piece.data) if isinstance(piece, Bytes) else piece.size)
    assert seen == (b"".join(whole[:size] for size in sizes) if observed else b"")


def test_entries_are_in_the_order_of_the_tree(tmp_path: Path) -> None:
    said = listing(write_volume(tmp_path / "volume", Fat(VOLUME), BOOT))
    assert said.index("vmlinuz") > said.index("loader") > said.index("EFI")
