"""What the cache keeps, all owners together: to be shown, pruned or verified.

Owners describe their own parts (`layers.cache.Keeper`): layers, what makes disks start, and each store that keeps
something. What nobody has described is somebody else's: it is counted, and left alone.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from layers import blob
from layers.cache import CacheFolder, Found, Kept, exclusive, in_use, is_left_over
from layers.errors import PackError
from layers.output import said
from layers.progress import Progress
from packer import stores
from packer.boot import known_modules

LEFT_OVERS = "left-overs"
FOREIGN = "not ocipack's"

_LOCK = "lock"


class CacheError(PackError):
    """Something of the cache cannot be removed."""


@dataclass(frozen=True, slots=True)
class Cache:
    """The cache of a user.

    Attributes:
        folder: of the cache; it need not be there.
        waiting: is called before waiting for other runs to end.
    """

    folder: str
    waiting: Callable[[], object] = lambda: None

    @property
    def _root(self) -> CacheFolder:
        return CacheFolder(self.folder)

    def kept(self) -> Iterator[Kept]:
        """All that may be removed."""
        modules = map(stores.store_module, stores.NAMES)
        of_stores = (module.kept for module in modules if isinstance(module, stores.KeepingModule))
        keepers = [blob.kept, known_modules.kept, *of_stores]
        for keeper in keepers:
            yield from keeper(self._root)

    def contents(self) -> list[Kept]:
        """All that is there, left-overs of killed runs and what is not ours included."""
        kept = list(self.kept())
        return [*kept, *_unclaimed(self._root, {path for one in kept for path in one.paths})]

    def prune(self, before: int) -> list[Kept]:
        """Remove what was not used for long; waits until nobody builds.

        Args:
            before: what was used last before this goes, in nanoseconds since 1970.

        Returns:
            What was removed.

        Raises:
            CacheError: something cannot be removed; the rest is.
        """
        if not os.path.isdir(self.folder):
            return []
        with exclusive(self.folder, self.waiting):
            return self._remove(one for one in self.contents() if one.kind != FOREIGN and one.used < before)

    def verify(self, progress: Progress) -> list[Kept]:
        """Read all that is kept, and remove what is damaged; others may build while it is read.

        Args:
            progress: is told what has been read.

        Returns:
            What was damaged.

        Raises:
            CacheError: something cannot be removed; the rest is.
        """
        if not os.path.isdir(self.folder):
            return []
        with in_use(self.folder):
            kept = list(self.kept())
            progress.begin("verify", sum(one.size for one in kept))
            suspects = {path for one in kept if not _checked(one, progress) for path in one.paths}
            progress.end()
        if not suspects:
            return []
        with exclusive(self.folder, self.waiting):  # by now, some may have been made anew
            return self._remove(one for one in self.kept() if not suspects.isdisjoint(one.paths) and not _is_whole(one))

    def _remove(self, kept: Iterable[Kept]) -> list[Kept]:
        removed, failures = [], []
        for one in list(kept):
            try:
                for path in one.paths:
                    self._root.remove(path)
                removed.append(one)
            except OSError as error:
                failures.append(f"{os.path.join(self.folder, one.paths[0])}: {said(error)}")
        if failures:
            more = f", and {len(failures) - 1} more" if len(failures) > 1 else ""
            raise CacheError(f"cannot remove {failures[0]}{more}", hint="Whoever made it can remove it.")
        return removed


def _checked(kept: Kept, progress: Progress) -> bool:
    whole = _is_whole(kept)
    progress.advance(kept.paths[0], kept.size)
    return whole


def _is_whole(kept: Kept) -> bool:
    try:
        return kept.is_whole()
    except OSError:
        return False


def _unclaimed(folder: CacheFolder, claimed: set[str]) -> Iterator[Kept]:
    for found in folder.found():
        if found.path in claimed:
            continue
        below = folder.below(found.name)
        if is_left_over(found.name):
            yield Kept(LEFT_OVERS, (found.path,), below.size if found.is_folder else found.size, found.used)
        elif found.is_folder:
            yield from _unclaimed(below, claimed)
        elif not _is_lock(found):
            yield Kept(FOREIGN, (found.path,), found.size, found.used)


def _is_lock(found: Found) -> bool:
    return found.name == _LOCK and found.is_file and not found.size
