"""Volumes grow: they have what resize2fs and the kernel need for it."""

import os
from pathlib import Path

import pytest

from formats.filesystem.ext4.features import EXT2, EXT3, EXT4
from tests.oracle.ext4 import complaints, expected, header, mounted, run, seen
from tests.support.entries import ALL_KINDS
from tests.support.processes import needs_root
from tests.support.volumes import MIB, VOLUME, tree_of, write_ext4

KINDS = {
    "ext4": EXT4,
    "ext4-for-u-boot": EXT4.changed("^metadata_csum,^64bit"),
    "ext4-without-reserve": EXT4.changed("^resize_inode"),
    "ext3": EXT3,
    "ext2": EXT2,
}


@needs_root
@pytest.mark.parametrize("size", [None, 16 * MIB, 200 * MIB])
@pytest.mark.parametrize("kind", KINDS)
def test_a_volume_grows_fourfold_while_nobody_uses_it(tmp_path: Path, kind: str, size: int | None) -> None:
    volume = write_ext4(tmp_path / "volume", ALL_KINDS, size, KINDS[kind])
    larger = volume.stat().st_size * 4
    os.truncate(volume, larger)
    run("resize2fs", "-f", volume)
    assert complaints(volume) == ""
    assert int(header(volume)["Block count"]) * 4096 > larger * 0.9
    with mounted(volume) as place:
        assert seen(place) == expected(tree_of(ALL_KINDS), VOLUME.epoch)


@needs_root
@pytest.mark.parametrize("kind", KINDS)
def test_a_mounted_volume_can_be_written_to(tmp_path: Path, kind: str) -> None:
    volume = write_ext4(tmp_path / "volume", ALL_KINDS, 64 * MIB, KINDS[kind])
    with mounted(volume, "rw") as place:
        for number in range(2000):
            (place / "names" / f"new-{number}").write_text("new")
        (place / "blocks" / "513").unlink()
        os.setxattr(place / "metas" / "xattrs", "user.long", b"w" * 3000)
        (place / "large").write_bytes(b"x" * 10 * MIB)
    assert complaints(volume) == ""
