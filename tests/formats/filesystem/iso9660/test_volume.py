"""Whole volumes, read by xorriso, libarchive, isoinfo, blkid, GRUB and Linux."""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from formats.filesystem import TooSmallError
from formats.filesystem.iso9660 import Iso9660
from formats.filesystem.iso9660.structures import short_time
from formats.filesystem.iso9660.volume_date import VolumeDate
from formats.identifiers import derived_uuid
from layers.digest import Digest
from layers.entry import Data, Entry, File, Meta, Slice, Symlink
from layers.errors import InputError, PackError
from layers.reader import Reader
from tests.formats.filesystem.iso9660.trees import (
    LARGE_DEVICE,
    READ_BY_ISOINFO,
    READ_BY_LIBARCHIVE,
    READ_BY_XORRISO,
    TREES,
)
from tests.oracle import linux
from tests.oracle.ext4 import Seen, expected, seen
from tests.oracle.iso9660 import (
    by_grub,
    extracted_by_tar,
    extracted_by_xorriso,
    header,
    identifiers,
    identity,
    is_sound,
    paths_by_isoinfo,
)
from tests.support.processes import needs_root
from tests.support.volumes import VOLUME, tree_of, write_volume

ISO = Iso9660(VOLUME)

#: Linux looks for a file by reading its folder from the start: 10,000 would take minutes.
WHICH = {"many": "-name '*00.txt'"}

Mounted = tuple[dict[str, dict[bytes, Seen]], list[bytes]]


def without(found: dict[bytes, Seen], *, xattrs: bool = True) -> dict[bytes, Seen]:
    """What was seen, but for times, and for extended attributes if they are not wanted."""
    return {
        path: replace(one, times=(0.0, 0.0, 0.0), xattrs=one.xattrs if xattrs else ()) for path, one in found.items()
    }


def readable(entries: list[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.path != LARGE_DEVICE]


@needs_root
@pytest.mark.parametrize("name", sorted(READ_BY_XORRISO))
def test_what_xorriso_extracts_is_the_tree(tmp_path: Path, name: str) -> None:
    entries = readable(TREES[name])
    volume = write_volume(tmp_path / "volume", ISO, entries)
    assert is_sound(volume)
    found = seen(extracted_by_xorriso(volume, tmp_path / "extracted"))
    assert without(found) == without(expected(tree_of(entries), 0))


@needs_root
@pytest.mark.parametrize("name", sorted(READ_BY_LIBARCHIVE))
def test_what_libarchive_extracts_is_the_tree(tmp_path: Path, name: str) -> None:
    entries = readable(TREES[name])
    volume = write_volume(tmp_path / "volume", ISO, entries)
    found = seen(extracted_by_tar(volume, tmp_path / "extracted"))
    assert {one.times[1] for one in found.values()} <= {VOLUME.epoch}
    assert without(found) == without(expected(tree_of(entries), 0), xattrs=False)


@pytest.mark.parametrize("name", sorted(READ_BY_ISOINFO))
def test_what_isoinfo_lists_is_the_tree(tmp_path: Path, name: str) -> None:
    volume = write_volume(tmp_path / "volume", ISO, TREES[name])
    paths = sorted(b"/" + entry.path + b"\n" for entry in tree_of(TREES[name]))
    said = paths_by_isoinfo(volume)
    assert all(b"\n" + path in b"\n" + said for path in paths)
    assert len(said) == len(b"".join(paths))
    assert int(header(volume)["Volume size is"]) * 2048 == volume.stat().st_size


def test_names_of_255_bytes_are_whole(tmp_path: Path) -> None:
    """Though Linux would cut off their last two, for which reason images are made without such names."""
    names = [b"f" * 255, b"d" * 255, b"d" * 255 + b"/" + b"s" * 255]
    volume = write_volume(tmp_path / "volume", ISO, [File(names[0], Data(b"x")), File(names[2], Data(b"y"))])
    assert set(paths_by_isoinfo(volume).splitlines()) == {b"/" + name for name in names}
    for read in (extracted_by_xorriso, extracted_by_tar):
        folder = read(volume, tmp_path / read.__name__)
        assert {os.fsencode(path.relative_to(folder)) for path in folder.rglob("*")} == set(names)


@pytest.mark.parametrize("name", TREES)
def test_identifiers_are_unique_and_short(tmp_path: Path, name: str) -> None:
    paths = identifiers(write_volume(tmp_path / "volume", ISO, TREES[name]))
    assert len(set(paths)) == len(paths) == len(tree_of(TREES[name]))
    for path in paths:
        base, _, extension = os.path.basename(path).removesuffix(";1").partition(".")
        assert 0 < len(base) <= 8 and len(extension) <= 3
        assert set(base + extension) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


@pytest.fixture(scope="module")
def seen_by_linux(tmp_path_factory: pytest.TempPathFactory, debian_linux: linux.Linux) -> Iterator[Mounted]:
    """All trees, as Linux sees them."""
    folder = tmp_path_factory.mktemp("linux")
    volumes = {
        name: linux.Volume(write_volume(folder / name, ISO, entries), WHICH.get(name, ""))
        for name, entries in TREES.items()
    }
    answers = debian_linux.look_at(volumes, folder)
    yield {name: linux.seen(answers, name) for name in volumes}, answers["many.names"].splitlines()


def shown(path: bytes) -> bytes:
    """As Linux shows it: with no more than 253 bytes of a name."""
    return b"/".join(name[:253] for name in path.split(b"/"))


@pytest.mark.parametrize("name", TREES)
def test_what_linux_mounts_is_the_tree(seen_by_linux: Mounted, name: str) -> None:
    found, names = seen_by_linux
    wanted = {shown(path): one for path, one in expected(tree_of(TREES[name]), VOLUME.epoch).items()}
    if name == "many":
        assert sorted(names) == sorted([b".", *(b"./" + path for path in wanted)])
        wanted = {path: one for path, one in wanted.items() if path.endswith(b"00.txt")}
    assert found[name] == {path: replace(one, xattrs=()) for path, one in wanted.items()}


def test_grub_reads_the_same_bytes(tmp_path: Path) -> None:
    entries = [*TREES["sizes"], *TREES["holes"], *TREES["deep"], *TREES["many"][::1000]]
    volume = write_volume(tmp_path / "volume", ISO, entries)
    for entry in entries:
        assert isinstance(entry, File) and isinstance(entry.content, Data)
        assert by_grub(volume, f"/{entry.path.decode()}") == entry.content.data


@pytest.mark.parametrize("uuid", [None, UUID("1234abcd-0000-0000-0000-000000000000")])
def test_names_and_identifiers_are_in_the_descriptor(tmp_path: Path, uuid: UUID | None) -> None:
    named = replace(VOLUME, label="GUIX_IMAGE", uuid=uuid)
    volume = write_volume(tmp_path / "volume", Iso9660(named), TREES["one-file"])
    found = identity(volume)
    assert (found["LABEL"], found["TYPE"]) == ("GUIX_IMAGE", "iso9660")
    assert found["UUID"] == str(VolumeDate.of(named.identifier("iso9660 date")))
    assert re.fullmatch(r"1970-01-01-[012]\d-[0-5]\d-[0-5]\d-\d\d", found["UUID"])
    assert header(volume)["Volume id"] == "GUIX_IMAGE"


def test_other_contents_have_another_date() -> None:
    dates = {str(VolumeDate.of(derived_uuid(Digest.of(b"%d" % number), "date"))) for number in range(100)}
    assert len(dates) == 100


@pytest.mark.parametrize(("epoch", "year"), [(-(1 << 40), 0), (0, 70), (1_700_000_000, 123), (1 << 40, 255)])
def test_times_are_the_nearest_that_there_are(epoch: int, year: int) -> None:
    assert short_time(epoch)[0] == year
    assert short_time(1_700_000_001) == bytes((123, 11, 14, 22, 13, 21, 0))


@pytest.mark.parametrize("label", ["x" * 33, "Ä", "a\nb"])
def test_a_label_that_it_cannot_have_is_refused(label: str) -> None:
    with Reader() as reader, pytest.raises(InputError, match="label"):
        Iso9660(replace(VOLUME, label=label)).prepare(tree_of([]), reader)


def test_it_has_one_size(tmp_path: Path) -> None:
    with Reader() as reader:
        prepared = ISO.prepare(tree_of(TREES["sizes"]), reader)
        least = prepared.minimum_size()
        assert prepared.plan(least + 100_000).size == least
        with pytest.raises(TooSmallError) as caught:
            prepared.plan(least - 1)
    assert (caught.value.size, caught.value.needed) == (least - 1, least)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (Symlink(b"boot/link", b""), "/boot/link is a symbolic link to 0 bytes"),
        (Symlink(b"boot/link", b"t" * 4096), "/boot/link is a symbolic link to 4096 bytes"),
        (File(b"boot/large", Slice("/nonexistent", 0, 1 << 20)), "vanished"),
        (File(b"boot/x", meta=Meta(0o644, xattrs=((b"user.x", b"y" * 70_000),))), "/boot/x has more attributes"),
        (File(b"boot/x", meta=Meta(0o644, xattrs=((b"system.posix_acl_access", b"y"),))), "/boot/x: 79 is no access"),
    ],
)
def test_what_it_cannot_hold_is_named(entry: Entry, message: str) -> None:
    with Reader() as reader, pytest.raises(PackError, match=message):
        ISO.prepare(tree_of([entry]), reader)
