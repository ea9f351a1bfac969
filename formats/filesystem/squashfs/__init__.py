"""squashfs 4.0: a compressed file system for reading alone; what mksquashfs makes.

Everything that a root file system has is there: owners, permissions, hard links, devices, holes, names of any bytes,
extended attributes of `user`, `trusted` and `security`. Access control lists are not: neither mksquashfs nor Linux has
a place for them.

`structures` shows what it looks like on disk. How large a content becomes is known when it is compressed: so the image
is written in one pass over the tree, contents first, then what names them.

    tree --contents--> blocks and fragments
         --nodes--> numbers --inodes, listings--> inode table, directory table --> the other tables --> superblock
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from formats.filesystem import Through
from formats.filesystem.squashfs.compressors import Compressor, compressor
from formats.filesystem.squashfs.contents import Contents
from formats.filesystem.squashfs.inodes import packed
from formats.filesystem.squashfs.listings import write_listing
from formats.filesystem.squashfs.metadata import Metadata, indexed
from formats.filesystem.squashfs.nodes import FileNode, Nodes, inodes
from formats.filesystem.squashfs.structures import (
    ALL_TAILS_IN_FRAGMENTS,
    BLOCK_BITS,
    COMPRESSORS,
    DUPLICATES_SHARED,
    EXPORTABLE,
    FRAGMENT,
    MAGIC,
    PADDING,
    REFERENCE,
    SUPERBLOCK,
    VERSION,
    WORD,
)
from layers.codec import Codec
from layers.entry import FOLDER, Entry, File, Meta
from layers.errors import InputError
from layers.output import PendingFile
from layers.pipeline import Pipeline
from layers.reader import Reader

#: Bytes of a block: mksquashfs's.
DEFAULT_BLOCK = 1 << 17

#: Every size of a block.
BLOCKS = tuple(1 << bits for bits in BLOCK_BITS)

_LAST_TIME = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Written:
    """An image that was written.

    Attributes:
        size: bytes.
        without_lists: paths of what had access control lists, which squashfs has not.
    """

    size: int
    without_lists: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Squashfs:
    """A squashfs with its options.

    Attributes:
        codec: `gzip`, `xz` or `zstd`, with its level.
        epoch: every time in it, in seconds since 1970; it has room for those from 1970 to 2106.
        block: bytes that are compressed at a time: a power of two from 4 KiB to 1 MiB.
        root: owner and permissions of its root folder.
    """

    codec: Codec
    epoch: int
    block: int = DEFAULT_BLOCK
    root: Meta = FOLDER

    def write(
        self,
        entries: Iterable[Entry],
        output: PendingFile,
        pipeline: Pipeline,
        reader: Reader,
        through: Through = iter,
        tell: Callable[[int], object] = lambda _: None,
    ) -> Written:
        """Write an image.

        Args:
            entries: in `tree_order`.
            output: takes it; nothing is in it.
            pipeline: compresses.
            reader: reads the contents.
            through: sees the entries pass.
            tell: is told how many bytes of contents were read.

        Raises:
            InputError: there is no such compressor or size of blocks.
            EntryError: squashfs cannot hold something.
            ChangedError: a content was written to.
            OutputError: the disk is full.
        """
        if self.codec.name not in COMPRESSORS:
            hint = f"It has {', '.join(COMPRESSORS)}."
            raise InputError(f"squashfs is not compressed with {self.codec.name}", hint=hint)
        if self.block not in BLOCKS:
            raise InputError(f"squashfs has no blocks of {self.block} bytes", hint="4 KiB to 1 MiB, a power of two.")
        compress = compressor(self.codec, self.block)
        nodes = Nodes(self.root)
        contents = Contents(output, SUPERBLOCK.size, compress, self.block, pipeline, reader, tell)
        for entry in through(entries):
            node = nodes.add(entry)
            if isinstance(entry, File) and isinstance(node, FileNode):
                contents.add(node, entry.content)
        contents.close()
        return self._write_tables(nodes, contents, compress, output)

    def _write_tables(self, nodes: Nodes, contents: Contents, compress: Compressor, output: PendingFile) -> Written:
        count = nodes.number()
        mtime = max(0, min(self.epoch, _LAST_TIME))
        inode_table, directory_table = self._tables(nodes, mtime, count, compress)
        assert nodes.root.place is not None  # noqa: S101  # for mypy: it was written last
        position = contents.end

        def append(data: bytes | bytearray) -> int:
            nonlocal position
            start, position = position, position + len(data)
            output.overwrite(start, data)
            return start

        def append_indexed(rows: Iterable[bytes]) -> int:
            data, start = indexed(rows, position, compress)
            append(data)
            return start

        places = {"inode_table": append(inode_table), "directory_table": append(directory_table)}
        places["fragment_table"] = append_indexed(FRAGMENT.pack(*fragment, 0) for fragment in contents.fragments)
        places["export_table"] = append_indexed(map(REFERENCE.pack, _references(nodes, count)))
        places["id_table"] = append_indexed(map(WORD.pack, nodes.ids))
        data, places["xattr_table"] = nodes.xattrs.table(position, compress)
        append(data)
        superblock = SUPERBLOCK.pack(
            magic=MAGIC,
            inodes=count,
            mtime=mtime,
            block_size=self.block,
            fragments=len(contents.fragments),
            compressor=COMPRESSORS[self.codec.name],
            block_bits=self.block.bit_length() - 1,
            flags=EXPORTABLE | DUPLICATES_SHARED | ALL_TAILS_IN_FRAGMENTS,
            ids=len(nodes.ids),
            major=VERSION[0],
            minor=VERSION[1],
            root=nodes.root.place,
            bytes_used=position,
            **places,
        )
        output.overwrite(0, superblock)
        size = -(-position // PADDING) * PADDING
        output.cut(position)  # equal files at the end may have been written twice
        output.extend(size)
        return Written(size, tuple(nodes.without_lists))

    def _tables(self, nodes: Nodes, mtime: int, count: int, compress: Compressor) -> tuple[bytearray, bytearray]:
        """The inode table and the directory table: folders from the last to the first, so that who is named is there.

        The inodes of what is in one folder follow each other.
        """
        inode_table, directory_table = Metadata(compress), Metadata(compress)
        for folder in reversed(nodes.folders):
            for node in inodes(folder):
                node.place = inode_table.append(packed(node, mtime, self.block, count))
            write_listing(folder, directory_table)
        nodes.root.place = inode_table.append(packed(nodes.root, mtime, self.block, count))
        return inode_table.close(), directory_table.close()


def _references(nodes: Nodes, count: int) -> list[int]:
    """References to the inodes, by their numbers."""
    found = [0] * count
    for node in (nodes.root, *(node for folder in nodes.folders for _, node in folder.names)):
        assert node.place is not None  # noqa: S101  # for mypy: all are written
        found[node.number - 1] = node.place
    return found
