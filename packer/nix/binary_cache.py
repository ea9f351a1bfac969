"""A binary cache of Nix: what it says about items, whether that can be believed, and their NARs.

What was believed once is kept, so that a second run asks the cache for nothing:

    FOLDER/HEX of the address/HASH.narinfo

A narinfo is believed when a trusted key has signed it, or when the item's path is computed from its content. Then the
hash in it says what its NAR must be; so a cache, and everybody on the way to it, can only refuse to answer.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from layers.cache import CacheFolder, Found, Kept, mark_used
from layers.decompress import decompressed
from layers.digest import Digest, is_hex
from layers.entry import Slice
from layers.errors import InputError, PackError
from layers.output import PendingFile, make_cache
from layers.reader import Reader
from packer.fetch import Fetcher, MissingError, without_credentials
from packer.nix import narinfo
from packer.nix.content_address import proof
from packer.nix.nar_cache import KeptNar, NarCache
from packer.nix.narinfo import STORE, NarInfo, NarInfoError
from packer.nix.signature import Keyring

_HASH_LENGTH = 32  # letters of the hash in a path
_SUFFIX = ".narinfo"
_CHUNK = 1 << 20
_OVERHEAD = 1 << 16  # bytes by which compression makes a NAR larger, besides a sixteenth of it


class UntrustedError(PackError):
    """Nothing proves that an item is what it is said to be.

    Attributes:
        path: the item's.
    """

    def __init__(self, path: str, what: str, hint: str) -> None:
        super().__init__(f"{path}: {what}", hint=hint)
        self.path = path


class UnknownItemError(InputError):
    """An item that the cache does not have."""


@dataclass(frozen=True, slots=True)
class BinaryCache:
    """A binary cache.

    Attributes:
        url: its address, without a slash at its end.
        fetcher: fetches from it.
        keyring: keys that are trusted.
        nars: keeps NARs.
        folder: keeps narinfos.
        refresh: whether narinfos are fetched again.
    """

    url: str
    fetcher: Fetcher
    keyring: Keyring
    nars: NarCache
    folder: str
    refresh: bool = False

    def check(self) -> None:
        """See that a binary cache for items of `STORE` is there.

        Raises:
            PackError: it cannot be reached, or is something else.
        """
        url = f"{self.url}/nix-cache-info"
        try:
            narinfo.cache_info(self.fetcher.read(url, narinfo.LARGEST), without_credentials(url))
        except MissingError as error:
            raise UnknownItemError(
                f"{error}: no binary cache is there", hint="See store.url: nix-cache-info must be below it."
            ) from error

    def kept_info(self, path: str) -> NarInfo | None:
        """What is known about an item from before, if it is still believed."""
        if self.refresh:
            return None
        try:
            with open(self._kept(path), "rb") as file:
                info = self._parsed(file.read(narinfo.LARGEST), path, self._kept(path))
            self._believe(info)
        except (OSError, PackError):
            return None
        mark_used(self._kept(path))
        return info

    def info(self, path: str) -> NarInfo:
        """What the cache says about an item.

        Raises:
            UnknownItemError: it does not have the item.
            UntrustedError: nothing proves it.
            PackError: it cannot be reached, or what it says is damaged.
        """
        url = f"{self.url}/{_hash(path)}.narinfo"
        try:
            data = self.fetcher.read(url, narinfo.LARGEST)
        except MissingError as error:
            raise UnknownItemError(f"{path} is not in {without_credentials(self.url)}", hint=f"({error})") from error
        info = self._parsed(data, path, without_credentials(url))
        self._believe(info)
        self._keep(path, data)
        return info

    def kept_nar(self, info: NarInfo) -> KeptNar | None:
        """The item's NAR, if it was fetched before."""
        kept = self.nars.find(info.nar_hash)
        return kept if kept and kept.index.size == info.nar_size else None

    def nar(self, info: NarInfo) -> KeptNar:
        """Fetch the item's NAR.

        Raises:
            PackError: it cannot be had, or is not what it should be.
        """
        url = f"{self.url}/{info.url}"
        shown = without_credentials(url)
        most = info.file_size
        if most is None:
            most = info.nar_size + info.nar_size // 16 + _OVERHEAD
        with self.fetcher.stream(url, most) as pieces:
            whole = decompressed(_checked(pieces, info, shown), info.compression, shown)
            return self.nars.keep(whole, info.nar_hash, info.nar_size, f"{info.path} ({shown})")

    def prove(self, info: NarInfo, kept: KeptNar) -> None:
        """See that an item that nobody has signed, and that is named by the content of its file, has that content.

        Raises:
            UntrustedError: it has not.
        """
        if self.keyring.has_signed(info):
            return
        proving, index = proof(info), kept.index
        if not proving or not proving.file_hash:
            return
        if index.kinds != "f" or _digest(Slice(kept.path, *index.numbers)) != proving.file_hash:
            raise UntrustedError(
                info.path,
                f"its content is not what its address {info.content_address} says",
                "The cache has something else under this name.",
            )

    def _parsed(self, data: bytes, path: str, url: str) -> NarInfo:
        info = NarInfo.parse(data, url)
        if info.path != path:
            raise NarInfoError(url, "StorePath", f"it is about {info.path}, not about {path}")
        return info

    def _believe(self, info: NarInfo) -> None:
        """Refuse what neither a key nor the item's path proves."""
        if self.keyring.has_signed(info):
            return
        proving = proof(info)
        if proving and proving.nar_hash in (None, info.nar_hash):
            return
        names = sorted({signature.partition(":")[0] for signature in info.signatures})
        unknown = [name for name in names if name not in self.keyring]
        if not names:
            what = "it is neither signed nor named by its content: nothing proves what it is"
        elif len(unknown) < len(names):
            what = "its signature is wrong: what the cache says about it was altered, or signed by another key"
        else:
            what = f"it is signed by {', '.join(unknown)}, which is no trusted key"
        raise UntrustedError(info.path, what, "Keys that are trusted stand in store.trusted-public-keys.")

    def _kept(self, path: str) -> str:
        return os.path.join(self.folder, Digest.of(self.url.encode()).hex, f"{_hash(path)}{_SUFFIX}")

    def _keep(self, path: str, data: bytes) -> None:
        folder, name = os.path.split(self._kept(path))
        make_cache(folder)
        with PendingFile(folder) as file:
            file.write(data)
            file.publish(name, mode=0o600, durable=False)


def kept(folder: CacheFolder) -> Iterator[Kept]:
    """The narinfos of a folder of the cache; see `layers.cache.Keeper`."""
    for cache in folder.found():
        if cache.is_folder and is_hex(cache.name):
            for found in folder.below(cache.name).found():
                if found.is_file and found.name.endswith(_SUFFIX):
                    yield Kept("narinfos", (found.path,), found.size, found.used, partial(_is_narinfo, found))


def _is_narinfo(found: Found) -> bool:
    """Whether it can be one; whether it is believed is asked whenever it is used."""
    with open(found.place, "rb") as file:
        try:
            info = NarInfo.parse(file.read(narinfo.LARGEST), found.place)
        except PackError:
            return False
    return f"{_hash(info.path)}{_SUFFIX}" == found.name


def _hash(path: str) -> str:
    return path.removeprefix(f"{STORE}/")[:_HASH_LENGTH]


def _checked(pieces: Iterator[bytes], info: NarInfo, url: str) -> Iterator[bytes]:
    """The pieces; at their end, their size and hash are compared."""
    state, size = hashlib.sha256(), 0
    for piece in pieces:
        state.update(piece)
        size += len(piece)
        yield piece
    if info.file_size not in (None, size):
        raise NarInfoError(url, "FileSize", f"there are {size} bytes, not {info.file_size}")
    found = Digest(state.hexdigest())
    if info.file_hash not in (None, found):
        raise NarInfoError(url, "FileHash", f"its hash is {found}, not {info.file_hash}")


def _digest(content: Slice) -> Digest:
    def chunks(reader: Reader) -> Iterator[bytes]:
        for start in range(0, content.size, _CHUNK):
            chunk = bytearray(min(_CHUNK, content.size - start))
            reader.read_into(content, start, memoryview(chunk))
            yield bytes(chunk)

    with Reader() as reader:
        return Digest.of_stream(chunks(reader))
