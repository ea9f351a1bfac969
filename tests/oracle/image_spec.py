"""The JSON schemas of the OCI image specification, from Debian's package of them."""

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator
from referencing import Registry
from referencing.jsonschema import DRAFT4

_SCHEMAS = Path("/usr/share/gocode/src/github.com/opencontainers/image-spec/schema")


def problems(schema: str, document: bytes) -> list[str]:
    """What a schema (`image-index`, `image-manifest`, `config`, `image-layout`) has against a document."""
    resources = {path.name: json.loads(path.read_text()) for path in _SCHEMAS.glob("*.json")}
    registry: Registry[Any] = Registry()
    for name, contents in resources.items():
        resource = DRAFT4.create_resource(contents)
        # The schemas name each other by file name, relative to their ids.
        registry = registry.with_resource(name, resource).with_resource(contents.get("id", name), resource)
        registry = registry.with_resource(f"https://opencontainers.org/schema/{name}", resource)
        registry = registry.with_resource(f"https://opencontainers.org/schema/image/{name}", resource)
        registry = registry.with_resource(f"https://opencontainers.org/schema/descriptor/{name}", resource)
    validator = Draft4Validator(resources[f"{schema}-schema.json"], registry=registry)
    return [error.message for error in validator.iter_errors(json.loads(document))]
