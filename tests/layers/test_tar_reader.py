"""Archives of other people's programs are read as they read them; what is not plain is refused."""

import io
import random
import subprocess
import tarfile
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from layers.entry import Data, Directory, File, Meta, Symlink
from layers.errors import PackError
from layers.tar_reader import ArchiveError, Header, Kind, PieceStream, TarReader
from tests.oracle.tar_listing import READERS, Member, by_gnu_tar
from tests.support.entries import ALL_KINDS, tar_of

_LETTERS = {
    Kind.FILE: "-", Kind.DIRECTORY: "d", Kind.SYMLINK: "l", Kind.HARDLINK: "h",
    Kind.CHARACTER: "c", Kind.BLOCK: "b", Kind.FIFO: "p",
}  # fmt: skip


def _stream(data: bytes, size: int = 1 << 16) -> PieceStream:
    return PieceStream(data[start : start + size] for start in range(0, len(data), size))


def _read(data: bytes) -> list[Header]:
    return list(TarReader(_stream(data), "it"))


def _member(header: Header) -> Member:
    xattrs = ((name.decode(), len(value)) for name, value in header.meta.xattrs if name.startswith(b"user."))
    return Member(
        _LETTERS[header.kind], header.path, header.meta.mode, header.meta.uid, header.meta.gid, header.mtime,
        header.size, header.target, header.device, tuple(xattrs),
    )  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
def test_our_archives_are_what_every_reader_sees(tmp_path: Path, reader: str) -> None:
    archive = tmp_path / "it.tar"
    archive.write_bytes(tar_of(ALL_KINDS, epoch=12345))
    found = [_member(header) for header in _read(archive.read_bytes())]
    expected = READERS[reader](archive)
    if reader == "bsdtar":  # its listing has no attributes
        found = [Member(**{**{f: getattr(m, f) for f in Member.__slots__}, "xattrs": ()}) for m in found]
    assert found == expected


@pytest.mark.parametrize(
    "options", ["--format=gnu", "--format=oldgnu", "--format=pax", "--format=ustar", "--format=v7"]
)
def test_gnu_tar_writes_what_we_read(tmp_path: Path, options: str) -> None:
    root = tmp_path / "root"
    (root / "folder" / ("f" * 90)).mkdir(parents=True)
    (root / "folder" / "empty").touch()
    (root / "folder" / "file").write_bytes(b"content" * 1000)
    (root / "folder" / "link").symlink_to("file")
    (root / "folder" / "hard").hardlink_to(root / "folder" / "file")
    if "v7" not in options:
        (root / "folder" / ("f" * 90) / ("g" * 60)).write_bytes(b"long")
    if options in ("--format=gnu", "--format=pax"):
        (root / "folder" / "target").symlink_to("t" * 150)
        (root / "folder" / ("h" * 200)).touch()
    archive = tmp_path / "it.tar"
    subprocess.run(["tar", options, "--mtime=@1", "-C", root, "-cf", archive, "folder"], check=True)
    found = [_member(header) for header in _read(archive.read_bytes())]
    assert found == by_gnu_tar(archive)
    assert len(found) >= 6


def test_contents_are_handed_on_in_order_or_skipped() -> None:
    data = tar_of([File(b"a", Data(b"1" * 100_000)), File(b"b", Data(b"2" * 70_000)), File(b"c", Data(b"3"))])
    reader = TarReader(_stream(data, 1000), "it")
    contents = {header.path: b"".join(reader.content()) for header in reader if header.path != b"b"}
    assert contents == {b"a": b"1" * 100_000, b"c": b"3"}


def _by_tarfile(members: Iterable[tuple[tarfile.TarInfo, bytes]], tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tar_format) as archive:
        for info, data in members:
            info.size = len(data) if info.isreg() else info.size
            archive.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return output.getvalue()


def _info(name: str = "file", **fields: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def test_times_before_1970_and_numbers_beyond_octal() -> None:
    infos = [(_info(mtime=-5, uid=1 << 30), b"")]
    for tar_format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        [header] = _read(_by_tarfile(infos, tar_format))
        assert (header.mtime, header.meta.uid) == (-5, 1 << 30)


def _header(**fields: Any) -> Callable[[], bytes]:
    return lambda: _by_tarfile([(_info(**fields), b"")])


def _patched(offset: int, data: bytes, *, checksum: bool = True) -> Callable[[], bytes]:
    """An archive whose first header has other bytes somewhere."""

    def made() -> bytes:
        archive = bytearray(tar_of([File(b"file", Data(b"x" * 600))]))
        archive[offset : offset + len(data)] = data
        if checksum:
            archive[148:156] = b" " * 8
            archive[148:156] = b"%06o\0 " % sum(archive[:512])
        return bytes(archive)

    return made


def _records(records: bytes, kind: bytes = b"x") -> Callable[[], bytes]:
    """An archive with pax records of its own."""

    def made() -> bytes:
        header = bytearray(tar_of([File(b"records", Data(records))]))
        header[156:157] = kind
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header[:512])
        return bytes(header[: 512 + len(records) + -len(records) % 512]) + tar_of([File(b"file", Data(b"x" * 600))])

    return made


def _labelled(name: bytes, size: int, path: bytes = b"file") -> File:
    return File(path, meta=Meta(0o644, xattrs=((name, path.ljust(size, b"x")[:size]),)))


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (lambda: b"", "the end of the archive is missing"),
        (lambda: bytes(100), "the end of the archive is missing"),
        (lambda: tar_of([File(b"file")])[:512], "the end of the archive is missing"),
        (lambda: tar_of([File(b"file", Data(b"x" * 600))])[:1000], "it ends within a file"),
        (lambda: tar_of([File(b"file")]) + b"x" * 512, "something follows the end"),
        (_patched(0, b"F", checksum=False), "wrong checksum"),
        (_patched(124, b"-0000000777\0"), "a size that is no number"),
        (_patched(124, b"00000000_77\0"), "a size that is no number"),
        (_patched(124, b"0o000000777\0"), "a size that is no number"),
        (_patched(124, b"\xff" * 12), "a size that is no number"),
        (_patched(124, b"\x80" + b"\xff" * 11), "a size that is no number"),
        (_patched(124, b"\x80" + bytes(4) + b"\x7f" + b"\xff" * 6), "it ends within a file"),
        (_patched(100, b"9999999\0"), "a mode that is no number"),
        (_patched(108, b"\x80" + b"\1" * 7), "the owner"),
        (_patched(0, bytes(4)), "a path of 0 bytes"),
        (_patched(0, b"../x"), "leads outside"),
        (_patched(0, b"a/../../b\0"), "leads outside"),
        (_patched(156, b"S"), "a sparse file"),
        (_patched(156, b"M"), "a member of type"),
        (_patched(156, b"2"), "a link of 600 bytes"),
        (_patched(156, b"5"), "a dir of 600 bytes"),
        (_patched(156, b"6"), "a fifo of 600 bytes"),
        (_header(type=tarfile.SYMTYPE), "a symbolic link to a path of 0 bytes"),
        (_header(type=tarfile.LNKTYPE), "a path of 0 bytes"),
        (_header(name="a" * 300 + "/" + "b" * 256), "longer than 255"),
        (_header(name="/".join(["a"] * 2100)), "a path of 4199 bytes"),
        (_records(b"11 path=a/b"), "records of pax"),
        (_records(b"99 path=a/b\n"), "records of pax"),
        (_records(b"-1 path=a/b\n"), "records of pax"),
        (_records(b"12 pathisa/b\n"), "records of pax"),
        (_records(b"12 path=a/b\n\0"), "records of pax"),
        (_records(b"14 path=a/..\0\n"), "leads outside"),
        (_records(b"11 size=-1\n"), "a size that is no number"),
        (_records(b"29 size=99999999999999999999\n"), "a size that is no number"),
        (_records(b"22 GNU.sparse.major=1\n"), "a sparse file"),
        (_records(b"13 mtime=1e9\n"), "a time that is no number"),
        (_records(b"12 path=a/b\n", b"g"), "a global header"),
        (_records(b"10 size=1\n", b"g"), "a global header"),
        (lambda: _records(b"12 path=a/b\n")()[:1024] * 9 + tar_of([File(b"x")]), "too many headers"),
        (_records(b"x" * (1 << 20) + b"x"), "an extended header of 1048577 bytes"),
        (lambda: tar_of([_labelled(b"user.a", 65537)]), "an attribute with a name of 6 bytes and 65537 bytes"),
        (lambda: tar_of([_labelled(b"a" * 256, 1)]), "an attribute with a name of 256 bytes and 1 bytes"),
    ],
)  # fmt: skip
def test_what_is_not_plain_is_refused(archive: Callable[[], bytes], message: str) -> None:
    with pytest.raises(PackError, match=message):
        _read(archive())


def test_attributes_may_be_as_large_as_linux_has_them() -> None:
    entry = _labelled(b"user." + b"a" * 250, 65536)
    assert [header.meta for header in _read(tar_of([entry]))] == [entry.meta]


def test_attributes_of_earlier_members_are_not_kept() -> None:
    members = (tar_of([_labelled(b"user.a", 65536, b"%d" % number)]) for number in range(300))
    stream = PieceStream(member[:-1024] if number < 299 else member for number, member in enumerate(members))
    tracemalloc.start()
    assert sum(1 for _ in TarReader(stream, "it")) == 300
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_equal_metas_are_one_object() -> None:
    one, other = _read(tar_of([_labelled(b"user.a", 1, b"xa"), _labelled(b"user.a", 1, b"xb")]))
    assert one.meta is other.meta


def test_a_global_comment_is_nobody_s_business() -> None:
    assert [header.path for header in _read(_records(b"17 comment=12345\n", b"g")())] == [b"file"]


def _mutations(count: int) -> Iterator[bytes]:
    chance = random.Random(7)
    entries = [*ALL_KINDS[:20], File(b"x", Data(b"x" * 700)), Symlink(b"l" * 120, b"t" * 120), Directory(b"d")]
    archive = tar_of(entries)
    headers = [at for at in range(0, len(archive), 512) if archive[at + 257 : at + 262] == b"ustar"]
    for _ in range(count):
        damaged = bytearray(archive)
        for _ in range(chance.randrange(1, 4)):
            at = chance.choice(headers) + chance.randrange(600)
            damaged[at : at + 1] = bytes([chance.choice((0, 0x20, 0x2F, 0x30, 0x37, 0x78, 0x80, 0xFF))])
        if chance.random() < 0.9:  # most get past the checksum
            for at in headers:
                damaged[at + 148 : at + 156] = b" " * 8
                damaged[at + 148 : at + 156] = b"%06o\0 " % sum(damaged[at : at + 512])
        yield bytes(damaged[: chance.randrange(len(damaged))] if chance.random() < 0.1 else damaged)


def test_damaged_archives_are_read_or_refused() -> None:
    refused = 0
    for archive in _mutations(6000):
        try:
            for header in _read(archive):
                assert b".." not in header.path.split(b"/")
                assert not header.path.startswith(b"/")
        except PackError:
            refused += 1
    assert 1000 < refused < 5900


def test_an_error_says_where() -> None:
    with pytest.raises(ArchiveError, match=r"^it is damaged, or not plain: .*, at byte 512$"):
        _read(_patched(100, b"x")())
