"""NARs that were fetched before: uncompressed, never unpacked, named by their hash.

    FOLDER/HEX.nar      the NAR
    FOLDER/HEX.index    what is in it (`layers.nar_reader.NarIndex`)
    FOLDER/lock         held while something is fetched, so that two runs do not fetch the same

A NAR appears whole and compared with its hash, or not at all. It is not synced: after a power loss its size is wrong
(file systems count what has reached the disk) or its index fails its checksum, and it is fetched anew.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from layers.cache import CacheFolder, Found, Kept, file_digest, mark_used
from layers.digest import Digest, is_hex
from layers.entry import Entry
from layers.errors import PackError
from layers.nar_reader import NarIndex, read_nar
from layers.output import PendingFile, writing_cache


class NarHashError(PackError):
    """A NAR that is not the one it should be."""


@dataclass(frozen=True, slots=True)
class KeptNar:
    """A NAR in the cache.

    Attributes:
        path: of the file.
        index: what is in it.
    """

    path: str
    index: NarIndex


@dataclass(frozen=True, slots=True)
class NarContents:
    """The entries of an item, from its NAR.

    Attributes:
        root: path of the item, as entries have it: `nix/store/HASH-NAME`.
        nar: holds them.
    """

    root: bytes
    nar: KeptNar

    def entries(self) -> Iterator[Entry]:
        """The item's entries, in `tree_order`."""
        return self.nar.index.entries(self.root, self.nar.path)


class NarCache:
    """NARs by their hash.

    Args:
        folder: made when it is missing.

    Raises:
        OutputError: the folder cannot be made.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        with writing_cache(folder):
            os.makedirs(folder, mode=0o700, exist_ok=True)

    def find(self, digest: Digest) -> KeptNar | None:
        """The NAR of a hash, if it is here and whole."""
        path = self._path(digest, "nar")
        index = NarIndex.load(self._path(digest, "index"))
        try:
            if index and os.stat(path, follow_symlinks=False).st_size == index.size:
                mark_used(self._path(digest, "index"))
                return KeptNar(path, index)
        except OSError:
            pass
        return None

    def keep(self, pieces: Iterator[bytes], digest: Digest, size: int, origin: str) -> KeptNar:
        """Keep a NAR.

        Args:
            pieces: the NAR.
            digest: what it must have.
            size: bytes that it must have; not one more is written.
            origin: what it is, for the message.

        Raises:
            NarHashError: it has another digest or size.
            NarError: it is no valid NAR.
            OutputError: the cache cannot be written.
        """
        state, written = hashlib.sha256(), 0
        with PendingFile(self._folder) as file:
            for piece in pieces:
                written += len(piece)
                if written > size:
                    raise NarHashError(f"{origin}: the NAR has more than the {size} bytes that were said")
                state.update(piece)
                file.write(piece)
            if (found := Digest(state.hexdigest())) != digest or written != size:
                raise NarHashError(
                    f"{origin}: the NAR is not what it should be: its hash is {found} ({written} bytes),"
                    f" not {digest} ({size} bytes)",
                )
            index = read_nar(file.file, origin)
            file.publish(f"{digest.hex}.nar", mode=0o400, durable=False)
        index.save(self._folder, f"{digest.hex}.index")
        return KeptNar(self._path(digest, "nar"), index)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Have fetching to oneself; waits for another process that fetches.

        Raises:
            OutputError: the cache cannot be written.
        """
        with writing_cache(self._folder):
            lock = os.open(os.path.join(self._folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with writing_cache(self._folder):
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _path(self, digest: Digest, what: str) -> str:
        return os.path.join(self._folder, f"{digest.hex}.{what}")


def kept(folder: CacheFolder) -> Iterator[Kept]:
    """The NARs of a folder of the cache; see `layers.cache.Keeper`."""
    nars: dict[str, dict[str, Found]] = {}
    for found in folder.found():
        name, _, what = found.name.partition(".")
        if found.is_file and is_hex(name) and what in ("nar", "index"):
            nars.setdefault(name, {})[what] = found
    for name, files in nars.items():
        paths = tuple(file.path for file in files.values())
        used = (files.get("index") or files["nar"]).used
        size = sum(file.size for file in files.values())
        yield Kept("NARs", paths, size, used, partial(_is_whole, Digest(name), files))


def _is_whole(digest: Digest, files: Mapping[str, Found]) -> bool:
    if len(files) < 2:
        return False
    index, nar = NarIndex.load(files["index"].place), files["nar"]
    return index is not None and index.size == nar.size and file_digest(nar.place) == digest
