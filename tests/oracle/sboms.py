"""What the libraries that read SBOMs make of them: their validators, and what is listed."""

from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.model import Document, RelationshipType
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document


def spdx(path: Path) -> Document:
    """The document of a file whose name ends in `.spdx.json`, if it is valid."""
    document: Document = parse_file(str(path))
    assert validate_full_spdx_document(document) == []
    return document


def spdx_purls(document: Document) -> list[str]:
    """The package URLs of what the system contains, sorted."""
    contained = {
        str(relation.related_spdx_element_id)
        for relation in document.relationships
        if relation.relationship_type is RelationshipType.CONTAINS
    }
    described = {package.spdx_id for package in document.packages} - contained
    assert described == {"SPDXRef-System"}
    return sorted(
        package.external_references[0].locator for package in document.packages if package.spdx_id in contained
    )


def cyclonedx_problems(document: bytes) -> str:
    """What the schema of CycloneDX 1.6 has against a document; empty for nothing."""
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(document.decode())
    return str(problem or "")
