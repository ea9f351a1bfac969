"""The image before, of which an image keeps the layers: `--previous`.

The plan is in the image: its manifest, or its configuration, says what each layer holds and why. Nothing else is kept
anywhere, and no layer is read; of a reference, none is pulled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from formats.platform import Platform
from layers.errors import InputError
from layers.plan import Strategy
from layers.previous import Kept, PreviousLayer
from layers.progress import Progress
from layers.strategies import tiers
from packer.inspection.outline import Outline, outline, outlines
from packer.subject import Registries


@dataclass(frozen=True, slots=True)
class Previous:
    """An image, or an index of several.

    Attributes:
        name: as the user wrote it.
        digests: of the manifests, or else of the configurations, by the platforms' specifiers.
        plans: of the layers, by the same.
    """

    name: str
    digests: Mapping[str, str]
    plans: Mapping[str, Kept]

    def strategy(self, platform: Platform, progress: Progress) -> Strategy:
        """How the layers for a platform are planned.

        Args:
            platform: the processor.
            progress: is warned if there was no image for it.
        """
        if platform.specifier not in self.plans:
            progress.warn(f"{self.name} has no image for {platform.specifier}: its layers are planned anew")
            return tiers
        return self.plans[platform.specifier]


def read_previous(name: str, registries: Registries) -> Previous:
    """The image of an archive, a layout or a reference.

    Raises:
        ArtefactError: it cannot be read, or is no image.
        InputError: it does not say what its layers hold.
        RegistryError: the registry does not give it.
    """
    found = outlines(name, "", registries) or [outline(name, "", registries)]
    digests = {one.image.platform: str(one.image.manifest_digest or one.image.config_digest) for one in found}
    return Previous(name, digests, {one.image.platform: Kept(_layers(name, one)) for one in found})


def _layers(name: str, found: Outline) -> tuple[PreviousLayer, ...]:
    layers: Sequence[PreviousLayer] = [
        PreviousLayer(layer.items, layer.reason or "kept") for layer in found.artefact.layers if layer.items
    ]
    if not layers:
        raise InputError(
            f"{name} does not say what its layers hold", hint="Images of ocipack do, as long as they have some items."
        )
    return tuple(layers)
