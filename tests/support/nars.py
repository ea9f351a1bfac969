"""NARs of every kind: written by hand, and by Nix."""

import io
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from layers.entry import Data, Directory, Entry, File, Meta, Symlink
from layers.nar import NarWriter


class Program(bytes):
    """The content of a file that may be executed."""


def text(data: bytes, padding: bytes | None = None) -> bytes:
    """A string of a NAR, its padding right or wrong."""
    filler = bytes(-len(data) % 8) if padding is None else padding
    return len(data).to_bytes(8, "little") + data + filler


def words(*parts: bytes) -> bytes:
    """Strings of a NAR."""
    return b"".join(map(text, parts))


def archive(*nodes: bytes) -> bytes:
    """The magic, and what follows."""
    return text(b"nix-archive-1") + b"".join(nodes)


def regular(data: bytes = b"", *, executable: bool = False) -> bytes:
    """A file."""
    return words(b"(", b"type", b"regular", *((b"executable", b"") if executable else ()), b"contents", data, b")")


def symlink(target: bytes) -> bytes:
    """A symbolic link."""
    return words(b"(", b"type", b"symlink", b"target", target, b")")


def folder(*entries: tuple[bytes, bytes]) -> bytes:
    """A folder of (name, node), in the order in which they are given."""
    inner = b"".join(words(b"entry", b"(", b"name", name, b"node") + node + text(b")") for name, node in entries)
    return words(b"(", b"type", b"directory") + inner + text(b")")


def make(path: Path, node: object) -> None:
    """Make a tree on disk."""
    if isinstance(node, Mapping):
        path.mkdir()
        for name, below in node.items():
            make(path / os.fsdecode(name), below)
    elif isinstance(node, Path):
        path.symlink_to(node)
    else:
        assert isinstance(node, bytes)
        path.write_bytes(node)
        path.chmod(0o755 if isinstance(node, Program) else 0o644)


def entries(node: object, path: bytes = b"") -> Iterable[Entry]:
    """The entries of a tree, in `tree_order`; their contents are at hand."""
    if isinstance(node, Mapping):
        yield Directory(path, Meta(0o555))
        for name in sorted(node):
            yield from entries(node[name], path + b"/" + name if path else name)
    elif isinstance(node, Path):
        yield Symlink(path, os.fsencode(node))
    else:
        assert isinstance(node, bytes)
        yield File(path, Data(bytes(node)), Meta(0o555 if isinstance(node, Program) else 0o444))


def nar_of(all_entries: Iterable[Entry]) -> bytes:
    """What `NarWriter` makes of entries whose contents are at hand."""
    stream = io.BytesIO()
    writer = NarWriter(stream.write)
    for entry in all_entries:
        writer.add(entry.path, entry)
        if isinstance(entry, File):
            assert isinstance(entry.content, Data)
            writer.data(entry.content.data)
    writer.close()
    assert writer.size == len(stream.getvalue())
    return stream.getvalue()


def dump(path: Path) -> bytes:
    """What Nix says is the NAR of a path."""
    return subprocess.run(["nix-store", "--dump", str(path)], capture_output=True, check=True).stdout


#: A tree of every kind, and of names and sizes at every edge.
TREE: Mapping[bytes, object] = {
    b"a": {b"z": b"", b"nested": {b"deep": {b"er": b"x" * 100_000}}},
    b"a-b": b"sorted after a/z",
    b"a.b": Program(b"#!/bin/sh\n"),
    b"empty": {},
    b"link": Path("a/z"),
    b"dangling": Path("/no where/\u00e9"),
    b"name with \n and \xff": b"12345678",
    b"n" * 255: b"1234567",
    **{b"size-%d" % size: bytes(range(size)) for size in (0, 1, 7, 8, 9, 15, 16, 17)},
}
