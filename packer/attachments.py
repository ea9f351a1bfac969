"""What `[sbom]` wants attached to an image that is built: SBOMs and provenance."""

from collections.abc import Sequence
from dataclasses import replace

from layers.blob import Layer
from layers.digest import Digest
from packer import provenance
from packer.provenance import Build
from packer.registry.referrers import Attachment
from packer.sbom import form
from packer.sbom.components import Bill, bill

_PROVENANCE = "provenance"


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
        about = {"in-toto.io/predicate-type": provenance.PREDICATE}
        return Attachment(
            provenance.MEDIA_TYPE, provenance.MEDIA_TYPE, provenance.statement(build, told, name), kind, about
        )
    written = form(kind)
    return Attachment(written.MEDIA_TYPE, written.MEDIA_TYPE, written.document(told), kind)
