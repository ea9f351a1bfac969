"""What os.toml alone tells of artefacts: mistakes that a build would find only after packages were fetched."""

from collections.abc import Iterator

from formats import wsl2
from layers.entry import Data, Entry, File, Symlink
from layers.errors import InputError
from layers.tree import Tree
from packer import image_types
from packer.declaration import Declaration
from packer.tables.wsl2 import Wsl2

_LOCKED = "!"


def warnings(declaration: Declaration, folder: str) -> list[str]:
    """What may be wrong with the artefacts that os.toml is about: its outputs, and those whose tables it has.

    Args:
        declaration: os.toml.
        folder: of os.toml: relative paths start there.

    Raises:
        InputError: an artefact cannot be made.
    """
    for kind in image_types.kinds(declaration):
        image_types.options(declaration, kind.name, folder)
    if "wsl2" not in declaration.outputs and declaration.wsl2 == Wsl2():
        return []
    entries = {entry.path: entry for entry in _declared(declaration)}
    options = declaration.wsl2.options(folder)
    found = dict.fromkeys(
        finding
        for platform in declaration.target_platforms
        for finding in wsl2.early_findings(declaration.name, platform.name, options, Tree(entries))
    )
    if broken := [f"wsl2: {finding}" for finding in found if finding.rule.forbids]:
        raise InputError("\n".join(broken), hint="docs/wsl2.md says what to do about each rule.")
    return [f"wsl2: {finding}" for finding in found]


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
