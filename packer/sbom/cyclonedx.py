"""CycloneDX 1.6 in JSON (ECMA-424).

    metadata.component    the system; depends on the items that were asked for
    components            one an item; its `bom-ref` is its path in the store
    dependencies          what items refer to

What has no place of its own is in properties: `ocipack:layer`, `ocipack:layer:diff-id`, `ocipack:layer:digest`,
`ocipack:identity`, `ocipack:source`, `ocipack:licence-file`.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component as Described
from cyclonedx.model.component import ComponentType
from cyclonedx.model.contact import OrganizationalContact, OrganizationalEntity
from cyclonedx.model.dependency import Dependency
from cyclonedx.model.license import LicenseAcknowledgement, LicenseExpression
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from formats.container_image import canonical_json
from layers.digest import Digest
from packer.sbom.components import Bill, Component

_SYSTEM = "ocipack:system"


def document(bill: Bill) -> bytes:
    """An SBOM; see `packer.sbom.Form`."""
    system = _system(bill)
    components = {component.path: _component(component) for component in bill.components}
    needs = {component.path: component.needs for component in bill.components}
    dependencies = [
        Dependency(components[path].bom_ref, (Dependency(components[need].bom_ref) for need in needs[path]))
        for path in components
    ]
    roots = Dependency(system.bom_ref, (Dependency(components[path].bom_ref) for path in bill.roots))
    made = Bom(
        components=components.values(),
        serial_number=bill.uuid,
        metadata=BomMetaData(
            component=system,
            timestamp=datetime.fromtimestamp(bill.epoch, UTC),
            tools=ToolRepository(
                components=[Described(name="ocipack", version=bill.tool, type=ComponentType.APPLICATION)]
            ),
        ),
        dependencies=[roots, *dependencies],
    )
    return canonical_json(json.loads(JsonV1Dot6(made).output_as_string()))


def _system(bill: Bill) -> Described:
    return Described(
        name=bill.name,
        version=bill.version or None,
        type=ComponentType.CONTAINER if bill.digest else ComponentType.OPERATING_SYSTEM,
        bom_ref=_SYSTEM,
        purl=PackageURL.from_string(bill.purl) if bill.purl else None,
        hashes=[_hash(Digest.parse(bill.digest))] if bill.digest else [],
    )


def _component(component: Component) -> Described:
    name, mail = component.supplier
    return Described(
        name=component.name,
        version=component.version or None,
        type=ComponentType.LIBRARY,
        bom_ref=component.path,
        purl=PackageURL.from_string(component.purl),
        hashes=[_hash(component.checksum)] if component.checksum else [],
        supplier=OrganizationalEntity(name=name, contacts=[OrganizationalContact(email=mail)]) if name else None,
        licenses=[LicenseExpression(component.licence, acknowledgement=LicenseAcknowledgement.DECLARED)]
        if component.licence
        else [],
        properties=_properties(component),
    )


def _hash(digest: Digest) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest.hex)


def _properties(component: Component) -> Iterator[Property]:
    yield Property(name="ocipack:identity", value=str(component.identity))
    if component.place:
        yield Property(name="ocipack:layer", value=str(component.place.rank))
        yield Property(name="ocipack:layer:diff-id", value=str(component.place.diff_id))
        yield Property(name="ocipack:layer:digest", value=str(component.place.digest))
    if component.source:
        yield Property(name="ocipack:source", value=component.source)
    if component.licence_file:
        yield Property(name="ocipack:licence-file", value=component.licence_file)
