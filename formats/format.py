"""What a format is, and which there are: one a file; the file's name is its name on the command line."""

import importlib
from dataclasses import dataclass
from typing import Protocol, cast

from formats.system import System
from layers.blob import Layer, Workshop
from layers.digest import Digest
from layers.plan import LayerPlan

#: Every format, in the order in which people are told of them.
NAMES = ("docker", "oci")


@dataclass(frozen=True, slots=True)
class Order:
    """What to make.

    Attributes:
        system: of what.
        plan: which items share a layer.
        workshop: what layers are made with.
        output: path of the artefact.
    """

    system: System
    plan: LayerPlan
    workshop: Workshop
    output: str


@dataclass(frozen=True, slots=True)
class Artefact:
    """What was made.

    Attributes:
        path: where it is.
        reference: repository and tag.
        digest: of the image's manifest: what a registry calls it.
        image_id: digest of the image's configuration: what docker calls it.
        layers: lowest first, the customization layer last.
    """

    path: str
    reference: str
    digest: Digest
    image_id: Digest
    layers: tuple[Layer, ...]


class Format(Protocol):
    """A module of this package that makes one kind of artefact."""

    SUMMARY: str

    def default_output(self, stem: str) -> str:
        """File name of the artefact of a system whose name and version make the stem."""
        ...

    def write(self, order: Order) -> Artefact:
        """Make the artefact: whole, or not at all.

        Raises:
            PackError: something of the system cannot be read, or the output cannot be written.
        """
        ...


def format_module(name: str) -> Format:
    """The format of a name, which is one of `NAMES`."""
    return cast("Format", importlib.import_module(f"formats.{name}"))
