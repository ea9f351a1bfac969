"""What an SBOM lists: the items of the closure, each once, with what their packages say about themselves.

Debian's packages have purls as the specification says: `pkg:deb/debian/sed@4.9-1?arch=amd64&distro=bookworm`; those of
Ubuntu are `pkg:deb/ubuntu/…&distro=noble`. The vendor and the codename are those of the image's os-release; where there
is none, Ubuntu's packages are known by their maintainers, whom its builds set, and the others are Debian's.
The specification has none for store paths: a type for Nix is proposed (package-url/purl-spec, pull request 877), but it
names packages by their attribute in nixpkgs, which a store path does not tell. Therefore these are
`pkg:generic/NAME@VERSION` with qualifiers of ours: `store_path` and `nar_hash` for items of Nix and Guix, `identity`
for folders.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib.metadata import version
from uuid import UUID

from packageurl import PackageURL

from formats.container_image import ImageArtefact, canonical_json
from formats.identifiers import derived_uuid
from formats.system import System
from layers.blob import Layer
from layers.digest import Digest
from layers.entry import File
from layers.errors import EntryError
from layers.item import NarItem, StoreItem
from layers.plan import LayerPlan
from layers.reader import Reader
from layers.tree import Tree
from packer.debian import copyright as copyrights
from packer.debian.control import stanza
from packer.debian.package import DebianItem

_OS_RELEASE = b"etc/os-release"
_DOCUMENTS = "usr/share/doc"
_LARGEST_TEXT = 16 << 20  # bytes: the largest copyright file of Debian has 3 MiB
_WITH_VERSION = re.compile(r"(\S+)(?:\s+\((\S+)\))?")
_MAINTAINER = re.compile(r"\s*\"?([^<>\"]+?)\"?\s*<([^<>\s]+)>\s*")
_UBUNTU = re.compile(r".*[@.]ubuntu\.com")  # addresses of maintainers


@dataclass(frozen=True, slots=True)
class Place:
    """The layer that an item is in.

    Attributes:
        rank: counted from 1, the lowest.
        diff_id: digest of its tar.
        digest: of its blob.
    """

    rank: int
    diff_id: Digest
    digest: Digest


@dataclass(frozen=True, slots=True)
class Component:
    """An item.

    Attributes:
        path: its name in the store, unique.
        name: what people call it.
        version: of the package; may be empty.
        purl: its package URL.
        identity: see `layers.item.StoreItem`.
        checksum: SHA-256 of the .deb, or of the NAR; folders have none.
        supplier: who is responsible for the package: name and mail address; empty if nobody is named.
        source: package URL of the source package, or empty.
        licence: an SPDX expression, or empty.
        references: names of licences by the `LicenseRef` of the expression.
        licence_file: path and digest of the file that says so, or that people have to read; or empty.
        needs: paths of the components that it refers to, sorted.
        place: the layer that it is in, of an image.
    """

    path: str
    name: str
    version: str
    purl: str
    identity: Digest
    checksum: Digest | None = None
    supplier: tuple[str, str] = ("", "")
    source: str = ""
    licence: str = ""
    references: Mapping[str, str] = field(default_factory=dict)
    licence_file: str = ""
    needs: tuple[str, ...] = ()
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Bill:
    """What is packed.

    Attributes:
        name: of the whole.
        version: of the whole; may be empty.
        purl: of the image; empty if it is none.
        digest: of the image; empty if it is none.
        epoch: the time of everything, in seconds since 1970.
        tool: version of ocipack.
        roots: paths of the components that were asked for, sorted.
        components: sorted by path.
    """

    name: str
    version: str
    purl: str
    digest: str
    epoch: int
    tool: str
    roots: tuple[str, ...]
    components: tuple[Component, ...]

    @property
    def uuid(self) -> UUID:
        """Derives from all of the bill."""
        return derived_uuid(Digest.of(canonical_json(asdict(self))), "sbom")


def bill(system: System, plan: LayerPlan, image: tuple[Digest, Sequence[Layer]] | None) -> Bill:
    """What an SBOM of a system lists.

    Args:
        system: what is packed.
        plan: which items share a layer.
        image: digest of its manifest, and its layers, lowest first; if an image is made of it.

    Raises:
        PackError: a file of an item cannot be read.
    """
    places = _places(plan, image[1]) if image else {}
    with Reader() as reader:
        facts = _Facts(system, reader)
        components = tuple(
            facts.component(item, places.get(item.path)) for item in sorted(system.closure, key=lambda item: item.path)
        )
    return Bill(
        name=system.name,
        version=system.version,
        purl=_image_purl(system, image[0]) if image else "",
        digest=str(image[0]) if image else "",
        epoch=system.epoch,
        tool=version("ocipack"),
        roots=system.closure.roots,
        components=components,
    )


def image_of(artefacts: Sequence[object]) -> tuple[Digest, Sequence[Layer]] | None:
    """The first image among artefacts, for `bill`."""
    return next(((made.digest, made.layers) for made in artefacts if isinstance(made, ImageArtefact)), None)


def _places(plan: LayerPlan, layers: Sequence[Layer]) -> dict[str, Place]:
    """Layers by the paths of their items; the customization layer, which is the last one, has none."""
    return {
        item.path: Place(rank, layer.diff_id, layer.digest)
        for rank, (group, layer) in enumerate(zip(plan.groups, layers, strict=False), 1)
        for item in group.items
    }


def _image_purl(system: System, digest: Digest) -> str:
    name = system.image_name.repository.rpartition("/")[2]
    qualifiers = {"arch": system.platform.architecture, "tag": system.image_name.tag}
    return PackageURL("oci", None, name, str(digest), qualifiers).to_string()


class _Facts:
    """What is known about items.

    Args:
        system: that they are in.
        reader: reads their files.
    """

    def __init__(self, system: System, reader: Reader) -> None:
        self._system = system
        self._reader = reader
        release = dict(line.partition("=")[::2] for line in _text(self._data(_OS_RELEASE)).split("\n"))
        self._vendor = release.get("ID", "").strip("\"'")
        self._codename = release.get("VERSION_CODENAME", "").strip("\"'")

    def component(self, item: StoreItem, place: Place | None) -> Component:
        """What an SBOM says about an item."""
        if isinstance(item, DebianItem):
            return self._debian(item, place)
        if isinstance(item, NarItem):
            qualifiers = {"store_path": item.path, "nar_hash": str(item.nar_hash)}
        else:
            qualifiers = {"identity": str(item.identity)}
        return Component(
            path=item.path,
            name=item.name,
            version=item.version,
            purl=PackageURL("generic", None, item.name, item.version or None, qualifiers).to_string(),
            identity=item.identity,
            checksum=item.nar_hash if isinstance(item, NarItem) else None,
            needs=item.references,
            place=place,
        )

    def _debian(self, item: DebianItem, place: Place | None) -> Component:
        fields = stanza(item.stanza, item.path)
        source = _WITH_VERSION.fullmatch(fields.get("source", "").strip())
        supplier = _MAINTAINER.fullmatch(_text(os.fsencode(fields.get("maintainer", ""))))
        path, declared = self._licences(item)
        vendor = self._vendor or ("ubuntu" if supplier and _UBUNTU.fullmatch(supplier[2]) else "debian")
        return Component(
            path=item.path,
            name=item.name,
            version=item.version,
            purl=self._deb_purl(vendor, item.name, item.version, item.architecture),
            identity=item.identity,
            checksum=item.identity,
            supplier=(supplier[1], supplier[2]) if supplier else ("", ""),
            source=self._deb_purl(vendor, item.source, (source and source[2]) or item.version, "source"),
            licence=declared.expression if declared else "",
            references=declared.references if declared else {},
            licence_file=path,
            needs=item.references,
            place=place,
        )

    def _deb_purl(self, vendor: str, name: str, version: str, architecture: str) -> str:
        qualifiers = {"arch": architecture, "distro": self._codename}
        return PackageURL("deb", vendor, name, version, qualifiers).to_string()

    def _licences(self, item: DebianItem) -> tuple[str, copyrights.Licences | None]:
        """Where a package's licences are written down (Debian policy, 12.5), and what is declared there."""
        path = os.fsencode(f"{_DOCUMENTS}/{item.name}/copyright")
        data = self._data(path) or self._content(self._whole_documents, path)
        if not data:
            return "", None
        digest = Digest.of(data)
        return f"/{os.fsdecode(path)} ({digest})", copyrights.licences(_text(data), digest)

    @cached_property
    def _whole_documents(self) -> Tree:
        """The packages' documents, those among them that are left out of the image."""
        debian = (item for item in self._system.closure if isinstance(item, DebianItem))
        below = os.fsencode(f"{_DOCUMENTS}/")
        entries = (entry for item in debian for entry in item.all_entries() if entry.path.startswith(below))
        return Tree({entry.path: entry for entry in entries})

    def _data(self, path: bytes) -> bytes:
        """A file of the image; empty if there is none."""
        return self._content(self._system.tree, path)

    def _content(self, tree: Tree, path: bytes) -> bytes:
        try:
            entry = tree.follow(path)
        except EntryError:
            return b""
        if not isinstance(entry, File) or entry.content.size > _LARGEST_TEXT:
            return b""
        return self._reader.read(entry.content)


def _text(data: bytes) -> str:
    """What JSON can have: a byte that is no UTF-8 is replaced."""
    return data.decode(errors="replace")
