"""Messages that say which partition they are about."""

import contextlib
from collections.abc import Iterator

from formats import partition as table
from formats.image import Partition
from layers.errors import PackError


def title(partition: Partition, number: int) -> str:
    """A partition, for people: by its label, or its number."""
    return table.title(partition.label, number)


@contextlib.contextmanager
def naming(partition: Partition, number: int) -> Iterator[None]:
    """Have errors in the block say that they are about a partition.

    Args:
        partition: which one.
        number: of it, from 1.
    """
    try:
        yield
    except PackError as error:
        error.args = (f"{title(partition, number)}: {error.args[0]}", *error.args[1:])
        raise
