"""Several file systems in one tree: where fstab has them, and where it has not."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from uuid import UUID

import pytest

from formats.filesystem import FileSystem, Volume
from formats.filesystem.ext4 import Ext4
from formats.filesystem.fat import Fat
from formats.filesystem.swap import Swap
from formats.partition import Disk, Partition, gpt
from formats.partition.types import ESP, LINUX, SWAP, PartitionType
from layers.digest import Digest
from layers.entry import Data, Directory, Entry, File, Hardlink
from packer.inspection.inspection import Inspection
from tests.support.disks import IDENTITY, write_disk
from tests.support.inspections import inspected
from tests.support.volumes import MIB, write_volume

_UUID = UUID("01234567-89ab-cdef-0123-456789abcdef")
_PART_UUID = UUID("fedcba98-7654-3210-fedc-ba9876543210")


def _volume(label: str) -> Volume:
    return Volume(Digest.of(label.encode()), 1, label, _UUID if label == "data" else None)


_KINDS: Mapping[str, tuple[Callable[[Volume], FileSystem], PartitionType]] = {
    "ext4": (Ext4, LINUX), "fat": (Fat, ESP), "swap": (Swap, SWAP),
}  # fmt: skip


def _disk(folder: Path, *volumes: tuple[str, str, Iterable[Entry]]) -> Inspection:
    """A disk with volumes: kind, label, and what is in it."""
    partitions, parts, start = [], [], MIB
    for number, (kind, label, entries) in enumerate(volumes):
        make, kind_of_partition = _KINDS[kind]
        path = write_volume(folder / f"volume {number}", make(_volume(label)), entries, 8 * MIB)
        parts.append((start, path.read_bytes()))
        uuid = _PART_UUID if label == "data" else None
        partitions.append(Partition(f"part {label}", start, 8 * MIB, kind_of_partition, uuid=uuid))
        start += 8 * MIB
    path = write_disk(folder / "disk", gpt, Disk(IDENTITY, start + MIB, partitions))
    with open(path, "r+b") as file:
        for offset, data in parts:
            file.seek(offset)
            file.write(data)
    return inspected(path)


def _fstab(text: str) -> list[Entry]:
    return [File(b"etc/fstab", Data(text.encode())), Directory(b"srv")]


def _paths(found: Inspection) -> set[str]:
    return {path.decode() for path in found.tree.nodes}


@pytest.mark.parametrize(
    "device",
    [
        f"UUID={_UUID}", f"UUID={str(_UUID).upper()}", f"/dev/disk/by-uuid/{_UUID}", "LABEL=data", 'LABEL="data"',
        f"PARTUUID={_PART_UUID}", "/dev/disk/by-partlabel/part\\040data", "PARTLABEL=part\\040data",
    ],
)  # fmt: skip
def test_fstab_says_where_it_is(tmp_path: Path, device: str) -> None:
    root = ("ext4", "root", _fstab(f"# a comment\n\nLABEL=root / ext4 defaults 0 1\n{device} /srv ext4 defaults\n"))
    found = _disk(tmp_path, ("ext4", "data", [File(b"a/file", Data(b"it"))]), root)
    assert _paths(found) == {"etc", "etc/fstab", "srv", "srv/a", "srv/a/file"}
    assert found.mounts == (b"srv", b"")
    assert found.notes == ()
    assert {path: placed.layer for path, placed in found.tree.nodes.items()}[b"srv/a/file"] == 0


@pytest.mark.parametrize(
    "line",
    ["/dev/sda2 /srv", "LABEL=other /srv", "LABEL=data none", "LABEL=data", "LABEL=data /", "LABEL=data /../x", ""],
)
def test_fstab_does_not_say_where_it_is(tmp_path: Path, line: str) -> None:
    found = _disk(tmp_path, ("ext4", "root", _fstab(line)), ("ext4", "data", [File(b"file", Data(b"it"))]))
    assert _paths(found) == {"etc", "etc/fstab", "srv", "partition-2", "partition-2/file"}
    assert found.notes == ("/etc/fstab does not say where partition 2 is: it is shown at /partition-2",)


def test_what_is_mounted_hides_what_was_there(tmp_path: Path) -> None:
    """And what is hidden may have another name elsewhere."""
    root = [
        *_fstab("LABEL=ESP /boot/efi vfat\nLABEL=data /boot ext4\n"),
        File(b"boot/efi/hidden", Data(b"12345")),
        File(b"boot/file", Data(b"1234567")),
        Hardlink(b"link", b"boot/file"),
    ]
    esp = [File(b"EFI/BOOT/BOOTX64.EFI", Data(b"MZ"))]
    data = [File(b"efi/hidden too", Data(b"123")), File(b"kernel", Data(b"k"))]
    found = _disk(tmp_path, ("fat", "ESP", esp), ("ext4", "root", root), ("ext4", "data", data))
    shown = {"boot", "boot/efi", "boot/efi/EFI", "boot/efi/EFI/BOOT", "boot/efi/EFI/BOOT/BOOTX64.EFI", "boot/kernel"}
    assert _paths(found) == {"etc", "etc/fstab", "srv", "link", *shown}
    assert found.tree.hidden == 5 + 7 + 3
    link = found.tree.nodes[b"link"].node
    assert (link.size, link.same_as) == (7, b"")


@pytest.mark.parametrize(
    ("first", "second", "mounts"),
    [
        (b"data", b"etc/passwd", (b"partition-1", b"")),
        (b"nix/store/x", b"etc/passwd", (b"partition-1", b"")),
        (b"data", b"gnu/store/x", (b"partition-1", b"")),
        (b"data", b"more", (b"partition-1", b"partition-2")),
    ],
)
def test_which_is_the_root(tmp_path: Path, first: bytes, second: bytes, mounts: tuple[bytes, bytes]) -> None:
    found = _disk(tmp_path, ("ext4", "first", [File(first)]), ("ext4", "second", [File(second)]))
    assert found.mounts == mounts


def test_the_only_one_is_the_root(tmp_path: Path) -> None:
    found = _disk(tmp_path, ("swap", "swap", []), ("ext4", "data", [File(b"file")]))
    assert (found.mounts, found.notes) == ((None, b""), ())
    assert found.artefact.disk
    swap = found.artefact.disk.partitions[0]
    assert (swap.file_system, swap.label) == ("swap", "swap")
    assert swap.uuid


def test_items_and_users_of_another_partition(tmp_path: Path) -> None:
    status = "Package: bash\nStatus: install ok installed\nVersion: 5\nArchitecture: all\n\n"
    var = [File(b"lib/dpkg/status", Data(status.encode())), File(b"lib/dpkg/info/bash.list", Data(b"/bin/bash\n"))]
    root = [*_fstab("LABEL=var /var ext4"), File(b"bin/bash", Data(b"bash"))]
    found = _disk(tmp_path, ("ext4", "var", var), ("ext4", "root", root))
    assert list(found.items.all) == ["bash_5_all"]
    assert found.items.owners[b"bin/bash"].name == "bash"
