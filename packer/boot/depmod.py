"""What depmod(8) makes of a kernel's modules: the tables by which modprobe(8) and udev find drivers.

Without them a started system has no network. All are as kmod 30 writes them, byte by byte, but for `modules.symbols`,
which nobody reads: its lines are sorted here, and there in the order of a hash table. `modules.weakdep` is of kmod 33:
it names what a module may ask for when it runs, for those who make an initrd; modprobe does not load it.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence

from layers.entry import Data, Entry, File
from layers.reader import Reader
from layers.tree import Tree
from packer.boot.module_index import index
from packer.boot.modules import Module, Modules, module_name, text

_DEVICE = re.compile(r"(char|block)-major-(\d+)-(\d+)")
_BUILT_IN_ALIAS = re.compile(r"([^.=]+)\.alias=(.*)", re.DOTALL)
_UNORDERED = 1 << 30  # behind all that modules.order has


def tables(modules: Modules, tree: Tree, reader: Reader) -> Iterator[Entry]:
    """The tables, in the folder of the modules.

    Args:
        modules: of a kernel.
        tree: where that kernel's lists of modules are: their order, and those that are built in.
        reader: reads these.

    Raises:
        PackError: a list cannot be read.
    """

    def listed(name: str) -> str:
        return text(tree, modules.folder + b"/" + name.encode(), reader)

    ranks = {path: rank for rank, path in enumerate(listed("modules.order").splitlines())}
    ordered = sorted(modules.all, key=lambda module: (ranks.get(_uncompressed(module.path), _UNORDERED), module.path))
    made = {
        **_dependencies(ordered, modules),
        **_aliases(ordered),
        **_symbols(ordered),
        "modules.softdep": _asked_for("soft", ordered),
        "modules.weakdep": _asked_for("weak", ordered),
        "modules.devname": _lines("Device nodes to trigger on-demand module loading.", _devices(ordered)).encode(),
        "modules.builtin.bin": index((_name(line), "", 0) for line in listed("modules.builtin").splitlines()),
        "modules.builtin.alias.bin": index(_built_in_aliases(listed("modules.builtin.modinfo"))),
    }
    for name in sorted(made):
        yield File(modules.folder + b"/" + name.encode(), Data(made[name]))


def lookups(modules: Modules) -> dict[str, bytes]:
    """The tables that busybox's modprobe reads: what a module needs, and what it is called.

    Args:
        modules: those that can be loaded, at the paths where they are.
    """
    made = {**_dependencies(modules.all, modules), **_aliases(modules.all)}
    return {name: made[name] for name in ("modules.dep", "modules.alias")}


def _uncompressed(path: str) -> str:
    """What modules.order calls a module, whose compression comes later."""
    return path[: path.index(".ko") + len(".ko")]


def _name(path: str) -> str:
    return module_name(os.path.basename(path).partition(".")[0])


def _lines(title: str, lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in (f"# {title}", *lines))


def _dependencies(ordered: Sequence[Module], modules: Modules) -> dict[str, bytes]:
    """Each module with all that it needs, of which what is used by most of the others comes last."""
    needed = {
        module.name: [modules.by_name[name] for name in module.depends if name in modules.by_name] for module in ordered
    }
    ranks = _users_first(ordered, needed)
    lines = []
    for module in ordered:
        found: dict[str, Module] = {}
        waiting = list(needed[module.name])
        while waiting:
            other = waiting.pop()
            if other.name not in found:
                found[other.name] = other
                waiting += needed[other.name]
        paths = [other.path for other in sorted(found.values(), key=lambda other: ranks[other.name])]
        lines.append(" ".join([f"{module.path}:", *paths]))
    rows = [(module.name, line, rank) for rank, (module, line) in enumerate(zip(ordered, lines, strict=True))]
    text_form = "".join(f"{line}\n" for line in lines)
    return {"modules.dep": text_form.encode("latin-1"), "modules.dep.bin": index(rows)}


def _users_first(ordered: Sequence[Module], needed: dict[str, list[Module]]) -> dict[str, int]:
    """Ranks in a topological order: Kahn's algorithm, which takes what is free last first."""
    users = dict.fromkeys(needed, 0)
    for module in ordered:
        for other in needed[module.name]:
            users[other.name] += 1
    free = [module for module in ordered if not users[module.name]]
    ranks: dict[str, int] = {}
    while free:
        module = free.pop()
        ranks[module.name] = len(ranks)
        for other in needed[module.name]:
            users[other.name] -= 1
            if not users[other.name]:
                free.append(other)
    return ranks | {name: len(ranks) for name in needed.keys() - ranks.keys()}  # modules that need each other


def _aliases(ordered: Sequence[Module]) -> dict[str, bytes]:
    rows = [(alias, module.name, rank) for rank, module in enumerate(ordered) for alias in module.values("alias")]
    lines = _lines("Aliases extracted from modules themselves.", (f"alias {alias} {name}" for alias, name, _ in rows))
    found = index((_alias(alias), name, rank) for alias, name, rank in rows)
    return {"modules.alias": lines.encode("latin-1"), "modules.alias.bin": found}


def _symbols(ordered: Sequence[Module]) -> dict[str, bytes]:
    rows = [(f"symbol:{symbol}", module.name, rank) for rank, module in enumerate(ordered) for symbol in module.symbols]
    lines = sorted(f"alias {symbol} {name}" for symbol, name, _ in rows)
    found = _lines("Aliases for symbols, used by symbol_request().", lines)
    return {"modules.symbols": found.encode("latin-1"), "modules.symbols.bin": index(rows)}


def _alias(alias: str) -> str:
    """With `_` for each `-`, but for those in brackets, where it says from which character to which."""
    return re.sub(r"\[[^]]*\]|-", lambda found: "_" if found[0] == "-" else found[0], alias)


def _asked_for(kind: str, ordered: Sequence[Module]) -> bytes:
    lines = [f"{kind}dep {module.name} {value}" for module in ordered for value in module.values(f"{kind}dep")]
    return _lines(f"{kind.title()} dependencies extracted from modules themselves.", lines).encode()


def _devices(ordered: Sequence[Module]) -> Iterator[str]:
    """Nodes that have a fixed number, and a driver that is loaded when somebody opens them."""
    for module in ordered:
        names = [alias.partition(":")[2] for alias in module.values("alias") if alias.startswith("devname:")]
        numbers = [number for alias in module.values("alias") if (number := _DEVICE.fullmatch(alias))]
        if names and numbers:
            kind, major, minor = numbers[0].groups()
            yield f"{module.name} {names[-1]} {kind[0]}{major}:{minor}"


def _built_in_aliases(information: str) -> Iterator[tuple[str, str, int]]:
    for line in information.split("\0"):
        if found := _BUILT_IN_ALIAS.fullmatch(line):
            yield _alias(found[2]), module_name(found[1]), 0
