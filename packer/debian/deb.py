r"""The .deb format (deb(5)): an ar archive of two compressed tar archives.

    0   "!<arch>\n"
    8   member header, 60 bytes                           ar(5), common variant
          0   name      16   "debian-binary", "control.tar.xz", "data.tar.xz"; filled up with blanks, maybe after a "/"
         16   mtime     12   decimal
         28   uid        6   decimal
         34   gid        6   decimal
         40   mode       8   octal
         48   size      10   decimal: bytes of the content
         58   magic      2   "`\n"
    68  content, and one more byte if its size is odd; then the next header

The members are, in this order: `debian-binary` ("2.0\n"), `control.tar` and `data.tar`, each with the suffix of its
compression. Members whose names begin with `_` may stand behind the first one, and are nobody's business.
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from layers.cache import CacheFolder, Found, Kept, file_digest, mark_used
from layers.decompress import DecompressionError, decompressed
from layers.digest import Digest, is_hex
from layers.errors import PackError
from layers.output import said, writing_cache
from packer.debian.index import CONTROL, DATA, INDEX, DebError, Index, read_index

_MAGIC = b"!<arch>\n"
_HEADER_SIZE = 60
_HEADER = re.compile(rb"([^\0]{16})[0-9 ]{12}[0-9 ]{6}[0-9 ]{6}[0-7 ]{8}([0-9]{1,10}) *`\n", re.DOTALL)
_FORMAT = re.compile(rb"2\.[0-9]+\n.*", re.DOTALL)
_LONGEST_FORMAT = 64
_CHUNK = 1 << 20
_SUMS = "sha256sums"
_LONGEST_SUMS = 1024

# A decompressed member is at most 64 MiB and 200 times what it was: packages that are mostly zeros stay below that, a
# bomb (xz makes 1 MiB of 7 GiB) does not.
_SMALL = 64 << 20
_RATIO = 200

_COMPRESSIONS = {"": "none", ".gz": "gzip", ".xz": "xz", ".zst": "zstd"}
_ALONE = ("xz", "zstd")  # dpkg reads the first stream of these, and passes over another


class ChecksumError(DebError):
    """A .deb that is not the one it should be."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the ar archive.

    Attributes:
        name: without blanks and slash.
        offset: of its content, in bytes.
        size: of its content, in bytes.
    """

    name: str
    offset: int
    size: int


def members(file: BinaryIO, origin: str) -> Iterator[Member]:
    """The members of a .deb.

    Args:
        file: at its beginning.
        origin: what it is, for the message.

    Raises:
        DebError: it is no ar archive, or a part of one.
    """
    end = os.fstat(file.fileno()).st_size
    if file.read(len(_MAGIC)) != _MAGIC:
        raise DebError(f"{origin} is no .deb: it does not begin as an ar archive does")
    position = len(_MAGIC)
    while position < end:
        file.seek(position)
        header = _HEADER.fullmatch(file.read(_HEADER_SIZE))
        if not header:
            raise DebError(f"{origin} is damaged: there is no member header at byte {position}")
        member = Member(_member_name(header[1]), position + _HEADER_SIZE, int(header[2]))
        if member.offset + member.size > end:
            raise DebError(f"{origin} is damaged: it ends within {member.name}")
        yield member
        position = member.offset + member.size + member.size % 2


def _member_name(field: bytes) -> str:
    return field.decode("ascii", "backslashreplace").rstrip(" ").removesuffix("/")


def expand(deb: str, origin: str, folder: str) -> None:
    """Write `control.tar` and `data.tar` of a .deb, decompressed, into an empty folder.

    Raises:
        DebError: it is no valid .deb.
        OutputError: the folder cannot be written.
    """
    with open(deb, "rb") as file:
        listed = list(members(file, origin))
        names = [member.name for member in listed]
        known = [member for member in listed if not member.name.startswith("_")]
        stems = [member.name.partition(".tar")[0] for member in known]
        if stems != ["debian-binary", "control", "data"] or names[0] != "debian-binary":
            raise DebError(f"{origin} is no .deb: its members are {', '.join(map(repr, names[:8]))}")
        file.seek(known[0].offset)
        if not _FORMAT.fullmatch(file.read(min(known[0].size, _LONGEST_FORMAT))):
            raise DebError(f"{origin} is a .deb of another format than 2.0")
        for member, stem in zip(known[1:], stems[1:], strict=True):
            _write(expanded(file, member, origin), os.path.join(folder, f"{stem}.tar"))


def _write(chunks: Iterator[bytes], path: str) -> None:
    with open(path, "xb", buffering=0) as file:
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                view = view[file.write(view) :]


def expanded(file: BinaryIO, member: Member, origin: str) -> Iterator[bytes]:
    """The content of a member, decompressed piece by piece.

    Raises:
        DebError: it is damaged, of an unknown compression, or expands to more than anybody would pack.
    """
    suffix = member.name.partition(".tar")[2]
    where = f"{member.name} of {origin}"
    if suffix not in _COMPRESSIONS:
        hint = f"There are: {', '.join(_COMPRESSIONS)}."
        raise DebError(f"{where}: there is no decoder for {suffix!r}", hint=hint)
    compression = _COMPRESSIONS[suffix]
    most, size = _SMALL + _RATIO * member.size, 0
    try:
        for chunk in decompressed(_content(file, member), compression, where, alone=compression in _ALONE):
            size += len(chunk)
            if size > most:
                raise DebError(f"{where} expands from {member.size} to more than {most} bytes")
            yield chunk
    except DecompressionError as error:
        raise DebError(str(error)) from error


def _content(file: BinaryIO, member: Member) -> Iterator[bytes]:
    file.seek(member.offset)
    left = member.size
    while left and (data := file.read(min(left, _CHUNK))):
        left -= len(data)
        yield data


@dataclass(frozen=True, slots=True)
class Package:
    """A package in the cache.

    Attributes:
        digest: of the .deb.
        folder: holds its `data.tar` and `control.tar`.
        index: what is in them.
    """

    digest: Digest
    folder: str
    index: Index


class PackageCache:
    """Packages that were fetched before, decompressed and never unpacked.

        FOLDER/HEX of the .deb/{data.tar,control.tar,index,sha256sums}

    A package's folder appears whole or not at all. It is not synced: after a power loss the index fails its checksum,
    or a size is wrong, and the package is made anew. Only `kept` reads `sha256sums`, which sha256sum(1) reads too.

    Args:
        folder: an existing one.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def find(self, digest: Digest) -> Package | None:
        """The package of a .deb, if it is here and whole."""
        folder = os.path.join(self._folder, digest.hex)
        index = Index.load(folder)
        if not index:
            return None
        mark_used(os.path.join(folder, INDEX))
        return Package(digest, folder, index)

    def keep(self, deb: str, digest: Digest, work: str) -> Package:
        """Keep a package.

        Args:
            deb: the file; it is removed.
            digest: what it must have.
            work: a folder for files in the making, on the cache's file system; its owner cleans it.

        Raises:
            ChecksumError: the file has another digest.
            DebError: the file is no valid .deb.
            OutputError: the cache cannot be written.
        """
        origin = os.path.basename(deb)
        with writing_cache(self._folder):
            _verify(deb, digest, origin)
            made = tempfile.mkdtemp(prefix="package.", dir=work)
            expand(deb, origin, made)
            index = read_index(made, origin)
            index.save(made)
            _write(iter([_sums(made).encode()]), os.path.join(made, _SUMS))
            folder = os.path.join(self._folder, digest.hex)
            self._place(made, folder, work)
            os.unlink(deb)
        return Package(digest, folder, index)

    def _place(self, made: str, folder: str, work: str) -> None:
        for _ in range(3):  # another process may make the same package
            with contextlib.suppress(OSError):
                os.rename(made, folder)
                return
            if Index.load(folder):
                shutil.rmtree(made)
                return
            with contextlib.suppress(FileNotFoundError):
                os.rename(folder, tempfile.mkdtemp(prefix="damaged.", dir=work))
        os.rename(made, folder)


def _sums(folder: str) -> str:
    """The digests of a package's files, as sha256sum(1) writes them."""
    return "".join(f"{file_digest(os.path.join(folder, name)).hex}  {name}\n" for name in (CONTROL, DATA, INDEX))


def kept(folder: CacheFolder) -> Iterator[Kept]:
    """The packages of a folder of the cache; see `layers.cache.Keeper`."""
    for found in folder.found():
        if found.is_folder and is_hex(found.name):
            files = {file.name: file for file in folder.below(found.name).found()}
            used = files.get(INDEX, found).used
            size = sum(file.size for file in files.values())
            yield Kept("packages", (found.path,), size, used, partial(_is_whole, found))


def _is_whole(package: Found) -> bool:
    with open(os.path.join(package.place, _SUMS), "rb") as file:
        return file.read(_LONGEST_SUMS) == _sums(package.place).encode()


def _verify(deb: str, digest: Digest, origin: str) -> None:
    try:
        with open(deb, "rb") as file:
            found = Digest.of_stream(iter(lambda: file.read(_CHUNK), b""))
    except OSError as error:
        raise PackError(f"cannot read {deb}: {said(error)}") from error
    if found != digest:
        raise ChecksumError(
            f"{origin} is corrupt: its digest is {found}, and the archive's index says {digest}",
            hint="Try again; if it stays, take another mirror.",
        )
