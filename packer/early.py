"""What os.toml and the files that it names tell of artefacts: mistakes that are told before anything is fetched.

Types are asked for by their names, and the table of each is looked at as that type has it. What is wrong with a key
that several of them have is told once.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from formats import wsl2
from formats.filesystem import TooSmallError
from formats.wsl_rules import Finding
from layers.entry import Data, Entry, File, Symlink
from layers.errors import InputError
from layers.tree import Tree
from packer import document, host_paths, image_types, unused
from packer.authorized_keys import KeyLineError
from packer.declaration import Declaration
from packer.document import Location, quoted
from packer.host_paths import Named
from packer.mistakes import ConfigError, Mistake
from packer.operating_system.homes import key_lines
from packer.record import kebab
from packer.stores import RefusingOptions
from packer.tables.disk import Disk
from packer.tables.files import FileDeclaration, is_glob
from packer.tables.types import Kind
from packer.tables.users import UserDeclaration
from packer.tables.wsl2 import Wsl2

_LOCKED = "!"


def require(mistakes: Iterable[Mistake], origin: str) -> None:
    """Refuse an os.toml that has mistakes.

    Raises:
        ConfigError: it has some: each is told once.
    """
    if found := tuple(dict.fromkeys(mistakes)):
        raise ConfigError(origin, found)


def subjects(declaration: Declaration) -> list[str]:
    """The types that os.toml is about: its outputs, its own, and those whose tables it has."""
    names = [*declaration.outputs, *declaration.types]
    if declaration.wsl2 != Wsl2():
        names.append("wsl2")
    if unused.is_of_disks(declaration.disk) and not any(declaration.kind(name).table == "disk" for name in names):
        names.append(_usual(declaration.disk))
    return list(dict.fromkeys(names))


def _usual(disk: Disk) -> str:
    """A type that the table fits to, if os.toml names none."""
    return "efi-raw" if disk.efi_vars and disk.partitions is None and disk.partition_table is None else "disk"


def named(declaration: Declaration, names: Sequence[str], folder: str) -> Iterator[Named]:
    """The paths of this machine that are read to make types of artefact, in the order of their keys.

    Args:
        declaration: os.toml.
        names: of the types.
        folder: of os.toml, absolute.
    """
    several = len(declaration.store) > 1
    yield from host_paths.named(declaration.store if several else declaration.store[0], folder, ("store",))
    yield from host_paths.named(declaration.os, folder, ("os",))
    for kind in map(declaration.kind, names):
        for path in host_paths.named(image_types.table(declaration, kind), folder, ()) if kind.table else ():
            yield replace(path, location=(*kind.location(str(path.location[0])), *path.location[1:]))


def mistakes(
    declaration: Declaration, names: Sequence[str], folder: str, said: Collection[str] = ()
) -> Iterator[Mistake]:
    """What is wrong with what is to be made.

    Args:
        declaration: os.toml.
        names: of the types that are made.
        folder: of os.toml, absolute.
        said: keys of `[disk]` that the command line has said instead.
    """
    yield from (wrong for path in named(declaration, names, folder) if (wrong := path.mistake()))
    yield from _of_roots(declaration.store, folder)
    yield from _of_keys(declaration.os.users, folder)
    yield from _below_files(declaration.os.files, folder)
    for kind in map(declaration.kind, names):
        yield from _of_platforms(declaration, kind)
        if kind.table == "disk":
            yield from unused.unfit(declaration, kind, said)
            yield from () if kind.is_iso else _of_disk(declaration, kind)
            yield from _of_post_build(declaration, kind, folder)
        elif kind.table == "wsl2":
            yield from _of_wsl(declaration, kind, folder)


def _of_roots(stores: Sequence[object], folder: str) -> Iterator[Mistake]:
    """Roots of stores of this machine that are not there."""
    for place, store in enumerate(stores):
        location: Location = ("store", place) if len(stores) > 1 else ("store",)
        for below, error in store.refusals(folder) if isinstance(store, RefusingOptions) else ():
            yield Mistake.of(document.key((*location, *below)), error)


def _of_platforms(declaration: Declaration, kind: Kind) -> Iterator[Mistake]:
    """Processors that a type is not for."""
    wrong = [platform.name for platform in declaration.target_platforms if platform.name not in kind.base.platforms]
    if kind.base.platforms and wrong:
        message = f"{kind.name} is for {', '.join(kind.base.platforms)}, not for {', '.join(wrong)}"
        yield Mistake("platform" if declaration.platform else "platforms", message, "`ocipack types` has others")


def _of_keys(users: Sequence[UserDeclaration], folder: str) -> Iterator[Mistake]:
    """Files with keys that are there, and in which something else is."""
    for place, user in enumerate(users):
        for number, one in enumerate(user.authorized_keys):
            if one.source is not None and os.path.isfile(os.path.join(folder, one.source)):
                try:
                    key_lines(one, folder)
                except KeyLineError as error:
                    yield Mistake.of(f"os.users[{place}].authorized-keys[{number}].source", error)


def _below_files(files: Sequence[FileDeclaration], folder: str) -> Iterator[Mistake]:
    """Files that would be in another of them, which is no folder."""
    places = {file.target: place for place, file in enumerate(files) if not _is_folder(file, folder)}
    for place, file in enumerate(files):
        above = os.path.dirname(file.target)
        while above != "/" and above not in places:
            above = os.path.dirname(above)
        if above in places:
            what = "a file" if files[places[above]].symlink is None else "a link"
            message = f"is below {quoted(above)}, which is {what} of os.files[{places[above]}]"
            yield Mistake(f"os.files[{place}].target", message, "change one of them")


def _is_folder(file: FileDeclaration, folder: str) -> bool:
    """Whether other files may be below it; of a source that is not there, that is another's mistake."""
    if file.source is None:
        return file.directory
    return is_glob(file.table()) or not os.path.isfile(os.path.join(folder, file.source))


def _of_disk(declaration: Declaration, kind: Kind) -> Iterator[Mistake]:
    """What is wrong with a disk, whatever is packed."""
    from formats.disk.plan import problems  # formats of disks are imported only for one

    try:
        image = image_types.outline(declaration, kind)
    except InputError as error:
        yield Mistake.of(document.key(kind.location("boot-size")), error)
        return
    own = image_types.table(declaration, kind).partitions is not None
    for problem in problems(image):
        key = kebab(problem.attribute).removesuffix("-type")  # of the table, which os.toml calls partition-table
        if own and problem.number:
            location: Location = (*kind.location("partitions"), problem.number - 1, key)
        elif isinstance(problem.error, TooSmallError):
            location = kind.location("boot-size" if problem.number else "size")
        else:
            location = kind.location(key)
        yield Mistake.of(document.key(location), problem.error)


def warnings(declaration: Declaration, names: Sequence[str], folder: str) -> list[str]:
    """What may be wrong with distributions for WSL that have no mistakes.

    Args:
        declaration: os.toml.
        names: of the types that are made.
        folder: of os.toml: relative paths start there.
    """
    kinds = [kind for kind in map(declaration.kind, names) if kind.table == "wsl2"]
    return [f"{kind.name}: {finding}" for kind in kinds for finding in _findings(declaration, kind, folder)]


def _of_post_build(declaration: Declaration, kind: Kind, folder: str) -> Iterator[Mistake]:
    """A program that has a path, and is not there; what is looked for in $PATH may be there when it is run."""
    program, *_ = image_types.post_build(declaration, kind.name) or [""]
    if "/" in program and not os.path.isfile(os.path.join(folder, program)):
        message = f"there is no program {os.path.join(folder, program)}"
        yield Mistake(document.key(kind.location("post-build")), message)


def _of_wsl(declaration: Declaration, kind: Kind, folder: str) -> Iterator[Mistake]:
    """What is wrong with a distribution for WSL, whatever the packages have."""
    table: Wsl2 = image_types.table(declaration, kind)
    refusals = list(table.refusals(folder))
    for key, error in refusals:
        yield Mistake.of(document.key(kind.location(key)), error)
    if refusals or any(path.mistake() for path in host_paths.named(table, folder, ())):
        return
    for finding in _findings(declaration, kind, folder):
        if finding.rule.forbids:
            yield Mistake(kind.name, str(finding), "docs/wsl2.md says what to do about each rule")


def _findings(declaration: Declaration, kind: Kind, folder: str) -> Iterable[Finding]:
    tree = Tree({entry.path: entry for entry in _declared(declaration)})
    options = image_types.options(declaration, kind.name, folder)
    platforms = [platform.name for platform in declaration.target_platforms]
    return dict.fromkeys(
        finding for each in platforms for finding in wsl2.early_findings(declaration.name, each, options, tree)
    )


def _declared(declaration: Declaration) -> Iterator[Entry]:
    """What the image is known to have, before it is made."""
    for file in declaration.os.files:
        path = file.target.strip("/").encode()
        if file.symlink is not None:
            yield Symlink(path, file.symlink.encode())
        elif path and not file.directory:
            yield File(path, Data((file.text or "").encode()))
    hashes = [f"{user.name}:{user.password}\n" for user in declaration.os.users if user.password not in (None, _LOCKED)]
    if hashes:
        yield File(b"etc/shadow", Data("".join(hashes).encode()))
