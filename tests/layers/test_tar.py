"""Run as a program (`python -m tests.layers.test_tar`), it writes the golden listing of this profile anew."""

import io
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from layers.digest import Digest
from layers.entry import FILE, Data, Device, DeviceKind, Directory, Entry, File, Hardlink, Meta, Slice, Symlink
from layers.errors import EntryError
from layers.reader import Reader
from layers.tar import CHUNK, PROFILE, TarWriter
from tests.oracle.tar_listing import READERS, Member, by_bsdtar_without_times, by_gnu_tar, by_tarfile, without_xattrs
from tests.support.entries import ALL_KINDS, CAPABILITY, noise, tar_of
from tests.support.processes import needs_root

GOLDEN = Path(__file__).parent / "golden" / f"tar-profile-{PROFILE}.txt"

_KINDS = {DeviceKind.CHARACTER: "c", DeviceKind.BLOCK: "b", DeviceKind.FIFO: "p"}


def expected(entries: tuple[Entry, ...], epoch: int = 1) -> list[Member]:
    """What readers have to list, from the entries alone."""
    files = {entry.path: entry for entry in entries if isinstance(entry, File)}
    members = []
    for entry in entries:
        kind, size, target, device = "-", 0, b"", (0, 0)
        meta = files[entry.target].meta if isinstance(entry, Hardlink) else entry.meta
        if isinstance(entry, File):
            size = entry.content.size
        elif isinstance(entry, Directory):
            kind = "d"
        elif isinstance(entry, Symlink | Hardlink):
            kind, target = "l" if isinstance(entry, Symlink) else "h", entry.target
        else:
            kind, device = _KINDS[entry.kind], (entry.major, entry.minor)
        xattrs = tuple((name.decode(), len(value)) for name, value in meta.xattrs if name.startswith(b"user."))
        members.append(Member(kind, entry.path, meta.mode, meta.uid, meta.gid, epoch, size, target, device, xattrs))
    return members


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tar") / "all-kinds.tar"
    path.write_bytes(tar_of(ALL_KINDS))
    return path


@pytest.mark.parametrize("reader", READERS)
def test_readers_see_what_was_given(reader: str, archive: Path) -> None:
    wanted = expected(ALL_KINDS)
    assert READERS[reader](archive) == (without_xattrs(wanted) if reader == "bsdtar" else wanted)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("epoch", [0, 1, 1790000000, 8589934591, 8589934592])
def test_every_entry_has_the_epoch(reader: str, epoch: int, tmp_path: Path) -> None:
    entries: tuple[Entry, ...] = (Directory(b"d"), File(b"d/" + b"f" * 200, Data(b"x")), Symlink(b"l", b"d"))
    (tmp_path / "tar").write_bytes(tar_of(entries, epoch))
    assert READERS[reader](tmp_path / "tar") == expected(entries, epoch)


def test_contents_are_read_back(archive: Path) -> None:
    wanted = {
        os.fsdecode(entry.path): entry.content.data
        for entry in ALL_KINDS
        if isinstance(entry, File) and isinstance(entry.content, Data)
    }
    with tarfile.open(archive, encoding="utf-8", errors="surrogateescape") as file:
        found = {info.name: _content(file, info) for info in file if info.isreg()}
    assert found == wanted


def _content(file: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    content = file.extractfile(info)
    assert content
    return content.read()


_EXTRACTORS = {
    "GNU tar": ["tar", "--xattrs", "--xattrs-include=*", "--numeric-owner", "--same-owner", "-xpf"],
    "bsdtar": ["bsdtar", "--xattrs", "--numeric-owner", "--same-owner", "-xpf"],
}


@needs_root
@pytest.mark.parametrize("extractor", _EXTRACTORS)
def test_unpacked_by_root_everything_is_as_given(extractor: str, archive: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    subprocess.run([*_EXTRACTORS[extractor], archive], cwd=tmp_path, check=True, capture_output=True, env=environment)
    for entry in ALL_KINDS:
        path = os.fsencode(tmp_path) + b"/" + entry.path
        status = os.lstat(path)
        if isinstance(entry, Hardlink):
            assert os.path.samefile(path, os.fsencode(tmp_path) + b"/" + entry.target)
            continue
        meta = entry.meta
        assert (status.st_uid, status.st_gid, status.st_mtime) == (meta.uid, meta.gid, 1), entry.path
        if isinstance(entry, Symlink):
            assert os.readlink(path) == entry.target
            continue
        assert stat.S_IMODE(status.st_mode) == meta.mode, entry.path
        # A copy of a file that has more than one name, or a layer above, must not lose them.
        assert {name: os.getxattr(path, name) for name in os.listxattr(path)} == {
            name.decode(): value for name, value in meta.xattrs
        }
        if isinstance(entry, File):
            assert isinstance(entry.content, Data)
            assert Path(os.fsdecode(path)).read_bytes() == entry.content.data
        elif isinstance(entry, Device):
            assert stat.S_IFMT(status.st_mode) == entry.kind.value
            assert (os.major(status.st_rdev), os.minor(status.st_rdev)) == (entry.major, entry.minor)
        else:
            assert stat.S_ISDIR(status.st_mode)


def test_two_runs_are_equal() -> None:
    assert tar_of(ALL_KINDS) == tar_of(ALL_KINDS)


def golden_text() -> str:
    """The listing and the digest of all kinds of entries."""
    data = tar_of(ALL_KINDS)
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8", errors="surrogateescape") as file:
        lines = [
            f"{info.offset:7} {info.type.decode()} {info.mode:05o} {info.uid} {info.gid} {info.size:5}"
            f" {info.name!a} {info.linkname!a} {sorted(info.pax_headers)}"
            for info in file
        ]
    return "\n".join([str(Digest.of(data)), *lines, ""])


def test_the_bytes_of_this_profile_are_golden() -> None:
    """A change of these bytes makes every layer new: count `PROFILE` up, then run this module as a program."""
    assert golden_text() == GOLDEN.read_text()


@pytest.mark.parametrize(
    ("size", "pieces"),
    [
        (0, [1536]),
        (CHUNK - 1536, [CHUNK]),  # header, content and end fill one piece to its last byte
        (CHUNK - 1535, [CHUNK, 512]),
        (CHUNK - 1024, [CHUNK, 512]),
        (CHUNK - 513, [CHUNK, 1024]),
        (CHUNK - 512, [CHUNK, 1024]),
        (CHUNK, [CHUNK, 1536]),
        (3 * CHUNK + 1, [CHUNK, CHUNK, CHUNK, 2048]),
    ],
)
@pytest.mark.parametrize("source", ["data", "slice"])
def test_pieces_are_whole_chunks_but_the_last(size: int, pieces: list[int], source: str, tmp_path: Path) -> None:
    content = noise(size)
    (tmp_path / "host").write_bytes(b"before" + content + b"after")
    given = Data(content) if source == "data" else Slice(str(tmp_path / "host"), 6, size)
    taken: list[bytearray] = []
    with Reader() as reader:
        writer = TarWriter(taken.append, 1, reader)
        writer.add(File(b"f", given))
        writer.close()
    assert [len(piece) for piece in taken] == pieces
    (tmp_path / "tar").write_bytes(b"".join(taken))
    with tarfile.open(tmp_path / "tar") as file:
        assert _content(file, file.getmembers()[0]) == content


def test_slices_and_data_give_the_same_bytes(tmp_path: Path) -> None:
    content = noise(CHUNK + 7)
    (tmp_path / "host").write_bytes(content)
    names = [b"a", b"b", b"c"]
    sliced = tar_of([File(name, Slice(str(tmp_path / "host"), 0, len(content))) for name in names])
    assert sliced == tar_of([File(name, Data(content)) for name in names])


def test_copied_slices_give_the_same_bytes(tmp_path: Path) -> None:
    host = tmp_path / "host"
    host.write_bytes(noise(3 * CHUNK))
    sizes = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK]
    entries = [File(b"f%d" % size, Slice(str(host), 3, size)) for size in sizes]
    out = bytearray()
    copied: list[int] = []

    def copy(content: Slice) -> None:
        copied.append(content.size)
        out.extend(host.read_bytes()[content.offset : content.offset + content.size])

    with Reader() as reader:
        writer = TarWriter(out.extend, 1, reader, copy)
        writer.add_all(entries)
        writer.close()
    assert bytes(out) == tar_of(entries)
    assert copied == [CHUNK, CHUNK + 1, 2 * CHUNK]


_LARGEST_OCTAL = 8 * 2**30 - 1


@pytest.mark.parametrize(
    ("size", "records", "field"),
    [
        (_LARGEST_OCTAL, False, b"77777777777\0"),
        (_LARGEST_OCTAL + 1, True, b"\x80" + (8 * 2**30).to_bytes(11, "big")),
        (2**40 + 3, True, b"\x80" + (2**40 + 3).to_bytes(11, "big")),
    ],
)
def test_a_large_size_is_one_number_for_all_readers(size: int, records: bool, field: bytes, tmp_path: Path) -> None:
    """The content is a hole: readers seek over it, and nobody writes it."""
    with open(tmp_path / "tar", "wb") as file, Reader() as reader:
        writer = TarWriter(file.write, 1, reader, copy=lambda content: file.seek(content.size, os.SEEK_CUR))
        large = File(b"large", Slice("/nowhere", 0, size))
        writer.add_all([large, File(b"after", Data(b"x"))])
        writer.close()
    with open(tmp_path / "tar", "rb") as file:
        head = file.read(2048)
    header = head[1024:1536] if records else head[:512]
    assert (b" size=%d\n" % size in head[:1024]) == records
    assert header[124:136] == field
    assert tarfile.TarInfo.frombuf(header, "utf-8", "strict").size == size
    entries = (large, File(b"after", Data(b"x")))
    assert by_tarfile(tmp_path / "tar") == by_gnu_tar(tmp_path / "tar") == expected(entries)
    assert by_bsdtar_without_times(tmp_path / "tar") == expected(entries, 0)


@pytest.mark.parametrize("uid", [0, 2097151, 2097152, 2**31, 2**32 - 2])
def test_a_large_owner_is_one_number_for_all_readers(uid: int) -> None:
    data = tar_of([File(b"f", meta=Meta(0o644, uid, uid))])
    records = uid > 2097151
    assert (b" uid=%d\n" % uid in data[:1024]) == (b" gid=%d\n" % uid in data[:1024]) == records
    header = tarfile.TarInfo.frombuf(data[1024:1536] if records else data[:512], "utf-8", "strict")
    assert (header.uid, header.gid) == (uid, uid)


@pytest.mark.parametrize(("epoch", "records"), [(_LARGEST_OCTAL, False), (_LARGEST_OCTAL + 1, True)])
def test_a_late_epoch_is_one_number_for_all_readers(epoch: int, records: bool) -> None:
    data = tar_of([File(b"f")], epoch)
    assert (b" mtime=%d\n" % epoch in data[:1024]) == records
    assert tarfile.TarInfo.frombuf(data[1024:1536] if records else data[:512], "utf-8", "strict").mtime == epoch


def test_xattrs_are_written_to_the_letter() -> None:
    data = tar_of([File(b"f", meta=Meta(0o755, xattrs=((b"security.capability", CAPABILITY),)))])
    assert b"57 SCHILY.xattr.security.capability=" + CAPABILITY + b"\n" in data[512:1024]


@pytest.mark.parametrize("length", [*range(1, 12), *range(80, 100), *range(975, 995), *range(9960, 9995)])
def test_records_count_their_own_length(length: int) -> None:
    """The number of digits changes at 10, 100, 1000 and 10000 bytes."""
    data = tar_of([File(b"f", meta=Meta(0o644, xattrs=((b"user.x", b"v" * length),)))])
    record, _, _ = data[512:].partition(b"\0")
    number, _, _ = record.partition(b" ")
    assert int(number) == len(record)


@pytest.mark.parametrize("name", [b"user.a=b", b"user.a\nb", b"user.a\0b", b""])
def test_names_of_xattrs_that_readers_take_apart_are_refused(name: bytes) -> None:
    with pytest.raises(EntryError, match="extended attribute"):
        tar_of([File(b"f", meta=Meta(0o644, xattrs=((name, b""),)))])


@pytest.mark.parametrize(
    "entries",
    [
        [Hardlink(b"b", b"a")],
        [Hardlink(b"a", b"b"), File(b"b")],
        [Directory(b"a"), Hardlink(b"b", b"a")],
        [Symlink(b"a", b"x"), Hardlink(b"b", b"a")],
        [File(b"a"), Hardlink(b"b", b"a"), Hardlink(b"c", b"b")],
        [Hardlink(b"a", b"a")],
    ],
    ids=["missing", "later", "folder", "symlink", "hard link", "itself"],
)
def test_a_hard_link_needs_an_earlier_file(entries: list[Entry]) -> None:
    with pytest.raises(EntryError, match="does not come before it"):
        tar_of(entries)


@pytest.mark.parametrize(("major", "minor"), [(2**21, 0), (0, 2**21)])
def test_a_device_number_without_room_is_refused(major: int, minor: int) -> None:
    with pytest.raises(EntryError, match="no room"):
        tar_of([Device(b"d", DeviceKind.BLOCK, major, minor)])


def test_headers_have_no_names() -> None:
    data = tar_of(ALL_KINDS)
    headers = [data[at : at + 512] for at in range(0, len(data), 512) if data[at + 257 : at + 265] == b"ustar\x0000"]
    assert len(headers) > len(ALL_KINDS)
    assert {header[265:329] for header in headers} == {bytes(64)}  # uname, gname


def test_the_end_is_two_empty_blocks() -> None:
    assert tar_of([]) == bytes(1024)
    data = tar_of([File(b"f", Data(b"x"), FILE)])
    assert len(data) == 4 * 512
    assert data[-1024:] == bytes(1024)


if __name__ == "__main__":
    GOLDEN.write_text(golden_text())


@pytest.mark.parametrize(
    ("path", "prefix", "name"),
    [
        (b"a" * 100, b"", b"a" * 100),
        (b"p" * 155 + b"/" + b"n" * 100, b"p" * 155, b"n" * 100),
        (b"p" * 50 + b"/" + b"n" * 99, b"p" * 50, b"n" * 99),
        (b"p/" + b"q" * 60 + b"/" + b"n" * 60, b"p/" + b"q" * 60, b"n" * 60),
        (b"\xff" * 150 + b"/n", b"\xff" * 150, b"n"),
    ],
)
def test_long_paths_are_cut_at_a_slash(path: bytes, prefix: bytes, name: bytes) -> None:
    header = tar_of([File(path)])[:512]
    assert (header[345:500].rstrip(b"\0"), header[:100].rstrip(b"\0"), header[156:157]) == (prefix, name, b"0")


@pytest.mark.parametrize(
    "path", [b"n" * 101, b"p" * 156 + b"/n", b"p/" + b"n" * 101, b"p" * 155 + b"/" + b"n" * 101], ids=len
)
def test_long_paths_that_cannot_be_cut_have_a_record(path: bytes) -> None:
    assert tar_of([File(path)])[156:157] == b"x"


def test_a_folder_whose_name_just_does_not_fit_is_cut_before_its_last_slash() -> None:
    header = tar_of([Directory(b"p" * 60 + b"/" + b"n" * 99)])[:512]
    assert (header[345:500].rstrip(b"\0"), header[:100]) == (b"p" * 60, b"n" * 99 + b"/")
