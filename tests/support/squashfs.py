"""squashfs images of trees."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from formats.filesystem.squashfs import DEFAULT_BLOCK, Squashfs, Written
from layers.compress import codec
from layers.entry import Entry
from layers.item import NarItem
from layers.output import PendingFile
from layers.pipeline import Pipeline
from layers.reader import Reader
from layers.verify import verified
from tests.support.volumes import VOLUME, tree_of


def squashfs(compression: str = "gzip", level: int | None = None, block: int = DEFAULT_BLOCK) -> Squashfs:
    """How images are made that are as old as all volumes of tests."""
    return Squashfs(codec(compression, level), VOLUME.epoch, block)


def write_squashfs(
    path: Path,
    entries: Iterable[Entry],
    how: Squashfs | None = None,
    jobs: int = 2,
    items: Mapping[bytes, NarItem] | None = None,
) -> Written:
    """An image in a file; items are compared with their hashes in the pass that writes it."""
    how = how or squashfs()
    with ThreadPoolExecutor(jobs) as executor, Reader() as reader, PendingFile(str(path.parent)) as output:
        through = partial(verified, reader=reader, items=items) if items else iter
        written = how.write(tree_of(entries), output, Pipeline(executor, 2 * jobs + 2), reader, through)
        output.publish(path.name, durable=False)
    return written
