"""What readers of file systems found, next to what tars of the same trees hold."""

import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from formats.reading.filesystem import Allowance, Walk, open_file_system
from formats.reading.listing import Budget
from formats.reading.source import FileSource
from layers.entry import Entry
from layers.tar_reader import Header
from packer.inspection.difference import compare
from packer.inspection.inspection import Inspection
from tests.support.entries import tar_of
from tests.support.inspections import inspected
from tests.support.volumes import tree_of


def differences(before: Inspection, after: Inspection) -> dict[str, tuple[str, ...]]:
    """The paths that differ, each with what differs of it."""
    return {os.fsdecode(change.path): change.attributes for change in compare(before, after).entries}


def as_tar(folder: Path, entries: Iterable[Entry]) -> Inspection:
    """The entries as our reader of tars sees them."""
    (folder / "expected.tar").write_bytes(tar_of(tree_of(entries)))
    return inspected(folder / "expected.tar")


def packed(tree: Path) -> Inspection:
    """A folder as GNU tar packs it."""
    archive = tree.with_name("expected.tar")
    options = ["--format=pax", "--sort=name", "--xattrs", "--xattrs-include=*"]
    subprocess.run(["tar", *options, "-cf", archive, "-C", tree, "."], check=True)
    return inspected(archive)


def walk(path: Path, memory: int) -> Iterator[Header]:
    """The entries of a volume in a file, read with so many bytes of memory."""
    with FileSource(str(path), "it") as volume:
        file_system = open_file_system(volume)
        assert file_system
        for header, _ in Walk(file_system, volume, Budget(memory), Allowance(1 << 30)):
            yield header


def foreign_tree(folder: Path) -> Path:
    """A folder with all that other people's writers of file systems take from a folder; it needs root."""
    tree = folder / "tree"
    script = """
    mkdir -p etc usr/bin many deep/1/2/3/4/5/6/7/8/9
    echo hello >etc/hello && chmod 4751 etc/hello && chown 1000:70000 etc/hello && ln etc/hello etc/hard
    seq 200000 >usr/bin/large && truncate -s 3M usr/bin/large && echo end >>usr/bin/large
    truncate -s 5M usr/bin/hole && : >usr/bin/empty && echo deep >deep/1/2/3/4/5/6/7/8/9/file
    ln -s ../usr/bin/large etc/short && ln -s "$(printf 'targettarget/%.0s' 1 2 3 4 5 6 7 8)end" etc/long
    mkfifo fifo && mknod null c 1 3 && mknod disk b 8 1 && chmod 1777 many
    for i in $(seq 600); do echo $i >"many/a file among many others, $i"; done
    """
    tree.mkdir()
    subprocess.run(["sh", "-ec", script], cwd=tree, check=True)
    return tree


def add_attributes(tree: Path) -> None:
    """Attributes and access control lists, which not all writers take."""
    script = """
    setfattr -n user.small -v value etc/hello && setfattr -n user.large -v "$(seq 300 | tr -d '\\n')" usr/bin/large
    setfacl -m u:1000:rw,g:70000:r usr/bin/empty && setfacl -d -m u:1000:rwx many
    setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 usr/bin/hole
    """
    subprocess.run(["sh", "-ec", script], cwd=tree, check=True)
