"""SPDX 2.3 in JSON (spdx.github.io/spdx-spec/v2.3).

    SPDXRef-DOCUMENT --DESCRIBES--> SPDXRef-System --CONTAINS--> SPDXRef-NAME-HEX, one an item --DEPENDS_ON--> others

The layer of an item is in its comment: `layer 3: sha256:DIFF_ID`.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from license_expression import LicenseExpression
from spdx_tools.common.spdx_licensing import spdx_licensing
from spdx_tools.spdx.jsonschema.document_converter import DocumentConverter
from spdx_tools.spdx.model import (
    Actor,
    ActorType,
    Checksum,
    ChecksumAlgorithm,
    CreationInfo,
    Document,
    ExternalPackageRef,
    ExternalPackageRefCategory,
    ExtractedLicensingInfo,
    Package,
    PackagePurpose,
    Relationship,
    RelationshipType,
    SpdxNoAssertion,
)

from formats.container_image import canonical_json
from layers.digest import Digest
from packer.sbom.components import Bill, Component

_VERSION = "SPDX-2.3"
_DOCUMENT = "SPDXRef-DOCUMENT"
_SYSTEM = "SPDXRef-System"
_NAMESPACE = "https://spdx.org/spdxdocs"  # for who has no address of his own (section 6.5)
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9.-]+")


def document(bill: Bill) -> bytes:
    """An SBOM; see `packer.sbom.Form`."""
    ids = {component.path: _id(component) for component in bill.components}
    made = Document(
        creation_info=_creation(bill),
        packages=[_system(bill), *(_package(component, ids[component.path]) for component in bill.components)],
        relationships=list(_relationships(bill, ids)),
        extracted_licensing_info=_own_licences(bill),
    )
    converted: dict[str, Any] = DocumentConverter().convert(made)  # type: ignore[no-untyped-call]
    return canonical_json(converted)


def _creation(bill: Bill) -> CreationInfo:
    name = f"{bill.name} {bill.version}".strip()
    return CreationInfo(
        spdx_version=_VERSION,
        spdx_id=_DOCUMENT,
        name=name,
        document_namespace=f"{_NAMESPACE}/{quote(name, safe='')}-{bill.uuid}",
        creators=[Actor(ActorType.TOOL, f"ocipack-{bill.tool}")],
        created=datetime.fromtimestamp(bill.epoch, UTC),
    )


def _id(component: Component) -> str:
    readable = _NOT_IN_IDS.sub("-", component.name).strip("-")
    return f"SPDXRef-{readable}-{Digest.of(component.path.encode()).hex[:16]}"


def _system(bill: Bill) -> Package:
    return Package(
        spdx_id=_SYSTEM,
        name=bill.name,
        version=bill.version or None,
        download_location=SpdxNoAssertion(),
        files_analyzed=False,
        checksums=[_checksum(Digest.parse(bill.digest))] if bill.digest else [],
        license_concluded=SpdxNoAssertion(),
        license_declared=SpdxNoAssertion(),
        copyright_text=SpdxNoAssertion(),
        external_references=_purls(bill.purl),
        primary_package_purpose=PackagePurpose.CONTAINER if bill.digest else PackagePurpose.OPERATING_SYSTEM,
    )


def _package(component: Component, spdx_id: str) -> Package:
    name, mail = component.supplier
    read = component.licence_file
    place = component.place
    return Package(
        spdx_id=spdx_id,
        name=component.name,
        version=component.version or None,
        download_location=SpdxNoAssertion(),
        supplier=Actor(ActorType.PERSON, name, mail) if name else SpdxNoAssertion(),
        files_analyzed=False,
        checksums=[_checksum(component.checksum)] if component.checksum else [],
        source_info=f"built from {component.source}" if component.source else None,
        license_concluded=SpdxNoAssertion(),
        license_declared=_licence(component.licence),
        license_comment=f"{'declared' if component.licence else 'written down'} in {read}" if read else None,
        copyright_text=SpdxNoAssertion(),
        comment=f"layer {place.rank}: {place.diff_id}" if place else None,
        external_references=_purls(component.purl),
    )


def _checksum(digest: Digest) -> Checksum:
    return Checksum(ChecksumAlgorithm.SHA256, digest.hex)


def _purls(purl: str) -> list[ExternalPackageRef]:
    return [ExternalPackageRef(ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", purl)] if purl else []


def _licence(expression: str) -> LicenseExpression | SpdxNoAssertion:
    return spdx_licensing.parse(expression) if expression else SpdxNoAssertion()


def _own_licences(bill: Bill) -> list[ExtractedLicensingInfo]:
    """The licences that SPDX has no identifier for: where their text is."""
    found = {
        reference: (name, component.licence_file)
        for component in bill.components
        for reference, name in component.references.items()
    }
    return [
        ExtractedLicensingInfo(reference, f"The text is in {file}, as {name}.", name)
        for reference, (name, file) in sorted(found.items())
    ]


def _relationships(bill: Bill, ids: Mapping[str, str]) -> Iterator[Relationship]:
    yield Relationship(_DOCUMENT, RelationshipType.DESCRIBES, _SYSTEM)
    for component in bill.components:
        yield Relationship(_SYSTEM, RelationshipType.CONTAINS, ids[component.path])
    for component in bill.components:
        for path in component.needs:
            yield Relationship(ids[component.path], RelationshipType.DEPENDS_ON, ids[path])
