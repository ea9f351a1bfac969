"""`[container.healthcheck]`: how a runtime finds out whether the program in a container still works."""

import re
from collections.abc import Callable
from dataclasses import dataclass as plain_dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.dataclasses import dataclass
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from formats import system
from packer import forms
from packer.document import quoted
from packer.record import Record, mistake, settings

#: What may come first in a test, and how many words follow: docker's image specification 1.2, Healthcheck, Test.
_WORDS = {"CMD": range(1, 1 << 20), "CMD-SHELL": range(1, 2), "NONE": range(1)}
_SHELL = "CMD-SHELL"
_NANOSECONDS = {"h": 3_600_000_000_000, "m": 60_000_000_000, "s": 1_000_000_000, "ms": 1_000_000}


@plain_dataclass(frozen=True, slots=True)
class _Test:
    """The words of a test; a string is for the shell."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Pydantic's hook: how a value is checked."""
        return core_schema.no_info_wrap_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Pydantic's hook: what the JSON schema says."""
        words = {**handler(schema), "minItems": 1, "prefixItems": [{"enum": list(_WORDS)}]}
        return {"anyOf": [{"type": "string", "minLength": 1}, words]}

    def _checked(self, value: object, check: Callable[[object], tuple[str, ...]]) -> tuple[str, ...]:
        words = check((_SHELL, value) if isinstance(value, str) else value)
        if not words or not all(words[:2]):
            raise mistake("must not be empty")
        first, *rest = words
        if first not in _WORDS:
            hint = 'write ["CMD", "program", "argument"], or a string for the shell'
            raise mistake(f"{quoted(first)} is none of {', '.join(_WORDS)}", hint=hint)
        if len(rest) not in _WORDS[first]:
            wanted = {"CMD": "a program", _SHELL: "one string", "NONE": "nothing"}[first]
            raise mistake(f"must have {wanted} behind {first}")
        return words


@dataclass(frozen=True, slots=True, kw_only=True, config=settings())
class Healthcheck(Record):
    """How a runtime finds out whether the program in a container still works.

    An extension by docker of OCI's configuration, which docker reads from every image. Podman reads it from docker's
    archive format alone: `podman pull docker-archive:FILE`, where FILE is of `ocipack docker`; elsewhere it needs
    `--health-cmd`. Kubernetes has checks of its own.
    """

    EXAMPLE: ClassVar[str] = """\
[container.healthcheck]
test = ["CMD", "curl", "--fail", "http://localhost:8080/"]
interval = "30s"
timeout = "5s"
start-period = "1m30s"
retries = 3
"""

    test: Annotated[tuple[str, ...], _Test()] = Field(
        description='What is run in the container, and ends with 0 if all is well: `["CMD", program, argument…]`; a'
        ' string, or `["CMD-SHELL", string]`, for the image\'s /bin/sh; `["NONE"]` for no check.'
    )
    interval: Annotated[str, forms.DURATION] | None = Field(
        default=None, description="From the end of a check to the next one, such as `30s`, `1m30s` or `500ms`."
    )
    timeout: Annotated[str, forms.DURATION] | None = Field(
        default=None, description="How long a check may take before it has failed."
    )
    start_period: Annotated[str, forms.DURATION] | None = Field(
        default=None, description="How long the program may take to start; checks that fail do not count until then."
    )
    start_interval: Annotated[str, forms.DURATION] | None = Field(
        default=None, description="`interval` during the start period, for docker from version 25 on."
    )
    retries: Annotated[int, Field(ge=1, lt=1 << 31)] | None = Field(
        default=None, description="How many checks in a row fail before the container is unhealthy."
    )

    def made(self) -> system.Healthcheck:
        """The same for formats."""
        return system.Healthcheck(
            test=self.test,
            interval=_nanoseconds(self.interval),
            timeout=_nanoseconds(self.timeout),
            start_period=_nanoseconds(self.start_period),
            start_interval=_nanoseconds(self.start_interval),
            retries=self.retries or 0,
        )


def _nanoseconds(duration: str | None) -> int:
    parts = re.findall(r"([0-9]+)(?:\.([0-9]+))?(ms|[hms])", duration or "")
    return sum(
        int(whole) * _NANOSECONDS[unit] + int(fraction or 0) * _NANOSECONDS[unit] // 10 ** len(fraction)
        for whole, fraction, unit in parts
    )
