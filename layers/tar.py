r"""Entries to a deterministic tar stream.

The format is POSIX.1-2001 (pax), "pax Interchange Format" and "ustar Interchange Format" of IEEE Std 1003.1:

    +-----------------+  only when a field does not fit into ustar:
    | ustar header  x |  name ././@PaxHeader, size of the records
    | pax records     |  "LENGTH KEYWORD=VALUE\\n", padded to 512
    +-----------------+
    | ustar header    |  512 bytes, see _USTAR below
    | content         |  padded with zeros to 512
    +-----------------+
      ... next entry
    | 1024 zeros      |  end of archive

    ustar header:  0 name 100 | 100 mode 8 | 108 uid 8 | 116 gid 8 | 124 size 12 | 136 mtime 12 | 148 checksum 8
                   156 type 1 | 157 linkname 100 | 257 magic+version 8 | 265 uname 32 | 297 gname 32
                   329 devmajor 8 | 337 devminor 8 | 345 prefix 155 | 500 padding 12

Choices that keep every reader of one opinion: no user or group names, no sparse files, no
global headers, a folder's name ends in a slash; a number that ustar cannot hold stands in a pax record *and*, as
GNU's base-256 number, in the header, so that no reader can see another size (CVE-2025-62518). Extended
attributes are `SCHILY.xattr.NAME` records, which GNU tar, bsdtar, Go and every container runtime restore; access
control lists are `SCHILY.acl` records, too, without which GNU tar and bsdtar leave them out.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from layers import acl
from layers.entry import FILE, Content, Data, Device, DeviceKind, Directory, Entry, File, Hardlink, Meta, Slice, Symlink
from layers.errors import EntryError

if TYPE_CHECKING:
    from layers.reader import Reader

#: Bytes handed on at a time; fixed, because codecs compress piece by piece and pieces decide the bytes.
CHUNK = 1 << 20

#: Counts up when the stream of unchanged entries changes; part of every key under which layers are kept.
PROFILE = 1

#: Headers and contents are multiples of this many bytes.
BLOCK = 512

#: What an archive ends with.
END = bytes(2 * BLOCK)

_NAME = 100  # bytes of the fields name and linkname
_PREFIX = 155
_PADDING = 12
_OCTAL_8 = 0o7777777  # the most that a field of 8 bytes holds
_OCTAL_12 = 0o77777777777

_MAGIC = b"ustar\x0000"
_NUMBER_0 = b"0000000\0"
_AFTER_LINKNAME = _MAGIC + bytes(64)
_NO_DEVICE = _NUMBER_0 * 2
_CONSTANT_SUM = sum(_AFTER_LINKNAME) + 8 * ord(" ")  # the checksum counts its own field as spaces

_TYPES = {DeviceKind.CHARACTER: b"3", DeviceKind.BLOCK: b"4", DeviceKind.FIFO: b"6"}


class Headers:
    """Makes what stands before the content of an entry.

    Args:
        epoch: modification time of every entry, in seconds since 1970.
        meta_of: tells the metadata of a file that is written by somebody else, for hard links to it.
    """

    def __init__(self, epoch: int, meta_of: Callable[[bytes], Meta | None] = lambda _: None) -> None:
        self._meta_of = meta_of
        self._mtime = _number(epoch, 12, _OCTAL_12)
        self._mtime_record = {} if epoch <= _OCTAL_12 else {b"mtime": b"%d" % epoch}
        self._metas: dict[Meta, tuple[bytes, dict[bytes, bytes]]] = {}
        self._files: dict[bytes, Meta] = {}

    def of(self, entry: Entry) -> bytes:
        """The header of an entry, with one for its pax records, if there are any: a multiple of `BLOCK` bytes.

        Raises:
            EntryError: a hard link whose file was not asked for before; a name of an attribute with `=`.
        """
        if isinstance(entry, File):
            self._files[entry.path] = entry.meta
            return self._header(entry.path, entry.meta, b"0", size=entry.content.size)
        if isinstance(entry, Directory):
            return self._header(entry.path + b"/", entry.meta, b"5")
        if isinstance(entry, Symlink):
            return self._header(entry.path, entry.meta, b"2", target=entry.target)
        return self._hardlink(entry) if isinstance(entry, Hardlink) else self._device(entry)

    def _hardlink(self, entry: Hardlink) -> bytes:
        meta = self._files.get(entry.target) or self._meta_of(entry.target)
        if meta is None:
            raise EntryError(f"{entry.path!r} is a hard link to {entry.target!r}, which does not come before it")
        # The file's own metadata: container runtimes apply a link's header to the file that it names.
        return self._header(entry.path, meta, b"1", target=entry.target)

    def _device(self, entry: Device) -> bytes:
        if max(entry.major, entry.minor) > _OCTAL_8:
            raise EntryError(f"{entry.path!r}: tar has no room for the device number {entry.major}:{entry.minor}")
        device = b"%07o\0%07o\0" % (entry.major, entry.minor)
        return self._header(entry.path, entry.meta, _TYPES[entry.kind], device=device)

    def _header(
        self, path: bytes, meta: Meta, kind: bytes, *, size: int = 0, target: bytes = b"", device: bytes = b""
    ) -> bytes:
        fields, records = self._meta(meta)
        prefix, name = _split(path) if len(path) > _NAME else (b"", path)
        before = b""
        if len(name) > _NAME or len(target) > _NAME or size > _OCTAL_12 or records:
            pax = _pax_records({**records, **_long_fields(name, target, size)})
            header = _ustar(b"././@PaxHeader", _PAX_META, _number(len(pax), 12, _OCTAL_12), self._mtime, b"x")
            before = header + pax + bytes(-len(pax) % BLOCK)
        number = b"%011o\0" % size if size <= _OCTAL_12 else _number(size, 12, _OCTAL_12)
        return before + _ustar(name[:_NAME], fields, number, self._mtime, kind, target[:_NAME], device, prefix)

    def _meta(self, meta: Meta) -> tuple[bytes, dict[bytes, bytes]]:
        known = self._metas.get(meta)
        if known is None:
            known = self._metas[meta] = (_meta_fields(meta), _meta_records(meta) | self._mtime_record)
        return known


def size_of(entries: Iterable[Entry], headers: Headers) -> int:
    """Bytes of entries in a tar, without its end.

    Raises:
        EntryError: as `Headers.of`.
    """
    return sum(
        len(headers.of(entry)) + (-(-entry.content.size // BLOCK) * BLOCK if isinstance(entry, File) else 0)
        for entry in entries
    )


class TarWriter:
    """Writes entries, in the order given, to a sink that takes pieces of exactly `CHUNK` bytes, but for the last.

    Args:
        sink: called with each piece; the piece is its own from then on.
        epoch: modification time of every entry, in seconds since 1970.
        reader: reads the contents.
        copy: appends a slice to where the sink writes, without the bytes passing through here. With it, slices of
            `CHUNK` bytes and more go there, and pieces may be shorter.
        headers: makes the headers of these entries; the epoch's, if there are none.
    """

    def __init__(
        self,
        sink: Callable[[bytearray], object],
        epoch: int,
        reader: "Reader",
        copy: Callable[[Slice], object] | None = None,
        headers: Headers | None = None,
    ) -> None:
        self._sink = sink
        self._reader = reader
        self._copy = copy
        self._headers = headers or Headers(epoch)
        self._piece = bytearray(CHUNK)
        self._view = memoryview(self._piece)
        self._filled = 0

    def add_all(self, entries: Iterable[Entry]) -> None:
        """Write many entries; see `add`."""
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Write one entry.

        Raises:
            EntryError: as `Headers.of`.
            ChangedError: the content changed while it was read.
        """
        self._put(self._headers.of(entry))
        if isinstance(entry, File):
            self._content(entry.content)

    def close(self) -> None:
        """Write the end of the archive, and hand on what is left."""
        self._put(END)
        self.flush()

    def _content(self, content: Content) -> None:
        if isinstance(content, Data):
            self._put(content.data)
        elif self._copy and content.size >= CHUNK:
            self.flush()
            self._copy(content)
        else:
            done = 0
            while done < content.size:
                end = min(CHUNK, self._filled + content.size - done)
                self._reader.read_into(content, done, self._view[self._filled : end])
                done += end - self._filled
                self._advance(end)
        if padding := -content.size % BLOCK:
            self._put(bytes(padding))

    def _put(self, data: bytes) -> None:
        end = self._filled + len(data)
        if end < CHUNK:
            self._piece[self._filled : end] = data
            self._filled = end
            return
        done = 0
        while done < len(data):
            end = min(CHUNK, self._filled + len(data) - done)
            self._piece[self._filled : end] = data[done : done + end - self._filled]
            done += end - self._filled
            self._advance(end)

    def flush(self) -> None:
        """Hand on what is there: the last piece of all, or with `copy`."""
        if self._filled:
            self._hand_on(self._piece[: self._filled])

    def _advance(self, filled: int) -> None:
        self._filled = filled
        if filled == CHUNK:
            self._hand_on(self._piece)

    def _hand_on(self, piece: bytearray) -> None:
        self._piece = bytearray(CHUNK)
        self._view = memoryview(self._piece)
        self._filled = 0
        self._sink(piece)


def _split(path: bytes) -> tuple[bytes, bytes]:
    """(prefix, name) of a long path, cut at a slash as ustar wants it; no prefix when there is no such slash."""
    slash = path.rfind(b"/", 0, min(_PREFIX + 1, len(path) - 1))
    if slash > 0 and len(path) - slash - 1 <= _NAME:
        return path[:slash], path[slash + 1 :]
    return b"", path


def _ustar(
    name: bytes,
    meta: bytes,
    size: bytes,
    mtime: bytes,
    kind: bytes,
    target: bytes = b"",
    device: bytes = b"",
    prefix: bytes = b"",
) -> bytes:
    changing = name + meta + size + mtime + kind + target + prefix
    device = device or _NO_DEVICE
    checksum = sum(changing) + sum(device) + _CONSTANT_SUM
    return b"".join(
        (
            name.ljust(_NAME, b"\0"), meta, size, mtime, b"%06o\0 " % checksum, kind,
            target.ljust(_NAME, b"\0"), _AFTER_LINKNAME, device, prefix.ljust(_PREFIX + _PADDING, b"\0"),
        )
    )  # fmt: skip


def file_header(path: bytes, size: int, epoch: int) -> bytes:
    """The header of a plain file whose fields all fit into ustar: `BLOCK` bytes."""
    return _ustar(path, _meta_fields(FILE), _number(size, 12, _OCTAL_12), _number(epoch, 12, _OCTAL_12), b"0")


def _number(value: int, width: int, most: int) -> bytes:
    """An octal number, or GNU's base-256 number when it does not fit."""
    if value <= most:
        return b"%0*o\0" % (width - 1, value)
    return b"\x80" + value.to_bytes(width - 1, "big")


def _meta_fields(meta: Meta) -> bytes:
    return b"%07o\0" % meta.mode + _number(meta.uid, 8, _OCTAL_8) + _number(meta.gid, 8, _OCTAL_8)


_PAX_META = _meta_fields(Meta(0o644))


def _meta_records(meta: Meta) -> dict[bytes, bytes]:
    records = {}
    if meta.uid > _OCTAL_8:
        records[b"uid"] = b"%d" % meta.uid
    if meta.gid > _OCTAL_8:
        records[b"gid"] = b"%d" % meta.gid
    for name, value in meta.xattrs:
        if not name or set(name) & set(b"=\n\0"):
            raise EntryError(f"tar cannot hold an extended attribute with the name {name!r}")
        records[b"SCHILY.xattr." + name] = value
        if name in acl.RECORDS:
            records[acl.RECORDS[name]] = acl.acl_text(value)
    return records


def _long_fields(path: bytes, target: bytes, size: int) -> dict[bytes, bytes]:
    records = {}
    if len(path) > _NAME:
        records[b"path"] = path
    if len(target) > _NAME:
        records[b"linkpath"] = target
    if size > _OCTAL_12:
        records[b"size"] = b"%d" % size
    if any(not _is_utf8(value) for value in records.values()):
        records[b"hdrcharset"] = b"BINARY"
    return records


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _pax_records(records: dict[bytes, bytes]) -> bytes:
    # hdrcharset must stand before the records that it is about.
    ordered = sorted(records.items(), key=lambda record: (record[0] != b"hdrcharset", record[0]))
    return b"".join(_pax_record(keyword, value) for keyword, value in ordered)


def _pax_record(keyword: bytes, value: bytes) -> bytes:
    r"""`LENGTH KEYWORD=VALUE\\n`, where the length counts its own digits."""
    rest = b" %b=%b\n" % (keyword, value)
    length = len(rest) + len(str(len(rest)))
    if len(str(length)) + len(rest) != length:
        length += 1
    return b"%d%b" % (length, rest)
