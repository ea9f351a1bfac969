"""Files of GRUB's package, and the list of modules that its kernel finds behind itself in memory.

    +-------------------+
    | module info       |  "mimg" 4, offset of the first module 4, bytes of all of this 4; of 64 bits 4, zeros 4, 8, 8
    | module            |  type 4, bytes with these 8 4, content, zeros to a multiple of 4; of 64 bits of 8
    | ...               |
    +-------------------+

A module is an ELF file (type 0), commands that are run first (2), or the folder with grub.cfg (3). GRUB 2.06 to 2.12,
include/grub/kernel.h; what a module needs is in moddep.lst.
"""

from collections.abc import Iterable, Iterator

from formats.structure import Structure
from layers.entry import File
from layers.errors import InputError, PackError
from layers.reader import Reader
from layers.tree import Tree
from packer.boot.elf import read_elf
from packer.boot.elf_object import read_object

_INFO = {
    32: Structure("<", "magic:4s offset:I size:I"),
    64: Structure("<", "magic:4s zeros:I offset:Q size:Q"),
}
_MODULE = Structure("<", "type:I size:I")
_ELF, _CONFIG, _PREFIX = 0, 2, 3
_LARGEST = 16 << 20  # bytes of a file, and of all modules; all that there are have 3 MiB


class GrubFiles:
    """GRUB's files for one kind of firmware.

    Args:
        tree: the root file system.
        folder: where they are in it: `usr/lib/grub/i386-pc`.
        reader: reads them.
    """

    def __init__(self, tree: Tree, folder: bytes, reader: Reader) -> None:
        self._tree = tree
        self._folder = folder
        self._reader = reader

    def read(self, name: str) -> bytes:
        """A file.

        Raises:
            InputError: it is not there.
            PackError: it is larger than any of GRUB's.
        """
        content = self._file(name).content
        if content.size > _LARGEST:
            raise PackError(f"GRUB's {name} has {content.size} bytes; {_LARGEST} are the most")
        return self._reader.read(content)

    def loaded(self, name: str) -> bytes:
        """What is loaded of an ELF file.

        Raises:
            InputError: it is not there.
            PackError: it is no such file, or nothing of it is loaded.
        """
        parts = read_elf(self._file(name).content, self._reader, f"GRUB's {name}").loaded
        if not parts or parts[0].size > _LARGEST:
            raise PackError(f"GRUB's {name} has nothing that is loaded, or more than {_LARGEST} bytes")
        return self._reader.read(parts[0])

    def with_needed(self, modules: Iterable[str]) -> list[str]:
        """Modules with all that they need, each after what it needs (moddep.lst), in grub-mkimage's order."""
        lines = (line.partition(":") for line in self.read("moddep.lst").decode(errors="replace").splitlines())
        needed = {name.strip(): others.split() for name, _, others in lines}
        found: dict[str, None] = {}
        under_way: set[str] = set()
        stack: list[tuple[str, Iterator[str]]] = [("", iter(tuple(modules)))]
        while stack:
            name, others = stack[-1]
            other = next((each for each in others if each not in under_way), None)
            if other is not None:
                under_way.add(other)
                stack.append((other, reversed(needed.get(other, ()))))
                continue
            found[name] = None
            stack.pop()
        return [name for name in found if name]

    def module_list(self, modules: Iterable[str], config: str, prefix: str, machine: int, bits: int) -> bytes:
        """What GRUB's kernel finds behind itself.

        Args:
            modules: names of modules; what they need is added.
            config: commands that are run first.
            prefix: the folder with grub.cfg and the modules that are not here; empty: none.
            machine: the processor of all modules, as ELF has it.
            bits: of its addresses, 32 or 64.

        Raises:
            InputError: a file is missing.
            PackError: a file is not what it should be.
        """
        body = bytearray()
        for name in self.with_needed(modules):
            body += _packed(_ELF, self._module(f"{name}.mod", machine), bits // 8)
            if len(body) > _LARGEST:
                raise PackError(f"GRUB's modules have more than {_LARGEST} bytes")
        for kind, text in ((_CONFIG, config), (_PREFIX, prefix)):
            body += _packed(kind, text.encode() + b"\0", bits // 8)
        info = _INFO[bits]
        return info.pack(magic=b"mimg", offset=info.size, size=info.size + len(body)) + body

    def _module(self, name: str, machine: int) -> bytes:
        """One as GRUB's kernel would link it: half a file would stop the machine that it starts."""
        content = self.read(name)
        found = read_object(content, f"GRUB's {name}")
        if found.machine != machine:
            raise PackError(f"GRUB's {name} is for another processor: {found.machine} instead of {machine}")
        return content

    def _file(self, name: str) -> File:
        entry = self._tree.follow(self._folder + b"/" + name.encode())
        if not isinstance(entry, File):
            place = f"/{self._folder.decode(errors='replace')}"
            raise InputError(f"{place} has no {name}", hint="Is it a whole package of GRUB, 2.06 or newer?")
        return entry


def _packed(kind: int, content: bytes, alignment: int) -> bytes:
    content += bytes(-len(content) % alignment)
    return _MODULE.pack(type=kind, size=_MODULE.size + len(content)) + content
