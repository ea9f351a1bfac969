"""The JSON schema of os.toml, made from the records: what editors complete and check with."""

import json
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreSchema

from packer.declaration import Declaration

#: What JSON Schema calls its draft 2020-12.
DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, without titles that only repeat the names and without `null`, which TOML has not."""

    def field_title_should_be_set(self, schema: CoreSchema) -> bool:  # noqa: ARG002
        return False

    def nullable_schema(self, schema: Any) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])


def schema() -> dict[str, Any]:
    """The schema, as JSON values."""
    made = TypeAdapter(Declaration).json_schema(schema_generator=_Generator)
    for record in (made, *made["$defs"].values()):
        record.pop("title", None)
    return {"$schema": DIALECT, "title": "os.toml", **_tidied(made)}


def text() -> str:
    """The schema as the file that the repository has: keys in the order of the records."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _tidied(value: Any) -> Any:
    """Without nulls and the defaults of whole tables; names that match no pattern are refused."""
    if isinstance(value, list):
        return [_tidied(below) for below in value]
    if not isinstance(value, dict):
        return value
    tidied = {name: _tidied(below) for name, below in value.items() if below is not None}
    if "$ref" in tidied:
        tidied.pop("default", None)
    if "patternProperties" in tidied:
        tidied["additionalProperties"] = False
    return tidied
