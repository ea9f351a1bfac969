"""`[sbom]`: what is told about an image beside it."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from pydantic_core import InitErrorDetails

from packer import forms
from packer.record import Record, failure, mistake, settings

#: What can be attached.
ATTACHABLE = ("spdx", "cyclonedx", "provenance")


@dataclass(frozen=True, slots=True, kw_only=True, config=settings())
class Sbom(Record):
    """What `ocipack push` attaches to the image that it builds, as OCI referrers. Files are written by `--sbom`."""

    EXAMPLE: ClassVar[str] = """\
[sbom]
attach = ["spdx", "cyclonedx", "provenance"]
"""

    attach: tuple[Annotated[str, forms.Choice("attachment", {name: name for name in ATTACHABLE})], ...] = Field(
        default=(),
        description="`spdx` and `cyclonedx` are lists of all items (SBOMs), `provenance` says what went in and what "
        "built it (SLSA). Nothing without it.",
        json_schema_extra={"uniqueItems": True},
    )

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """Nothing twice."""
        names = table.get("attach")
        names = names if isinstance(names, tuple) else ()
        for place, name in enumerate(names):
            if name in names[:place]:
                yield failure(mistake(f"{name!r} is named twice", hint="keep one of them"), "attach", place)
