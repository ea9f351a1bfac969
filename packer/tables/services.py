"""Services: which units of systemd the machine starts."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from pydantic_core import InitErrorDetails

from packer import forms
from packer.document import quoted
from packer.record import Record, failure, mistake, settings

_VERBS = ("enable", "disable", "mask")


@dataclass(frozen=True, slots=True, kw_only=True, config=settings())
class Services(Record):
    """Units of systemd: what `systemctl` does with them, as links below /etc/systemd/system.

    Packages enable theirs already, if they do so on a machine.
    """

    EXAMPLE: ClassVar[str] = """\
[os.services]
enable = ["ssh.service", "getty@ttyS0.service"]
disable = ["apt-daily.timer"]
mask = ["systemd-networkd-wait-online.service"]
"""

    enable: tuple[Annotated[str, forms.UNIT], ...] = Field(
        default=(), description="Units that are started, as their section [Install] says."
    )
    disable: tuple[Annotated[str, forms.UNIT], ...] = Field(
        default=(), description="Units that their package enables and that are not to be started by themselves."
    )
    mask: tuple[Annotated[str, forms.UNIT], ...] = Field(
        default=(), description="Units that cannot be started at all: links to /dev/null."
    )

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """No unit twice."""
        places: dict[str, str] = {}
        for verb in _VERBS:
            names = table.get(verb)
            for place, name in enumerate(names if isinstance(names, tuple) else ()):
                if isinstance(name, str) and name in places:
                    message = f"{quoted(name)} is os.services.{places[name]} already"
                    yield failure(mistake(message, hint="keep one of them"), verb, place)
                elif isinstance(name, str):
                    places[name] = f"{verb}[{place}]"
