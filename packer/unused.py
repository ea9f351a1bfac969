"""Keys of `[disk]` that say nothing of what is made: told before anything is fetched.

The table is one for all types. What says nothing of one of them may be there for another, and is a mistake only if no
type has a use for it: none that is made, that os.toml names as an output, or that it declares.
"""

from collections.abc import Collection, Iterator, Sequence

from formats.filesystem.iso9660.structures import LABEL_BYTES
from formats.image import BLS_BOOT, ESP, Image
from packer import document, image_types
from packer.declaration import Declaration
from packer.document import quoted
from packer.mistakes import Mistake
from packer.tables.disk import WITH_UUID, Disk
from packer.tables.types import OF_ISO, Kind


def mistakes(declaration: Declaration, names: Sequence[str]) -> list[Mistake]:
    """Keys that say nothing of the types that are made, nor of another that os.toml is for.

    Args:
        declaration: os.toml.
        names: of the types that are made.
    """
    made = _disks(declaration, names)
    users = made + _disks(declaration, [*declaration.outputs, *declaration.types])
    return list(_unused(declaration, made, users)) if made else []


def is_of_disks(disk: Disk) -> bool:
    """Whether the table says something that no image for CDs has."""
    return any(key not in OF_ISO for key in _said(disk))


def _disks(declaration: Declaration, names: Sequence[str]) -> list[Kind]:
    return [kind for kind in map(declaration.kind, names) if kind.table == "disk"]


def _unused(declaration: Declaration, made: Sequence[Kind], users: Sequence[Kind]) -> Iterator[Mistake]:
    """Keys that no type has a use for."""
    for key in _said(declaration.disk):
        if not any(_uses(declaration, kind, key) for kind in users):
            whose = ", ".join(dict.fromkeys(kind.name for kind in made))
            yield Mistake(f"disk.{key}", f"says nothing of {whose}", _remedy(key, made))


def _said(disk: Disk) -> Iterator[str]:
    """Keys that ask for something: what is false is what most types are anyway."""
    for key, value in disk.table().items():
        if value is not None and (value is not False or key == "volatile-root"):
            yield key


def _remedy(key: str, made: Sequence[Kind]) -> str:
    own = next((kind for kind in made if kind.has(key) and not kind.shares(key)), None)
    if own and key == "container":
        return f'leave it out, or put it into a type of your own: [types.NAME] with inherits = "{own.name}"'
    return "leave it out, or name the disk that it is for in outputs"


def _uses(declaration: Declaration, kind: Kind, key: str) -> bool:
    if not kind.shares(key):
        return False
    match key:
        case "uuid":
            return image_types.outline(declaration, kind).partition_table_type in WITH_UUID
        case "boot-size":
            own = image_types.table(declaration, kind).partitions
            return own is None and _has_boot_partition(image_types.outline(declaration, kind))
        case _:
            return True


def _has_boot_partition(image: Image) -> bool:
    return any(partition.flags & {ESP, BLS_BOOT} or partition.mount_point == "/boot" for partition in image.partitions)


def _has_esp(image: Image) -> bool:
    return any(ESP in partition.flags for partition in image.partitions)


def unfit(declaration: Declaration, kind: Kind, said: Collection[str]) -> Iterator[Mistake]:
    """Values of the table that a type cannot have.

    Args:
        declaration: os.toml.
        kind: a disk or an image for CDs.
        said: keys that the command line has said instead.
    """
    table = image_types.table(declaration, kind)
    if kind.is_iso:
        label = table.label or ""
        if not (label.isascii() and label.isprintable() and len(label) <= LABEL_BYTES):
            hint = f"it has at most {LABEL_BYTES} characters of ASCII"
            yield Mistake(_key(kind, "label"), f"{quoted(label)} is no label of an image for CDs", hint)
        if table.bootloader == "u-boot":
            yield Mistake(_key(kind, "bootloader"), "U-Boot starts no image for CDs", "take grub, systemd-boot or none")
    elif table.efi_vars and "efi-vars" not in said and not _has_esp(image_types.outline(declaration, kind)):
        hint = "leave it out; a type of [types] says it for some disks and not for others"
        yield Mistake(_key(kind, "efi-vars"), f"{kind.name} has no EFI system partition", hint)


def _key(kind: Kind, key: str) -> str:
    return document.key(kind.location(key))
