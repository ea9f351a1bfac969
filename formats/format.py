"""What a format is, and which there are: one a file; the file's name is its name on the command line."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from layers.archive import STANDARD_OUTPUT
from layers.output import require_place

if TYPE_CHECKING:
    from formats.system import System
    from layers.blob import Workshop
    from layers.digest import Digest
    from layers.plan import LayerPlan

#: Every format, in the order in which people are told of them, with what it makes. It stands here and not in the
#: format's module, because the command line knows all of them, and makes one.
NAMES = {
    "docker": "one archive for docker load, podman load and skopeo",
    "oci": "an OCI image layout: a folder, or an archive with -o NAME.tar",
    "tarball": "the root file system as one tar: none, gzip, xz, zstd, lzip or bzip2",
    "squashfs": "the root file system as one squashfs image, to be mounted: gzip, xz or zstd",
    "wsl2": "a distribution for wsl --install --from-file, or with --legacy for wsl --import",
    "iso9660": "an ISO 9660 image for CDs and USB sticks, with zisofs: BIOS and UEFI start it",
}

#: Those whose artefact can hold systems for several platforms: an `IndexFormat`. Of all others there is one for each.
INDEXED = ("docker", "oci")


@dataclass(frozen=True, slots=True)
class Order:
    """What to make.

    Attributes:
        system: of what.
        plan: which items share a layer.
        workshop: what layers are made with.
        output: path of the artefact.
        options: the `Options` of the format's module, if it has any.
        cache: folder of the cache, for what is no layer; empty: nothing is kept.
    """

    system: "System"
    plan: "LayerPlan"
    workshop: "Workshop"
    output: str
    options: Any = None
    cache: str = ""


class Artefact(Protocol):
    """What was made."""

    @property
    def path(self) -> str:
        """Where it is."""
        ...

    @property
    def summary(self) -> str:
        """What people are told of it, on one line."""
        ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """What programs are told of it besides its path, as JSON takes it; keys are in kebab case."""
        ...


@dataclass(frozen=True, slots=True)
class FileArtefact:
    """An artefact that is one file.

    Attributes:
        path: where it is.
        size: bytes.
        more: facts besides these.
    """

    path: str
    size: int
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> "Digest":
        """Of the file, which is read for it.

        Raises:
            OSError: it is gone.
        """
        from layers.cache import file_digest

        return file_digest(self.path)

    @property
    def summary(self) -> str:
        """See `Artefact`."""
        return f"{self.size / (1 << 20):.1f} MiB"

    @property
    def facts(self) -> Mapping[str, Any]:
        """See `Artefact`."""
        return {"digest": str(self.digest), "size": self.size, **self.more}


class Format(Protocol):
    """A module of this package that makes one kind of artefact.

    One that can be made in several ways has a frozen dataclass `Options`; the table of os.toml that is named as the
    format makes it.
    """

    def default_output(self, stem: str, options: Any) -> str:
        """File name of the artefact.

        Args:
            stem: name and version of the system.
            options: as in `Order`.
        """
        ...

    def write(self, order: Order) -> Artefact:
        """Make the artefact: whole, or not at all.

        Raises:
            PackError: something of the system cannot be read, or the output cannot be written.
        """
        ...


class IndexFormat(Format, Protocol):
    """A format whose artefact can hold systems for several platforms."""

    def write_index(self, orders: Sequence[Order]) -> Artefact:
        """Make the artefact of several platforms: whole, or not at all.

        Args:
            orders: of different platforms; they have one output.

        Raises:
            PackError: as `write`.
        """
        ...


@runtime_checkable
class AccompaniedFormat(Format, Protocol):
    """A format that writes something beside its artefact."""

    def companions(self, output: str, options: Any) -> tuple[str, ...]:
        """Paths of what is written beside the artefact.

        Args:
            output: path of the artefact.
            options: as in `Order`.
        """
        ...


@runtime_checkable
class ParticularFormat(Format, Protocol):
    """A format whose artefact cannot go everywhere where a file can, or may be a folder."""

    def require_output(self, output: str) -> None:
        """See that an artefact can get its place.

        Args:
            output: path of the artefact, or `STANDARD_OUTPUT`.

        Raises:
            InputError, OutputError: as `require_outputs`.
        """
        ...


def paths(name: str, output: str, options: Any) -> tuple[str, ...]:
    """Paths of all that is written for an artefact: its own, and those of what comes beside it.

    Args:
        name: of the format.
        output: path of the artefact.
        options: as in `Order`.
    """
    module = format_module(name)
    return (output, *module.companions(output, options)) if isinstance(module, AccompaniedFormat) else (output,)


def require_outputs(name: str, output: str, options: Any) -> None:
    """See that all that is written for an artefact can get its place, before anything is made.

    Args:
        name: of the format.
        output: path of the artefact, or `STANDARD_OUTPUT`.
        options: as in `Order`.

    Raises:
        InputError: it cannot go to standard output.
        OutputError: a folder is missing or takes nothing, or what is there already is not to be replaced.
    """
    module = format_module(name)
    own, *companions = paths(name, output, options)
    if isinstance(module, ParticularFormat):
        module.require_output(own)
    elif own != STANDARD_OUTPUT:
        require_place(own)
    for path in companions:
        require_place(path)


def write(name: str, orders: Sequence[Order]) -> Artefact:
    """Make the artefact of a format.

    Args:
        name: of the format.
        orders: one; or several, of different platforms, if the format is one of `INDEXED`.

    Raises:
        PackError: as `Format.write`.
    """
    module = format_module(name)
    return module.write(orders[0]) if len(orders) == 1 else cast("IndexFormat", module).write_index(orders)


def format_module(name: str) -> Format:
    """The format of a name, which is one of `NAMES`."""
    return cast("Format", importlib.import_module(f"formats.{name}"))
