"""Swap space of Linux: a header in the first page, and nothing else.

    0            1024                                                4086         4096
    +------------+---------+-----------+-------+------+-------+------+------------+---------
    | boot code, | version | last page | bad   | uuid | label | zero | SWAPSPACE2 | pages
    | not ours   | 4       | 4         | pages |      | 16    |      |            |
    +------------+---------+-----------+-------+------+-------+------+------------+---------

`union swap_header` in the kernel's include/linux/swap.h. Numbers and pages are the machine's: here, they
are little-endian and of 4 KiB, so it is not for s390x, nor for kernels with larger pages.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from formats.filesystem import Through, TooSmallError, Volume
from formats.filesystem.pieces import Bytes, Piece
from formats.structure import Structure
from layers.errors import EntryError, InputError
from layers.reader import Reader
from layers.tree import Tree

PAGE = 4096
_LEAST_PAGES = 10  # mkswap's
_MOST_PAGES = 1 << 32
_HEADER_OFFSET = 1024
_LABEL_BYTES = 15  # with a zero after them, as mkswap has it
HEADER = Structure("<", "version:I last_page:I bad_pages:I uuid:16s label:16s zeros:3018s magic:10s")
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Swap:
    """A swap space with its options.

    Attributes:
        volume: what it is told of itself; its label has at most 15 bytes.
    """

    volume: Volume

    def prepare(self, tree: Tree, reader: Reader) -> "PreparedSwap":  # noqa: ARG002  # of the protocol
        """See `formats.filesystem.FileSystem`.

        Raises:
            EntryError: the tree is not empty.
            InputError: the label is too long.
        """
        if len(tree):
            raise EntryError("a swap space cannot hold files", hint="Give the partition another file system.")
        label = self.volume.label.encode()
        if len(label) > _LABEL_BYTES:
            raise InputError(
                f"the label {self.volume.label!r} has {len(label)} bytes, and swap room for {_LABEL_BYTES}"
            )
        return PreparedSwap(self)


@dataclass(frozen=True, slots=True)
class PreparedSwap:
    """A swap space without a size.

    Attributes:
        options: of the swap space.
    """

    options: Swap

    def minimum_size(self) -> int:
        """The least bytes that Linux takes."""
        return _LEAST_PAGES * PAGE

    def plan(self, size: int) -> "SwapPlan":
        """See `formats.filesystem.Prepared`.

        Raises:
            TooSmallError: that is not enough.
            InputError: it is more than the header can say.
        """
        pages = size // PAGE
        if pages < _LEAST_PAGES:
            raise TooSmallError(size, self.minimum_size())
        if pages > _MOST_PAGES:
            raise InputError(f"a swap space has at most {_MOST_PAGES * PAGE} bytes, and {size} are asked for")
        return SwapPlan(self.options, pages)


@dataclass(frozen=True, slots=True)
class SwapPlan:
    """A swap space.

    Attributes:
        options: of the swap space.
        pages: of 4 KiB, with the header's.
    """

    options: Swap
    pages: int

    @property
    def size(self) -> int:
        """Bytes of it."""
        return self.pages * PAGE

    def pieces(self, reader: Reader, through: Through = iter) -> Iterator[Piece]:  # noqa: ARG002  # of the protocol
        """See `formats.filesystem.Plan`."""
        volume = self.options.volume
        header = HEADER.pack(
            version=_VERSION,
            last_page=self.pages - 1,
            uuid=volume.identifier("swap uuid").bytes,
            label=volume.label.encode(),
            magic=b"SWAPSPACE2",
        )
        yield Bytes(_HEADER_OFFSET, header)
