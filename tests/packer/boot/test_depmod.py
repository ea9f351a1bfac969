"""The tables of a kernel's modules, against those that kmod makes of the same modules."""

import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from formats.system import System
from layers.entry import Data, Entry, File
from layers.reader import Reader
from layers.tree import Tree, add_parents
from packer.boot.depmod import tables
from packer.boot.modules import Modules, read_modules
from tests.support.kernel_modules import module

#: Enough of a kernel's modules to have all that tables can have, and not so many that writing them takes long.
SOME = ("arch/", "crypto/", "drivers/block/", "drivers/scsi/", "drivers/virtio/", "drivers/net/v", "fs/", "net/ipv4/")


@pytest.fixture(scope="module")
def some(bootable_debian: System) -> Iterator[tuple[Tree, Modules]]:
    """Some modules of Debian's kernel."""
    tree = bootable_debian.tree
    folder = tree.real(b"lib/modules/x")[:-2]
    (version,) = {os.path.relpath(entry.path, folder).split(b"/")[0].decode() for entry in tree.below(folder)}
    kernel = folder + b"/" + version.encode() + b"/kernel/"
    kept: dict[bytes, Entry] = {}
    for entry in tree.below(folder):
        inside = entry.path.removeprefix(kernel).decode()
        if isinstance(entry, File) and (inside.startswith(SOME) or not entry.path.startswith(kernel)):
            kept[b"lib/modules" + entry.path.removeprefix(folder)] = entry
    found = {path: File(path, entry.content) for path, entry in kept.items() if isinstance(entry, File)}
    whole: dict[bytes, Entry] = {**found}
    add_parents(whole)
    with Reader() as reader:
        yield Tree(whole), read_modules(Tree(whole), version, reader)


@pytest.fixture(scope="module")
def theirs(some: tuple[Tree, Modules], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the same modules, and tables by depmod(8)."""
    root, (tree, modules) = tmp_path_factory.mktemp("depmod"), some
    with Reader() as reader:
        for entry in tree:
            path = root / os.fsdecode(entry.path)
            if isinstance(entry, File):
                path.write_bytes(reader.read(entry.content))
            else:
                path.mkdir()
    subprocess.run(["depmod", "--basedir", root, modules.version], check=True)
    return root / os.fsdecode(modules.folder)


@pytest.fixture(scope="module")
def ours(some: tuple[Tree, Modules]) -> dict[str, bytes]:
    """Tables by name."""
    tree, modules = some
    with Reader() as reader:
        made = list(tables(modules, tree, reader))
    return {os.path.basename(file.path).decode(): content(file) for file in made}


def content(entry: Entry) -> bytes:
    assert isinstance(entry, File)
    assert isinstance(entry.content, Data)
    return entry.content.data


def test_there_is_a_table_for_each_of_theirs(ours: dict[str, bytes], theirs: Path) -> None:
    shipped = {"modules.builtin", "modules.builtin.modinfo", "modules.order"}
    since_33 = {"modules.weakdep"}
    assert ours.keys() == {path.name for path in theirs.glob("modules.*")} - shipped | since_33


@pytest.mark.parametrize("name", ["modules.alias", "modules.softdep", "modules.devname"])
def test_tables_are_theirs(name: str, ours: dict[str, bytes], theirs: Path) -> None:
    assert len(ours[name]) > 100
    assert ours[name] == (theirs / name).read_bytes()


Trie = tuple[bytes, list[tuple[int, bytes]], dict[int, Any]]


def trie(index: bytes, place: int) -> Trie:
    """A node of an index: its prefix, priorities and values, and what is below it by the next character."""
    at = place & 0x0FFFFFFF
    prefix, values, children = b"", [], {}
    if place & 1 << 31:
        prefix = index[at : index.index(b"\0", at)]
        at += len(prefix) + 1
    if place & 1 << 29:
        first, last = index[at : at + 2]
        places = struct.unpack_from(f">{last - first + 1}I", index, at + 2)
        children = {first + number: trie(index, child) for number, child in enumerate(places) if child}
        at += 2 + 4 * len(places)
    if place & 1 << 30:
        (count,) = struct.unpack_from(">I", index, at)
        at += 4
        for _ in range(count):
            end = index.index(b"\0", at + 4)
            values.append((int.from_bytes(index[at : at + 4]), index[at + 4 : end]))
            at = end + 1
    return prefix, values, children


@pytest.mark.parametrize(
    "name", ["modules.alias.bin", "modules.symbols.bin", "modules.builtin.bin", "modules.builtin.alias.bin"]
)
def test_indexes_have_the_nodes_of_theirs(name: str, ours: dict[str, bytes], theirs: Path) -> None:
    """Node by node: since 34 kmod writes a node before those below it, and not after them."""
    found, expected = ours[name], (theirs / name).read_bytes()
    assert len(found) == len(expected) > 100
    assert found[:8] == expected[:8]
    assert trie(found, int.from_bytes(found[8:12])) == trie(expected, int.from_bytes(expected[8:12]))


def test_what_modules_ask_for(tmp_path: Path) -> None:
    """No module of Debian's kernels has weak dependencies yet, and kmod before 33 does not know them."""
    folder = b"lib/modules/6.1/"
    files = {
        folder + b"a.ko": module(["weakdep=b c", "weakdep=d", "softdep=pre: b"]),
        folder + b"b.ko": module(["weakdep=a"]),
        folder + b"modules.order": b"b.ko\na.ko\n",
        folder + b"modules.builtin": b"",
        folder + b"modules.builtin.modinfo": b"",
    }
    tree = Tree({path: File(path, Data(data)) for path, data in files.items()})
    with Reader() as reader:
        made = {entry.path: content(entry) for entry in tables(read_modules(tree, "6.1", reader), tree, reader)}
    weak = b"weakdep b a\nweakdep a b c\nweakdep a d\n"
    assert made[folder + b"modules.weakdep"] == b"# Weak dependencies extracted from modules themselves.\n" + weak
    theirs = depmod(tmp_path, files, "modules.*[tk]dep")
    assert folder + b"modules.softdep" in theirs
    assert theirs == {path: made[path] for path in theirs}


def depmod(root: Path, files: dict[bytes, bytes], pattern: str) -> dict[bytes, bytes]:
    """Tables by depmod(8) that it makes of these modules."""
    (root / "lib/modules/6.1").mkdir(parents=True)
    for path, data in files.items():
        (root / os.fsdecode(path)).write_bytes(data)
    subprocess.run(["depmod", "--basedir", root, "6.1"], check=True)
    found = (root / "lib/modules/6.1").glob(pattern)
    return {os.fsencode(path.relative_to(root)): path.read_bytes() for path in found}


def test_symbols_are_theirs_in_another_order(ours: dict[str, bytes], theirs: Path) -> None:
    expected = (theirs / "modules.symbols").read_bytes().splitlines()
    assert len(expected) > 100
    assert sorted(ours["modules.symbols"].splitlines()) == sorted(expected)


def test_dependencies_are_theirs_and_each_comes_before_what_it_needs(ours: dict[str, bytes], theirs: Path) -> None:
    lines = [line.split() for line in ours["modules.dep"].decode().splitlines()]
    expected = [line.split() for line in (theirs / "modules.dep").read_text().splitlines()]
    assert len(lines) > 100
    assert [(line[0], sorted(line[1:])) for line in lines] == [(line[0], sorted(line[1:])) for line in expected]
    needed = {line[0].removesuffix(":"): line[1:] for line in lines}
    for path, others in needed.items():
        for place, other in enumerate(others):
            assert not set(others[:place]) & set(needed[other]), path


@pytest.mark.parametrize(
    "name",
    ["ext4", "virtio_scsi", "crypto-crc32c", "symbol:scsi_add_host_with_dma", "fs-overlay", "pci:v00001AF4d00001042"],
)
def test_modprobe_finds_the_same_with_ours(
    name: str, ours: dict[str, bytes], theirs: Path, some: tuple[Tree, Modules], tmp_path: Path
) -> None:
    folder = tmp_path / "lib/modules" / some[1].version
    folder.mkdir(parents=True)
    for table, data in ours.items():
        (folder / table).write_bytes(data)
    found = [
        subprocess.run(
            ["modprobe", "--dirname", root, "--set-version", some[1].version, "--resolve-alias", name],
            capture_output=True, text=True, check=False,
        ).stdout
        for root in (tmp_path, theirs.parents[2])
    ]  # fmt: skip
    assert found[0] == found[1]


def test_modules_that_need_each_other_are_no_end_of_it() -> None:
    files = {
        f"lib/modules/6/{name}.ko".encode(): module([f"depends={other}"]) for name, other in (("a", "b"), ("b", "a"))
    }
    tree = Tree({path: File(path, Data(data)) for path, data in files.items()})
    with Reader() as reader:
        made = {entry.path: entry for entry in tables(read_modules(tree, "6", reader), tree, reader)}
    assert content(made[b"lib/modules/6/modules.dep"]) == b"a.ko: b.ko a.ko\nb.ko: a.ko b.ko\n"
