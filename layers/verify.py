"""Items are what their store says they are: emitted bytes, hashed as a NAR in the pass that emits them."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from layers.digest import Digest
from layers.entry import Data, Entry, File
from layers.errors import PackError
from layers.item import NarItem
from layers.nar import NarWriter
from layers.reader import Reader


class CorruptError(PackError):
    """An item is not what its store says it is.

    Attributes:
        path: the item's.
    """

    def __init__(self, item: NarItem, found: Digest, size: int) -> None:
        super().__init__(
            f"{item.path} is corrupt: its NAR hash is {found} ({size} bytes),"
            f" its store says {item.nar_hash} ({item.nar_size} bytes)",
            hint="Mend it (nix-store --repair-path; guix gc --verify=contents,repair; what a binary cache has sent is"
            " fetched anew when `nar` is removed from ocipack's cache), or say --no-verify.",
        )
        self.path = item.path


def verified(entries: Iterable[Entry], reader: Reader, items: Mapping[bytes, NarItem]) -> Iterator[Entry]:
    """The entries as they are; at the end of an item, its hash is compared.

    Args:
        entries: in `tree_order`.
        reader: through which the contents of the entries are read, each before the next entry is asked for.
        items: the path at which an item lands -> the item. Other entries are passed on unseen.

    Raises:
        CorruptError: an item's entries are not those that its store has hashed.
    """
    check: _Check | None = None
    missing = dict(items)
    for entry in entries:
        if check and not check.has(entry.path):
            check.finish(reader)
            check = None
        if check is None and (item := missing.pop(entry.path, None)):
            check = _Check(entry.path, item)
            reader.observe(check.writer.data)
        if check:
            check.add(entry)
        yield entry
    if check:
        check.finish(reader)
    for item in missing.values():
        raise CorruptError(item, Digest.of(), 0)


class _Check:
    """One item under way."""

    def __init__(self, root: bytes, item: NarItem) -> None:
        self._root = root
        self._below = root + b"/"
        self._item = item
        self._hash = hashlib.sha256()
        self.writer = NarWriter(self._hash.update)

    def has(self, path: bytes) -> bool:
        return path.startswith(self._below)

    def add(self, entry: Entry) -> None:
        self.writer.add(entry.path[len(self._below) :], entry)
        if isinstance(entry, File) and isinstance(entry.content, Data):
            self.writer.data(entry.content.data)

    def finish(self, reader: Reader) -> None:
        reader.observe(None)
        self.writer.close()
        found = Digest(self._hash.hexdigest())
        if (found, self.writer.size) != (self._item.nar_hash, self._item.nar_size):
            raise CorruptError(self._item, found, self.writer.size)
