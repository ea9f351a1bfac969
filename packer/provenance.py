"""Provenance: what went into an image, and what built it (in-toto Statement v1 with SLSA Provenance v1).

    subject                 the image, by its digest
    buildDefinition         os.toml and os.lock by their digests, what they say that names no place, every item
    runDetails              ocipack, Python and the codec, with their versions

No time is in it that nobody gave, and no address: the same build tells the same.
"""

import os
import sys
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from formats.container_image import canonical_json
from layers.digest import Digest
from layers.errors import PackError
from layers.output import said
from packer.build import Production, Settings
from packer.declaration import Declaration
from packer.sbom.components import Bill

MEDIA_TYPE = "application/vnd.in-toto+json"
PREDICATE = "https://slsa.dev/provenance/v1"

_STATEMENT = "https://in-toto.io/Statement/v1"
_BUILD_TYPE = "urn:ocipack:build:1"
_BUILDER = "urn:ocipack:builder"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Build:
    """A build of an image.

    Attributes:
        declaration: os.toml, with what the command line says instead.
        settings: with what it was built.
        production: what was made of it.
    """

    declaration: Declaration
    settings: Settings
    production: Production


def statement(build: Build, bill: Bill, name: str) -> bytes:
    """The provenance of an image.

    Args:
        build: how it was made.
        bill: what is in it; of an image.
        name: of the image: its repository.

    Raises:
        PackError: os.toml or os.lock cannot be read any more.
    """
    return canonical_json(
        {
            "_type": _STATEMENT,
            "subject": [{"name": name, "digest": _digest(Digest.parse(bill.digest))}],
            "predicateType": PREDICATE,
            "predicate": {"buildDefinition": _definition(build, bill), "runDetails": _run(build)},
        }
    )


def _definition(build: Build, bill: Bill) -> Json:
    files = [build.settings.file, *([build.settings.lock_file] if build.settings.lock else [])]
    return {
        "buildType": _BUILD_TYPE,
        "externalParameters": _parameters(build),
        "internalParameters": {"epoch": build.settings.epoch, "verify": build.settings.verify},
        "resolvedDependencies": [
            *({"name": os.path.basename(file), "digest": _digest(_digest_of(file))} for file in files),
            *_base(build),
            *(
                {"name": component.path, "uri": component.purl, "digest": _digest(component.identity)}
                for component in bill.components
            ),
        ],
    }


def _base(build: Build) -> list[Json]:
    """The image that the image stands on, if its manifest is known."""
    base = build.production.system.base
    return [{"name": base.name or "base", "digest": _digest(base.digest)}] if base and base.digest else []


def _parameters(build: Build) -> Json:
    declaration, codec = build.declaration, build.production.codec
    platform, previous = build.production.system.platform, build.settings.previous
    before = previous.digests.get(platform.specifier) if previous else None
    created = declaration.container.created
    return {
        "name": declaration.name,
        "version": declaration.version,
        "platform": platform.name,
        **({} if created is None else {"created": created}),
        "stores": [store.type for store in declaration.store],
        "layers": {
            **({"previous": before} if before else {"strategy": declaration.layers.strategy}),
            "max-layers": declaration.layers.max_layers,
            "compression": {"codec": codec.name, "level": codec.level},
        },
    }


def _run(build: Build) -> Json:
    tool = version("ocipack")
    python = ".".join(map(str, sys.version_info[:3]))
    versions = {"ocipack": tool, "python": python, "codec": build.production.codec.library}
    return {"builder": {"id": f"{_BUILDER}:{tool}", "version": versions}}


def _digest(digest: Digest) -> Json:
    return {"sha256": digest.hex}


def _digest_of(path: str) -> Digest:
    try:
        with open(path, "rb", buffering=0) as file:
            return Digest.of_file(file)
    except OSError as error:
        raise PackError(f"cannot read {path}: {said(error)}") from None
