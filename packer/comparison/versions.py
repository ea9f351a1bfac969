"""Versions of an image that are compared, as closures of items without contents.

NAME.toml          the closure that its stores give now, as os.lock beside it has it
NAME.lock          the items that it locks: their names and sizes, not what they need
docker://…         what the manifest and the configuration say that the layers hold
anything else      the same, of an archive or a layout
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from formats.layer_items import LayerItem
from formats.platform import PLATFORMS, Platform
from layers.digest import Digest
from layers.entry import Entry
from layers.errors import InputError
from layers.item import Closure, StoreItem
from packer import lock
from packer.inspection.outline import Outline, outline
from packer.lock import LockedItem
from packer.nix.item import source_name
from packer.nix.layout import GUIX, NIX
from packer.subject import Registries

Blobs = Mapping[Digest, int]


@dataclass(frozen=True, slots=True)
class Version:
    """A version of an image.

    Attributes:
        name: as the user wrote it.
        closure: its items.
        knows_references: whether it says what items need.
        is_lock: whether sizes are those of packages, and not those of their files.
        blobs: bytes of the configuration, then of each layer, the lowest first, as they are stored; none if it is no
            image with a manifest.
    """

    name: str
    closure: Closure
    knows_references: bool = True
    is_lock: bool = False
    blobs: Blobs | None = None

    @property
    def size(self) -> int:
        """Bytes of all items."""
        return sum(item.size for item in self.closure)


@dataclass(frozen=True, slots=True)
class Reader:
    """How versions are read.

    Attributes:
        registries: opens repositories.
        platform: name of the one that is compared; empty if each version has one.
        declared: gives the closure of an os.toml for that platform, and the blobs of its image if they are wanted.
    """

    registries: Registries
    platform: str
    declared: Callable[[str, bool], tuple[Closure, Blobs | None]]

    def read(self, names: Sequence[str]) -> list[Version]:
        """The versions of some names, oldest first.

        What an os.toml declares is made if the first version is an image: from there it would be updated.

        Raises:
            InputError: one of them cannot be read, or there are locks beside something else.
            PackError: a store or a registry does not give what it has.
        """
        found: list[Version] = []
        for name in names:
            found.append(self._version(name, from_image=bool(found) and found[0].blobs is not None))
            if found[-1].is_lock != found[0].is_lock:
                raise InputError(
                    f"{found[0].name} and {name}: locks have sizes of packages, all else has those of files",
                    hint="Compare locks with locks: `ocipack lock` writes one.",
                )
        return found

    def _version(self, name: str, *, from_image: bool) -> Version:
        if name.endswith(".toml"):
            closure, blobs = self.declared(name, from_image)
            return Version(name, closure, blobs=blobs)
        if name.endswith(".lock"):
            return self._locked(name)
        platform = PLATFORMS.get(self.platform)
        return image_version(name, outline(name, platform.specifier if platform else self.platform, self.registries))

    def _locked(self, name: str) -> Version:
        found = lock.read(name)
        if not found:
            raise InputError(f"there is no {name}")
        platforms = sorted({item.platform for item in found.items})
        if len(platforms) > 1 and self.platform not in platforms:
            raise InputError(f"{name} has several platforms: {', '.join(platforms)}", hint="--platform names one.")
        items = [_locked_item(item) for item in found.of_platform(self.platform)]
        return Version(name, Closure(items), knows_references=False, is_lock=True)


def platform_of(platforms: Sequence[Platform], wanted: str, name: str) -> Platform:
    """The platform that is compared.

    Args:
        platforms: those of an os.toml.
        wanted: name of one; empty if there is one.
        name: of the os.toml.

    Raises:
        InputError: there are several, or not this one.
    """
    found = [platform for platform in platforms if wanted in ("", platform.name, platform.specifier)]
    if len(found) != 1:
        there = ", ".join(platform.name for platform in platforms)
        raise InputError(f"{name} is for {there}", hint="--platform names one of them.")
    return found[0]


def image_version(name: str, found: Outline) -> Version:
    """An image, by its documents alone.

    Raises:
        InputError: it does not say what its layers hold.
    """
    written = [item for layer in found.artefact.layers for item in layer.items or ()]
    if not written:
        raise InputError(f"{name} does not say what its layers hold", hint="Images of ocipack do.")
    blobs = {layer.digest: layer.blob.size for layer in found.artefact.layers if layer.digest}
    config = found.image.manifest.get("config")
    if not blobs or not isinstance(config, dict):
        return Version(name, Closure(_image_items(written)))
    return Version(name, Closure(_image_items(written)), blobs={found.image.config_digest: config["size"], **blobs})


def _image_items(written: Sequence[LayerItem]) -> Iterator[StoreItem]:
    for item in written:
        needed = {written[place].path for place in item.references if 0 <= place < len(written)} - {item.path}
        yield _item(
            item.path,
            name=item.name,
            version=item.version,
            identity=item.identity,
            size=item.size,
            references=tuple(sorted(needed)),
            source=item.source,
        )


def _locked_item(item: LockedItem) -> StoreItem:
    # The pool of a Debian archive has a folder for each source: pool/main/g/glibc/libc6_2.36-9_amd64.deb
    source = item.path.split("/")[-2] if item.architecture and item.path.count("/") > 1 else source_name(item.path)
    made = _item(item.key, name=item.name, version=item.version, identity=Digest(item.sha256), size=item.size)
    return replace(made, source=source)


class _Nothing:
    """The contents of an item of which only the name is known."""

    def entries(self) -> Iterator[Entry]:
        return iter(())


@dataclass(frozen=True, slots=True, eq=False)
class _RebuiltItem(StoreItem):
    """An item of Nix or Guix."""

    CHANGES_WITH_REFERENCES = True


def _item(
    path: str,
    *,
    name: str,
    version: str,
    identity: Digest,
    size: int,
    references: tuple[str, ...] = (),
    source: str = "",
) -> StoreItem:
    made = _RebuiltItem if NIX.is_item(path) or GUIX.is_item(path) else StoreItem
    return made(path, name, version, identity, size, references, _Nothing(), source=source)
