"""Runtimes that images are for: `--for`. What one would not run is refused before it is built, with the reason.

What they take was tried with docker 20.10 and podman 4.3. Docker's own image store stacks 125 layers and fails at the
next one ("max depth exceeded"); podman was seen to run 128. The image store of containerd, which is docker's default
since Engine 29, was not tried: overlayfs takes 500 layers, a page of mount options some 400, and builders keep to 127.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layers.base import BaseLayer
from layers.errors import InputError
from layers.plan import MOST_LAYERS

if TYPE_CHECKING:
    from layers.item import StoreItem
    from packer.tables.layers import Layers

#: What is pushed, as if it were a format.
REGISTRY = "registry"

_ARCHIVES = ("docker", "oci", REGISTRY)
_CODECS = ("none", "gzip", "zstd")


@dataclass(frozen=True, slots=True)
class Runtime:
    """What runs images, or whole systems.

    Attributes:
        title: what people call it.
        formats: types of artefact that it loads, `REGISTRY` among them if it pulls.
        codecs: what layers may be compressed with; none if it has no layers.
        most_layers: that it is known to run; 0 if it has none.
        others: why it takes nothing else, by format or codec.
        pulls_stacks: whether it pulls all that is above the lowest layer that differs, and not what differs alone.
    """

    title: str
    formats: tuple[str, ...]
    codecs: tuple[str, ...]
    most_layers: int
    others: Mapping[str, str]
    pulls_stacks: bool = False

    def refusals(self, layers: "Layers", names: Sequence[str]) -> Iterator[str]:
        """Why it would not run what is asked for; nothing if it would.

        Args:
            layers: `[layers]` of os.toml.
            names: formats, or `REGISTRY`.
        """
        for name in names:
            if name not in self.formats:
                yield f"{self.title} takes no {name}: {self.others[name]}"
        if not self.most_layers or not set(names) & set(_ARCHIVES):
            return
        codec = layers.compression.codec
        if codec not in self.codecs:
            yield f"{self.title} takes no layers in {codec}: {self.others[codec]}"
        if layers.max_layers > self.most_layers:
            yield f"{self.title} is known to run {self.most_layers} layers, and max-layers is {layers.max_layers}"


_NO_IMAGE = "it is a root file system, and says nothing of how a container is run"
_ROOTS = dict.fromkeys(("squashfs", "tarball", "wsl2"), _NO_IMAGE)
_NO_CONTAINERS = "it runs distributions, and no images of containers"

#: All runtimes, by what the command line calls them.
RUNTIMES = {
    "docker": Runtime(
        "docker with its own image store",
        ("docker", REGISTRY),
        ("none", "gzip"),
        MOST_LAYERS,
        {
            **_ROOTS,
            "oci": "`docker load` reads OCI layouts with the image store of containerd alone (--for docker29)",
            "zstd": "docker before version 23 fails with `invalid tar header`",
        },
        pulls_stacks=True,
    ),
    "docker29": Runtime("docker with the image store of containerd", _ARCHIVES, _CODECS, MOST_LAYERS, _ROOTS),
    "podman": Runtime("podman", _ARCHIVES, _CODECS, 128, _ROOTS),
    "containerd": Runtime("containerd", _ARCHIVES, _CODECS, 127, _ROOTS),
    "wsl": Runtime(
        "WSL", ("wsl2", "tarball"), (), 0, {**dict.fromkeys(_ARCHIVES, _NO_CONTAINERS), "squashfs": "it unpacks tars"}
    ),
}


def require(name: str, layers: "Layers", names: Sequence[str]) -> None:
    """See that a runtime would run what is asked for.

    Args:
        name: of the runtime.
        layers: `[layers]` of os.toml.
        names: formats, or `REGISTRY`.

    Raises:
        InputError: it would not; says everything at once.
    """
    runtime = RUNTIMES[name]
    refusals = list(runtime.refusals(layers, names))
    if refusals:
        taken = ", ".join(what for what in runtime.formats if what != REGISTRY)
        codecs = f", with layers in {', '.join(runtime.codecs)}" if runtime.codecs else ""
        raise InputError("\n  ".join([f"--for {name}:", *refusals]), hint=f"It takes {taken}{codecs}.")


def require_base(name: str, items: "Iterable[StoreItem]") -> None:
    """See that a runtime takes the layers of a base, which are compressed as they came.

    Args:
        name: of the runtime.
        items: of an image, the layers of its base among them.

    Raises:
        InputError: it does not; names the lowest layer of each codec.
    """
    runtime = RUNTIMES[name]
    layers = [(item.verbatim.layer.compression, item.name) for item in items if isinstance(item, BaseLayer)]
    others = {codec: title for codec, title in reversed(layers) if codec not in runtime.codecs}
    if runtime.codecs and others:
        refusals = [
            f"{runtime.title} takes no layers in {codec}, as {title} is: {runtime.others[codec]}"
            for codec, title in others.items()
        ]
        raise InputError(
            "\n  ".join([f"--for {name}:", *refusals]),
            hint=f"Take a base with layers in {', '.join(runtime.codecs)}: they are kept as they are.",
        )
