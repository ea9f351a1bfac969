"""Kernel modules: what is below /lib/modules/VERSION, and what each of them needs.

A module tells of itself in its section `.modinfo`: `key=value`, each with a NUL at its end (Linux, include/linux/
module.h). `depends` names the modules whose symbols it uses; `softdep` those that it asks for when it runs, by names or
aliases; `alias` what stands for it.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from layers.decompress import decompressed
from layers.entry import Content, Data, File
from layers.errors import EntryError
from layers.reader import Reader
from layers.tree import Tree
from packer.boot.elf import read_elf

_COMPRESSIONS = {".ko": "none", ".ko.gz": "gzip", ".ko.xz": "xz", ".ko.zst": "zstd"}
_EXPORTED = "__ksymtab_"  # before the name of a symbol that other modules may use (include/linux/export.h)
_NOTHING: Mapping[str, "Said"] = {}
_LARGEST = 64 << 20  # bytes of a module; amdgpu, the largest of Debian's, has 20 MB


@dataclass(frozen=True, slots=True)
class Said:
    """What a module says of itself: see `Module`, which has both."""

    info: tuple[tuple[str, str], ...]
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Module:
    """A kernel module.

    Attributes:
        name: as the kernel has it: with `_` for each `-`.
        path: below the folder of its kernel's modules.
        compressed: the file, as it is in the image.
        info: what it says of itself, (key, value), in its order.
        symbols: what it exports.
    """

    name: str
    path: str
    compressed: Content
    info: tuple[tuple[str, str], ...]
    symbols: tuple[str, ...]

    def values(self, key: str) -> Iterator[str]:
        """All values of a key."""
        return (value for name, value in self.info if name == key)

    def content(self, reader: Reader) -> Content:
        """What the kernel loads.

        Raises:
            PackError: it cannot be read, is damaged, or has more than 64 MiB.
        """
        compression = _COMPRESSIONS[_split(os.path.basename(self.path))[1]]
        if compression == "none":
            return self.compressed
        data = bytearray()
        for piece in decompressed(reader.pieces(self.compressed), compression, self.path):
            data += piece
            if len(data) > _LARGEST:
                raise EntryError(f"the module {self.path} has more than {_LARGEST >> 20} MiB")
        return Data(bytes(data))

    @property
    def depends(self) -> tuple[str, ...]:
        """Names of the modules whose symbols it uses."""
        return tuple(module_name(name) for value in self.values("depends") for name in value.split(",") if name)

    def softly_depends(self, when: str) -> Iterator[str]:
        """What it asks for, `pre` or `post`: names of modules, or aliases (modprobe.d(5), softdep)."""
        for value in self.values("softdep"):
            section = ""
            for word in value.split():
                if word.endswith(":"):
                    section = word[:-1]
                elif section == when:
                    yield word


@dataclass(frozen=True)
class Modules:
    """The modules of a kernel.

    Attributes:
        version: of the kernel, as `uname -r` says it.
        folder: where they are in the root file system.
        all: in the order of their paths.
        built_in: names of those that are in the kernel itself.
    """

    version: str
    folder: bytes
    all: tuple[Module, ...]
    built_in: frozenset[str]

    @cached_property
    def by_name(self) -> Mapping[str, Module]:
        """Each by its name."""
        return {module.name: module for module in self.all}

    @cached_property
    def _by_alias(self) -> Mapping[str, list[Module]]:
        found: dict[str, list[Module]] = {}
        for module in self.all:
            for alias in module.values("alias"):
                found.setdefault(module_name(alias), []).append(module)
        return found

    def needed(self, names: Iterable[str]) -> list[Module]:
        """Modules with all that they need, each after what it needs; names that no module has are passed over."""
        found: dict[str, Module] = {}
        under_way: set[str] = set()

        def add(name: str) -> None:
            name = module_name(name)
            for module in [self.by_name[name]] if name in self.by_name else self._by_alias.get(name, ()):
                if module.name in under_way:
                    continue
                under_way.add(module.name)
                for other in (*module.softly_depends("pre"), *module.depends):
                    add(other)
                found[module.name] = module
                for other in module.softly_depends("post"):
                    add(other)

        for name in names:
            add(name)
        return list(found.values())


def module_name(file_name: str) -> str:
    """The name of a module, from that of a file or a parameter."""
    return file_name.replace("-", "_")


def module_folder(tree: Tree, version: str) -> bytes:
    """Where a kernel's modules are."""
    return tree.real(b"lib/modules/" + os.fsencode(version))


def read_modules(tree: Tree, version: str, reader: Reader, known: Mapping[str, Said] = _NOTHING) -> Modules:
    """Read what a kernel's modules say of themselves.

    Args:
        tree: the root file system.
        version: of the kernel.
        reader: reads them.
        known: what modules say that need not be read, by their paths.

    Raises:
        PackError: a module cannot be read, or is none.
    """
    folder = module_folder(tree, version)
    modules = []
    for entry in tree.below(folder):
        name, extension = _split(os.fsdecode(os.path.basename(entry.path)))
        file = tree.follow(entry.path) if extension in _COMPRESSIONS else None
        if isinstance(file, File):
            path = os.fsdecode(entry.path[len(folder) + 1 :])
            unread = Module(module_name(name), path, file.content, (), ())
            said = known.get(path) or _read(unread, reader)
            modules.append(replace(unread, info=said.info, symbols=said.symbols))
    lines = text(tree, folder + b"/modules.builtin", reader).splitlines()
    built_in = frozenset(module_name(_split(os.path.basename(line))[0]) for line in lines)
    return Modules(version, folder, tuple(sorted(modules, key=lambda module: module.path)), built_in)


def text(tree: Tree, path: bytes, reader: Reader) -> str:
    """The content of a file that may be there; any bytes are kept as `latin-1`."""
    entry = tree.follow(path)
    return reader.read(entry.content).decode("latin-1") if isinstance(entry, File) else ""


def _split(file_name: str) -> tuple[str, str]:
    name, dot, extension = file_name.partition(".")
    return name, dot + extension


def _read(unread: Module, reader: Reader) -> Said:
    sections = read_elf(unread.content(reader), reader, f"the module {unread.path}").sections
    info = []
    for line in reader.read(sections.get(".modinfo", Data(b""))).split(b"\0"):
        key, separator, value = line.decode("latin-1").partition("=")
        if separator:
            info.append((key, value))
    names = reader.read(sections.get(".strtab", Data(b""))).decode("latin-1").split("\0")
    symbols = {name.removeprefix(_EXPORTED) for name in names if name.startswith(_EXPORTED)}
    return Said(tuple(info), tuple(sorted(symbols)))
