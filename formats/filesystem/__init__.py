"""File systems: a tree to the bytes of a volume, without mounting anything and without root.

A file system is written in two steps. `FileSystem.prepare` looks at a tree once and knows from then on how much room it
needs; `Prepared.plan` decides where everything goes in a volume of a given size, or says by how much it is too small,
before a byte is written. The plan is written as *pieces* (see `formats.filesystem.pieces`), in the order of their
offsets; what no piece covers is zeros.

Nothing in a volume is random: its identifiers derive from the volume's identity, and its times are the epoch.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable
from uuid import UUID

from formats.filesystem.pieces import Piece
from formats.identifiers import derived, derived_uuid
from layers.digest import Digest
from layers.entry import FOLDER, Device, Directory, Entry, File, Meta, Symlink
from layers.errors import EntryError, InputError
from layers.number import LAST_ID, LAST_MAJOR, LAST_MINOR
from layers.reader import Reader
from layers.shares import Share
from layers.tree import Tree

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Volume:
    """What a file system is told of itself.

    Attributes:
        identity: of what is packed; all that must be unique derives from it.
        epoch: every time in it, in seconds since 1970.
        label: its name, or empty; each file system has a limit of its own.
        uuid: its identifier; without, one that derives from the identity.
        root: owner and permissions of its root folder.
    """

    identity: Digest
    epoch: int
    label: str = ""
    uuid: UUID | None = None
    root: Meta = FOLDER

    def derive(self, role: str, size: int) -> bytes:
        """Bytes that are unique to this volume and the role, at most 32."""
        return derived(self.identity, role, size)

    def identifier(self, role: str) -> UUID:
        """The UUID that was given, or one that derives from the identity."""
        return self.uuid or derived_uuid(self.identity, role)


Through = Callable[[Iterable[Entry]], Iterator[Entry]]
"""Sees all entries pass, each before its content is read; `layers.verify.verified` is one."""


class Plan(Protocol):
    """A file system that knows where everything goes.

    Attributes:
        size: bytes of it; a little less than what it was given, if the rest is of no use.
    """

    @property
    def size(self) -> int:
        """See above."""

    def pieces(self, reader: Reader, through: Through = iter) -> Iterator[Piece]:
        """All bytes of it but zeros, in the order of their offsets.

        Args:
            reader: reads the contents, in the order of the tree.
            through: sees the entries of the tree pass.

        Raises:
            ChangedError: a content is not what it was when it was looked at.
        """


@runtime_checkable
class SharedPlan(Plan, Protocol):
    """A plan that several processes can write side by side."""

    def pieces_of(self, share: Share, reader: Reader, through: Through = iter) -> Iterator[Piece]:
        """Of all pieces, those of a share's files, and a part of the others; all shares together have all pieces.

        Args:
            share: of the tree.
            reader: as `pieces`.
            through: sees the entries of the share pass.
        """


class Prepared(Protocol):
    """A tree that was looked at."""

    def minimum_size(self) -> int:
        """The least bytes that hold it, with nothing left free."""

    def plan(self, size: int) -> Plan:
        """Decide where everything goes.

        Args:
            size: of the volume in bytes.

        Raises:
            TooSmallError: that is not enough.
        """


class FileSystem(Protocol):
    """One kind of file system, with its options."""

    def prepare(self, tree: Tree, reader: Reader) -> Prepared:
        """Look at a tree.

        Args:
            tree: what shall be in the root folder.
            reader: looks at the contents.

        Raises:
            EntryError: it cannot hold something, which is named.
        """


class TooSmallError(InputError):
    """A volume, or a disk of them, has no room for what it shall hold.

    Attributes:
        size: bytes that it has.
        needed: bytes that it must have.
    """

    def __init__(self, size: int, needed: int, what: str = "the file system") -> None:
        super().__init__(
            f"{what} has {size} bytes, which is {needed - size} too few",
            hint=f"Give it at least {needed} bytes ({-(-needed // _MIB)} MiB), and more for what will be added.",
        )
        self.size = size
        self.needed = needed


def refuse_numbers(entry: File | Directory | Symlink | Device) -> None:
    """See to it that owner and device have numbers that Linux has.

    Raises:
        EntryError: they have others, which no file system of Linux can hold.
    """
    meta = entry.meta
    if not (0 <= meta.uid <= LAST_ID and 0 <= meta.gid <= LAST_ID):
        what = f"belongs to {meta.uid}:{meta.gid}: ids end at {LAST_ID}"
    elif isinstance(entry, Device) and not (0 <= entry.major <= LAST_MAJOR and 0 <= entry.minor <= LAST_MINOR):
        what = f"is the device {entry.major}:{entry.minor}: numbers of devices end at {LAST_MAJOR}:{LAST_MINOR}"
    else:
        return
    raise EntryError(f"/{os.fsdecode(entry.path)} {what}")


def guessed_size(minimum: int) -> int:
    """A size with some room: a quarter more than is needed, whole MiB, and at least one.

    It is what Guix does (`estimated-partition-size` of its image builder).

    Args:
        minimum: as `Prepared.minimum_size` has it, in bytes.
    """
    return max(1, -(-minimum * 5 // (4 * _MIB))) * _MIB


def size_with_space(minimum: int, additional: int) -> int:
    """A size with so much room for what will be added, in whole MiB; what nixpkgs calls `additionalSpace`.

    Args:
        minimum: as `Prepared.minimum_size` has it, in bytes.
        additional: bytes.
    """
    return -(-(minimum + additional) // _MIB) * _MIB
