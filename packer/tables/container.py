"""`[container]`: how a container of the image is run."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from packer import forms
from packer.record import Record
from packer.tables.healthcheck import Healthcheck


def _text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Container(Record):
    """How a container of the image is run (OCI image configuration). Images for machines leave it out."""

    EXAMPLE: ClassVar[str] = """\
[container]
entrypoint = ["/usr/sbin/nginx"]
cmd = ["-g", "daemon off;"]
env = { LANG = "C.UTF-8" }
ports = [8080, "8443/tcp"]
volumes = ["/var/lib/nginx"]
user = "www-data"
stop-signal = "SIGQUIT"
labels = { "com.example.team" = "web" }
created = 2025-05-20T09:30:00Z
"""

    entrypoint: tuple[str, ...] | None = Field(
        default=None, description="The program that is run, with its first arguments."
    )
    cmd: tuple[str, ...] | None = Field(
        default=None, description="More arguments, or the program if there is no entrypoint; people can give others."
    )
    env: Mapping[Annotated[str, forms.ENVIRONMENT_NAME], str] = Field(
        default_factory=dict, description="Variables of the environment."
    )
    workdir: Annotated[str, forms.PATH.or_empty()] | None = Field(
        default=None, description="The folder where the program starts; `/` without it."
    )
    user: Annotated[str, forms.CONTAINER_USER.or_empty(), BeforeValidator(_text)] | None = Field(
        default=None, description="Who runs the program: `user`, `user:group`, by name or number; root without it."
    )
    labels: Mapping[Annotated[str, forms.KEY], str] = Field(
        default_factory=dict, description="Labels of the image's configuration: what `docker inspect` shows."
    )
    ports: tuple[Annotated[str, forms.PORT, BeforeValidator(_text)], ...] = Field(
        default=(), description="Ports that the program listens on: `80`, `80/tcp` or `53/udp`."
    )
    volumes: tuple[Annotated[str, forms.PATH], ...] = Field(
        default=(), description="Folders whose content is data, and outlives a container."
    )
    stop_signal: Annotated[str, forms.SIGNAL.or_empty(), BeforeValidator(_text)] | None = Field(
        default=None, description="The signal that ends the program: a name or number; SIGTERM without it."
    )
    healthcheck: Healthcheck | None = Field(
        default=None, description="How a runtime finds out whether the program still works."
    )
    annotations: Mapping[Annotated[str, forms.KEY], str] = Field(
        default_factory=dict,
        description="Annotations of the image's manifest, beside those that come from the keys at the top.",
    )
    created: Annotated[int | None, forms.Moment()] = Field(
        default=None,
        description="When the image was made, for people who look at it: a date-time with its offset from UTC (RFC"
        " 3339), with or without quotes, or seconds since 1970. It changes no file, so that layers stay the same."
        " Without it, the time of all files: `SOURCE_DATE_EPOCH`, or 1.",
    )
