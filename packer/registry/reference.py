r"""What people call an image in a registry: `[REGISTRY[:PORT]/]REPOSITORY[:TAG][@DIGEST]`.

The grammar is the distribution project's (reference/reference.go), and so are the defaults: see `formats.repository`.
"""

import ipaddress
import re
from dataclasses import dataclass

from formats.repository import DEFAULT_TAG, DOCKER, is_registry, registry_and_repository
from layers.digest import Digest, DigestError
from layers.errors import InputError

_COMPONENT = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LONGEST_REPOSITORY = 255
_LONGEST = 1024

_SCHEME = "docker://"  # as skopeo and podman write it
_DOCKER_HOST = "registry-1.docker.io"

_EXAMPLE = "An example is registry.example.org/team/app:1.0."


class ReferenceError(InputError):  # noqa: A001  # Python's own is about weak references
    """A text that is no reference of an image."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An image in a registry; only `parse` takes text from outside.

    Attributes:
        registry: host, with its port if it has one; `docker.io` for docker's own.
        repository: in the registry, with `library/` where docker adds it.
        tag: may be empty when there is a digest.
        digest: of the manifest.
    """

    registry: str
    repository: str
    tag: str
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Read a reference; `latest` is its tag if it has neither tag nor digest.

        Raises:
            ReferenceError: the text is none.
        """
        if len(text) > _LONGEST:
            raise ReferenceError(f"a reference of {len(text)} characters is too long", hint=_EXAMPLE)
        name, at, digest = text.removeprefix(_SCHEME).partition("@")
        slash = name.rfind("/")
        colon = name.find(":", slash + 1)
        tag = name[colon + 1 :] if colon >= 0 else ""
        path = name[:colon] if colon >= 0 else name
        if colon >= 0 and not _TAG.fullmatch(tag):
            raise ReferenceError(f"{text!r}: {tag!r} is not a tag", hint=_EXAMPLE)
        registry, repository = registry_and_repository(path)
        _check(text, registry, repository)
        return cls(registry, repository, tag if tag or at else DEFAULT_TAG, _digest(text, digest) if at else None)

    @property
    def host(self) -> str:
        """Where the registry answers, with its port if it has one."""
        return _DOCKER_HOST if self.registry == DOCKER else self.registry

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    @property
    def is_loopback(self) -> bool:
        """Whether the registry is on this machine."""
        host = self.registry.rpartition("]")[0].lstrip("[") or self.registry.partition(":")[0]
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    def sibling(self, repository: str) -> "Reference":
        """Another repository of the same registry.

        Raises:
            ReferenceError: the name is none of a repository.
        """
        _check(repository, self.registry, repository)
        return Reference(self.registry, repository, "")

    def __str__(self) -> str:
        return f"{self.name}{f':{self.tag}' if self.tag else ''}{f'@{self.digest}' if self.digest else ''}"


def _check(text: str, registry: str, repository: str) -> None:
    if not is_registry(registry):
        raise ReferenceError(f"{text!r}: {registry!r} is not a registry's host and port", hint=_EXAMPLE)
    if not _REPOSITORY.fullmatch(repository) or len(repository) > _LONGEST_REPOSITORY:
        hint = "Repositories are written in lower case." if repository != repository.lower() else _EXAMPLE
        raise ReferenceError(f"{text!r}: {repository!r} is not a repository's name", hint=hint)


def _digest(text: str, digest: str) -> Digest:
    try:
        return Digest.parse(digest)
    except DigestError as error:
        raise ReferenceError(f"{text!r}: {error}", hint=_EXAMPLE) from None
