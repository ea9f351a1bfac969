"""Pushing from a test, without a process of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packer.push import Target, push_stored
from packer.registry.answer import Limits
from packer.registry.credentials import Credentials, GivenCredentials, Keychain
from packer.registry.push import Pushed
from packer.registry.reference import Reference
from packer.registry.transport import Access

LOGIN = ("ada", "canary:of a password")

#: Impatient, but for a busy machine.
QUICK = Limits(patience=2.0, first_pause=0.01, stall=20.0, grace=20.0)


@dataclass(frozen=True)
class Nobody:
    """A keychain without keys."""

    def find(self, reference: Reference) -> Credentials | None:
        return None


@dataclass
class Recorder:
    """Progress that is remembered."""

    said: list[tuple[str, int]] = field(default_factory=list)
    transfers: dict[str, list[int]] = field(default_factory=dict)
    ended: int = 0

    def begin(self, task: str, total: int) -> None:
        self.said.append((task, total))

    def advance(self, what: str, size: int) -> None:
        self.said.append((what, size))

    def end(self) -> None:
        self.ended += 1

    def warn(self, message: str) -> None:
        self.said.append((message, 0))

    def transfer(self, what: str, done: int, size: int) -> None:
        self.transfers.setdefault(what, []).append(done)


def as_user(login: tuple[str, str] = LOGIN) -> Keychain:
    return GivenCredentials(Credentials("the test", *login))


def push_layout(
    path: Path,
    reference: str,
    *,
    keychain: Keychain | None = None,
    certificates: Path | None = None,
    environment: Mapping[str, str] | None = None,
    plain_http: bool = False,
    limits: Limits = QUICK,
    mounts: Sequence[str] = (),
    chunk: int = 0,
    progress: Recorder | None = None,
) -> Pushed:
    """Push the image of a layout."""
    parsed = Reference.parse(reference)
    access = Access(
        keychain or Nobody(),
        environment or {},
        str(certificates or ""),
        plain_http=plain_http,
        limits=limits,
    )
    target = Target(parsed, access, [parsed.sibling(name) for name in mounts], chunk)
    return push_stored([str(path)], target, progress or Recorder())
