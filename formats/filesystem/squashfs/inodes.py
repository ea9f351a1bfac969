"""Inodes: basic ones where they are enough, extended ones where they are not."""

from formats.filesystem.squashfs.nodes import DeviceNode, FileNode, FolderNode, LinkNode, Node, holes
from formats.filesystem.squashfs.structures import (
    DEVICE,
    DIRECTORY,
    EXTENDED,
    EXTENDED_DIRECTORY,
    EXTENDED_FILE,
    FILE,
    INDEX,
    INODE,
    LINKS,
    LISTING_EXTRA,
    LONGEST_LISTING,
    NOTHING,
    SYMLINK,
    WORD,
    Type,
    device_number,
)

_WORD = 1 << 32


def packed(node: Node, mtime: int, block: int, count: int) -> bytes:
    """An inode.

    Args:
        node: whose.
        mtime: of everything.
        block: bytes of a content's block.
        count: how many inodes there are.
    """
    if isinstance(node, FileNode):
        extended, data = _file(node, block)
    elif isinstance(node, FolderNode):
        extended, data = _folder(node, count)
    else:
        extended, data = _small(node)
    kind = node.type + (EXTENDED if extended else 0)
    return INODE.pack(kind, node.mode, node.owner, node.group, mtime, node.number) + data


def _file(node: FileNode, block: int) -> tuple[bool, bytes]:
    blocks, zeros = node.blocks, holes(node.blocks, block)
    sizes = b"".join(map(WORD.pack, blocks.sizes))
    extended = node.links > 1 or zeros or node.attributes != NOTHING or node.size >= _WORD or blocks.start >= _WORD
    if not extended:
        return False, FILE.pack(blocks.start, node.fragment, node.offset, node.size) + sizes
    fields = (blocks.start, node.size, zeros, node.links, node.fragment, node.offset, node.attributes)
    return True, EXTENDED_FILE.pack(*fields) + sizes


def _folder(node: FolderNode, count: int) -> tuple[bool, bytes]:
    block, offset = node.listing
    size = node.size + LISTING_EXTRA
    above = node.above.number if node.above else count + 1  # as mksquashfs: the root's is nobody
    if not node.index and node.attributes == NOTHING and size <= LONGEST_LISTING:
        return False, DIRECTORY.pack(block, node.links, size, offset, above)
    fields = (node.links, size, block, above, len(node.index), offset, node.attributes)
    index = (INDEX.pack(start, place, len(name) - 1) + name for start, place, name in node.index)
    return True, EXTENDED_DIRECTORY.pack(*fields) + b"".join(index)


def _small(node: Node) -> tuple[bool, bytes]:
    if isinstance(node, LinkNode):
        data = SYMLINK.pack(node.links, len(node.target)) + node.target
    elif isinstance(node, DeviceNode) and node.type is not Type.FIFO:
        data = DEVICE.pack(node.links, device_number(node.major, node.minor))
    else:
        data = LINKS.pack(node.links)
    extended = node.attributes != NOTHING
    return extended, data + (WORD.pack(node.attributes) if extended else b"")
