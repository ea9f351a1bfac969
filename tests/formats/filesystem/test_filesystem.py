"""What all file systems share, and what any writer of them must do."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from formats.filesystem import FileSystem, TooSmallError, Volume, guessed_size, size_with_space
from formats.filesystem.ext4 import Ext4
from formats.filesystem.iso9660 import Iso9660
from formats.filesystem.pieces import Bytes, Copy, write_pieces
from layers.digest import Digest
from layers.entry import Data, Device, DeviceKind, Directory, Entry, File, Meta, Slice, Symlink
from layers.errors import ChangedError, EntryError
from layers.output import OutputError, PendingFile
from layers.reader import Reader
from layers.verify import CorruptError, verified
from tests.layers.test_verify import item_of, on_disk
from tests.support.entries import noise
from tests.support.nars import TREE, dump, make
from tests.support.processes import memory_disk, needs_root
from tests.support.volumes import GIB, MIB, VOLUME, tree_of, write_ext4


@pytest.mark.parametrize(("minimum", "guess"), [(1, MIB), (MIB, 2 * MIB), (4 * MIB, 5 * MIB), (4 * MIB + 1, 6 * MIB)])
def test_a_guessed_size_has_a_quarter_to_spare(minimum: int, guess: int) -> None:
    assert guessed_size(minimum) == guess


def test_space_is_added_in_whole_mebibytes() -> None:
    assert size_with_space(MIB + 1, 512 * MIB) == 514 * MIB


def test_identifiers_derive_from_the_identity_and_the_role() -> None:
    volume = Volume(Digest.of(b"x"), 1)
    found = {volume.identifier("a"), volume.identifier("b"), Volume(Digest.of(b"y"), 1).identifier("a")}
    assert len(found) == 3
    assert {(uuid.version, uuid.variant) for uuid in found} == {(8, "specified in RFC 4122")}
    assert Volume(Digest.of(b"x"), 2, "label").identifier("a") == volume.identifier("a")
    given = UUID("12345678-1234-5678-1234-567812345678")
    assert Volume(Digest.of(b"x"), 1, uuid=given).identifier("a") == given


def test_a_volume_that_is_too_small_says_how_much_it_needs() -> None:
    error = TooSmallError(3 * MIB, 5 * MIB + 1)
    assert str(error) == (
        "the file system has 3145728 bytes, which is 2097153 too few\n"
        "  Give it at least 5242881 bytes (6 MiB), and more for what will be added."
    )
    assert error.exit_code == 2


def test_pieces_go_where_they_belong_and_the_rest_takes_no_room(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(noise(3 * MIB))
    copy = Copy(4 * MIB, Slice(str(tmp_path / "source"), 10, 2 * MIB), 5, MIB)
    with Reader() as reader, PendingFile(str(tmp_path)) as output:
        write_pieces([Bytes(8192, b"begin"), copy], output, 4096, GIB, reader)
        output.publish("volume")
    with open(tmp_path / "volume", "rb") as file:
        assert file.read(12288 + 10) == bytes(12288) + b"begin" + bytes(5)
        file.seek(4 * MIB + 4096)
        assert file.read(MIB + 1) == noise(3 * MIB)[15 : MIB + 15] + b"\0"
    status = (tmp_path / "volume").stat()
    assert status.st_size == GIB + 4096
    assert status.st_blocks * 512 < 2 * MIB


def test_pieces_come_in_the_order_of_their_offsets(tmp_path: Path) -> None:
    entries = [File(b"%04d" % number, Data(noise(number * 37))) for number in range(700)]
    with Reader() as reader:
        offsets, end = [], 0
        for piece in Ext4(VOLUME).prepare(tree_of(entries), reader).plan(300 * MIB).pieces(reader):
            assert piece.offset >= end
            end = piece.offset + (len(piece.data) if isinstance(piece, Bytes) else piece.size)
            offsets.append(piece.offset)
    assert len(offsets) > 10


@pytest.mark.parametrize("kind", [Ext4, Iso9660])
@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (Directory(b"d", Meta(0o755, 99999999999, 0)), "/d belongs to 99999999999:0: ids end at 4294967294"),
        (File(b"d", meta=Meta(0o644, 0, (1 << 32) - 1)), "/d belongs to 0:4294967295: ids"),
        (Symlink(b"d", b"x", Meta(0o777, -1)), "/d belongs to -1:0: ids"),
        (Device(b"d", DeviceKind.BLOCK, 0x1000, 3), "/d is the device 4096:3: numbers of devices end at 4095:1048575"),
        (Device(b"d", DeviceKind.CHARACTER, 1, 1 << 20), "/d is the device 1:1048576: numbers"),
        (Device(b"d", DeviceKind.BLOCK, -1, 0), "/d is the device -1:0: numbers"),
    ],
)
def test_numbers_that_linux_has_not_are_refused(kind: Callable[[Volume], FileSystem], entry: Entry, said: str) -> None:
    with Reader() as reader, pytest.raises(EntryError, match=said):
        kind(VOLUME).prepare(tree_of([entry]), reader)


@pytest.mark.parametrize("kind", [Ext4, Iso9660])
def test_the_last_numbers_are_taken(kind: Callable[[Volume], FileSystem]) -> None:
    meta = Meta(0o600, (1 << 32) - 2, (1 << 32) - 2)
    entries: list[Entry] = [Device(b"d", DeviceKind.BLOCK, 0xFFF, 0xFFFFF, meta), File(b"f", meta=meta)]
    with Reader() as reader:
        prepared = kind(replace(VOLUME, root=replace(meta, mode=0o755))).prepare(tree_of(entries), reader)
        assert list(prepared.plan(16 * MIB).pieces(reader))


def verified_volume(folder: Path, entries: list[Entry], nar: bytes, folder_of_output: Path) -> None:
    """A volume with an item in it, compared with its NAR in the pass that writes it."""
    items = {item_of(nar).path[1:].encode(): item_of(nar)}
    with Reader() as reader, PendingFile(str(folder_of_output)) as output:
        plan = Ext4(VOLUME).prepare(tree_of(entries), reader).plan(64 * MIB)
        through = partial(verified, reader=reader, items=items)
        write_pieces(plan.pieces(reader, through), output, 0, plan.size, reader)
        output.publish("volume", durable=False)


@pytest.mark.parametrize("extra", [b"", noise(2 * MIB), b"x" + bytes(300_000) + b"x" + bytes(300_000)])
def test_items_are_verified_while_they_are_written(tmp_path: Path, extra: bytes) -> None:
    # Many of a size that is hashed where it was read, so that a buffer that is used again is noticed.
    more = {b"zz%02d" % number: b"%02d" % number * 125_000 for number in range(30)} | {b"zzz": extra}
    make(tmp_path / "tree", {**TREE, **more})
    entries = sliced(tmp_path / "tree", more)
    nar = dump(tmp_path / "tree")
    verified_volume(tmp_path, entries, nar, tmp_path)
    plain = write_ext4(tmp_path / "plain", entries, 64 * MIB)
    assert (tmp_path / "volume").read_bytes() == plain.read_bytes()
    with pytest.raises(CorruptError):
        verified_volume(tmp_path, entries, nar[:-100] + b"x" + nar[-99:], tmp_path)


def sliced(folder: Path, more: dict[bytes, bytes]) -> list[Entry]:
    root = b"nix/store/item"
    files = [File(root + b"/" + name, Slice(str(folder / name.decode()), 0, len(data))) for name, data in more.items()]
    return [*on_disk(folder, root), *files]


def test_a_file_that_changes_after_it_was_looked_at_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" + bytes(300_000))
    with Reader() as reader:
        plan = Ext4(VOLUME).prepare(tree_of([File(b"a", Slice(str(source), 0, 300_001))]), reader).plan(MIB)
    source.write_bytes(b"x" * 300_001)
    with Reader() as reader, pytest.raises(ChangedError, match="was written to"):
        list(plan.pieces(reader))


@needs_root
@pytest.mark.parametrize("size", ["100k", "500k", "2m"])
def test_a_full_disk_is_told_and_leaves_nothing_behind(tmp_path: Path, size: str) -> None:
    (tmp_path / "source").write_bytes(noise(3 * MIB))
    entries = [
        File(b"large", Slice(str(tmp_path / "source"), 0, 3 * MIB)),
        *(File(b"small/%d" % number, Slice(str(tmp_path / "source"), number, 5000)) for number in range(100)),
    ]
    with memory_disk(tmp_path / "disk", f"size={size}") as folder:
        with pytest.raises(OutputError, match="No space left"):
            write_ext4(folder / "volume", entries)
        assert list(folder.iterdir()) == []
