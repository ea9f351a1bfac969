"""SBOMs: the closure, exactly, in the two forms that programs read.

components    the items of the closure, as both forms tell them
spdx          SPDX 2.3: the only module that knows spdx-tools
cyclonedx     CycloneDX 1.6: the only module that knows cyclonedx-python-lib

Both are JSON, and a function of what is packed: times are the epoch, identifiers derive from SHA-256.
"""

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from layers.errors import InputError
from layers.output import PendingFile

if TYPE_CHECKING:
    from formats.format import Artefact
    from packer.build import Production
    from packer.sbom.components import Bill

#: Every form: its name, which is its module's, and how its files are called.
ENDINGS = {"spdx": ".spdx.json", "cyclonedx": ".cdx.json"}
MEDIA_TYPES = {"spdx": "application/spdx+json", "cyclonedx": "application/vnd.cyclonedx+json"}


class Form(Protocol):
    """A module of this package that writes SBOMs."""

    def document(self, bill: "Bill") -> bytes:
        """An SBOM."""
        ...


def form(name: str) -> Form:
    """The form of a name, which is one of `ENDINGS`; takes a second to import."""
    return cast("Form", importlib.import_module(f"{__name__}.{name}"))


@dataclass(frozen=True, slots=True)
class SbomFile:
    """An SBOM that is wanted as a file.

    Attributes:
        form: its name.
        path: where it goes, absolute.
    """

    form: str
    path: str

    @classmethod
    def of(cls, path: str) -> "SbomFile":
        """The file of a path, whose ending says the form.

        Raises:
            InputError: it ends in something else, or its folder does not exist.
        """
        if not os.path.isdir(os.path.dirname(path)):
            raise InputError(f"--sbom {path}: there is no such folder")
        for name, ending in ENDINGS.items():
            if path.endswith(ending):
                return cls(name, path)
        raise InputError(
            f"--sbom {path}: the name does not say which form it is to have",
            hint="NAME.spdx.json is SPDX, NAME.cdx.json is CycloneDX.",
        )


def files(paths: Sequence[str], platforms: int) -> list[SbomFile]:
    """The files of some paths.

    Args:
        paths: absolute.
        platforms: how many the system is made for.

    Raises:
        InputError: a path is none of an SBOM, or there are several platforms.
    """
    if paths and platforms > 1:
        raise InputError(
            "--sbom goes with one platform only", hint="`ocipack push` attaches SBOMs to the image of each platform."
        )
    return [SbomFile.of(path) for path in paths]


def write(wanted: Sequence[SbomFile], production: "Production", artefacts: Sequence["Artefact"]) -> None:
    """Write SBOMs, each whole or not at all.

    Args:
        wanted: where to; if there is nothing, nothing is done.
        production: of what.
        artefacts: that were made of it.

    Raises:
        PackError: an item cannot be read, or a file cannot be written.
    """
    if not wanted:
        return
    from packer.sbom.components import bill, image_of

    told = bill(production.system, production.plan, image_of(artefacts))
    documents = [form(file.form).document(told) for file in wanted]
    for file, document in zip(wanted, documents, strict=True):
        folder, name = os.path.split(file.path)
        with PendingFile(folder) as pending:
            pending.write(document)
            pending.publish(name)
