"""What packages' scripts would have done on a machine, and what is not done in an image: nobody runs them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, order=True)
class Skipped:
    """Something that a script would have done and that is not done here.

    Attributes:
        package: whose script.
        script: its name: `preinst`, `postinst`.
        command: as the script has it, or the programs that it calls.
        reason: why not.
        is_reviewed: whether somebody has read the script and found that an image can do without.
    """

    package: str
    script: str
    command: str
    reason: str
    is_reviewed: bool = True

    def __str__(self) -> str:
        return f"{self.package}.{self.script}: {self.command}: {self.reason}"


@runtime_checkable
class ScriptedStore(Protocol):
    """A store whose packages have scripts."""

    @property
    def skipped(self) -> Sequence[Skipped]:
        """What is not done of the system's entries that were asked for last; sorted."""
        ...
