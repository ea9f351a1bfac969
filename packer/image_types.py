"""Types of artefact as os.toml has them: how they are made, and who may be asked for them."""

from typing import Any

from formats.image import Image
from formats.image_types import TYPES
from packer.config import override
from packer.declaration import Declaration
from packer.tables.types import Kind


def kinds(declaration: Declaration | None) -> list[Kind]:
    """Every type: the built-in ones, and those of os.toml, if there is one."""
    declared = declaration.types if declaration else {}
    built_in = [Kind(name, kind, kind.summary) for name, kind in TYPES.items()]
    return built_in + ([declaration.kind(name) for name in declared] if declaration else [])


def options(declaration: Declaration, name: str, folder: str) -> Any:
    """What a format is told of a type; nothing for formats without a table of their own.

    Args:
        declaration: os.toml.
        name: of the type.
        folder: of os.toml: relative paths start there.

    Raises:
        InputError: a file that a table names cannot be used, or what is in it does not go together.
    """
    kind = declaration.kind(name)
    if not kind.table:
        return None
    if kind.table != "disk":
        return table(declaration, kind).options(folder)
    return _disk_options(name, table(declaration, kind).applied(kind.base.image, folder, has_layout=kind.has_layout))


def outline(declaration: Declaration, kind: Kind) -> Image:
    """What a disk looks like, without the folders that its partitions shall hold.

    Raises:
        InputError: the layout leaves no room for a partition.
    """
    image: Image = table(declaration, kind).outline(kind.base.image, has_layout=kind.has_layout)
    return image


def _disk_options(name: str, image: Image) -> Any:
    """What makes a disk; imported only for one."""
    from formats.disk import Options
    from packer.boot.installer import BootInstaller

    return Options(name, image, BootInstaller())


def post_build(declaration: Declaration, name: str) -> tuple[str, ...]:
    """The program that gets an artefact when it is there, with its arguments; or none."""
    kind = declaration.kind(name)
    return (table(declaration, kind).post_build or ()) if kind.table == "disk" else ()


def table(declaration: Declaration, kind: Kind) -> Any:
    """The table that says how a type is made: what it has of the one for all types, and its own keys."""
    common = getattr(declaration, kind.table)
    shared = {key: value for key, value in common.table().items() if kind.shares(key)}
    own = {key: value for key, value in kind.own.items() if kind.has(key)}
    return override(type(common)(), shared | own, f"types.{kind.name}.{kind.table}")
