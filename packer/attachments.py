"""What is attached to an image: SBOMs and provenance, as `[sbom]` wants them of one that is built, or files."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from formats.reading.documents import strict_json
from layers.blob import Layer
from layers.digest import Digest
from layers.errors import InputError
from layers.output import said
from packer import provenance
from packer.provenance import Build
from packer.registry.image import Manifest
from packer.registry.referrers import Attachment
from packer.sbom import MEDIA_TYPES, form
from packer.sbom.components import Bill, bill

_PROVENANCE = "provenance"
_STATEMENT = "https://in-toto.io/Statement/"
_LARGEST = 64 << 20  # bytes of a document: an SBOM of 50,000 items


def of_image(build: Build, image: tuple[Digest, Sequence[Layer]], name: str) -> list[Attachment]:
    """The attachments of an image, in the order of os.toml.

    Args:
        build: how it was made.
        image: digest of its manifest, and its layers, lowest first.
        name: of its repository.

    Raises:
        PackError: what they tell of cannot be read.
    """
    wanted = build.declaration.sbom.attach
    if not wanted:
        return []
    told = bill(build.production.system, build.production.plan, image)
    platform = build.production.system.platform.name
    several = len(build.declaration.target_platforms) > 1
    made = (_attachment(kind, build, told, name) for kind in wanted)
    return [replace(each, title=f"{each.title} for {platform}") if several else each for each in made]


def _attachment(kind: str, build: Build, told: Bill, name: str) -> Attachment:
    if kind == _PROVENANCE:
        return _of(provenance.MEDIA_TYPE, provenance.statement(build, told, name), kind, provenance.PREDICATE)
    return _of(MEDIA_TYPES[kind], form(kind).document(told), kind)


def _of(media_type: str, data: bytes, title: str, predicate: str = "") -> Attachment:
    about = {"in-toto.io/predicate-type": predicate} if predicate else {}
    return Attachment(media_type, media_type, data, title, about)


def of_file(path: str, manifests: Sequence[Manifest]) -> tuple[Attachment, Manifest]:
    """A document as an attachment of the image that it is about: the one whose digest is in it.

    Args:
        path: of an SBOM in JSON (SPDX, CycloneDX), or of an in-toto statement.
        manifests: of the images.

    Raises:
        InputError: it cannot be read, is nothing of that kind, or is not about one of the images.
    """
    data = _read(path)
    attachment = _recognised(data, path)
    about = [manifest for manifest in manifests if manifest.digest.hex.encode() in data]
    if len(about) != 1:
        known = "".join(f"\n  {manifest.digest}" for manifest in manifests)
        named = "none" if not about else f"{len(about)}"
        raise InputError(f"{path} names {named} of these images, where it is to be about one:{known}")
    return attachment, about[0]


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {said(error)}") from None
    if len(data) > _LARGEST:
        raise InputError(f"{path} is larger than {_LARGEST >> 20} MiB")
    return data


def _recognised(data: bytes, path: str) -> Attachment:
    try:
        facts = strict_json(data)
    except (ValueError, RecursionError):
        facts = None
    title = os.path.basename(path)
    known: Mapping[str, Any] = facts if isinstance(facts, dict) else {}
    if "spdxVersion" in known:
        return _of(MEDIA_TYPES["spdx"], data, title)
    if known.get("bomFormat") == "CycloneDX":
        return _of(MEDIA_TYPES["cyclonedx"], data, title)
    predicate = known.get("predicateType")
    if str(known.get("_type")).startswith(_STATEMENT) and isinstance(predicate, str):
        return _of(provenance.MEDIA_TYPE, data, title, predicate)
    raise InputError(
        f"{path} is nothing that is attached to images", hint="SBOMs are (SPDX or CycloneDX, in JSON), and provenance."
    )
