"""What is signed and verified: an artefact of this machine, or an image in a registry."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from layers.errors import InputError
from packer.registry.reference import Reference
from packer.registry.repository import Repository
from packer.registry.transport import Access, Transport

_SCHEME = "docker://"

#: Asked when a registry is spoken to, and not before.
AccessOf = Callable[[], Access]


@dataclass(frozen=True, slots=True)
class Subject:
    """An artefact or an image.

    Attributes:
        name: as the user wrote it.
        path: absolute; empty for an image in a registry.
        reference: none for an artefact.
    """

    name: str
    path: str
    reference: Reference | None

    @classmethod
    def parse(cls, text: str, folder: str) -> "Subject":
        """Tell artefacts from images: what is there is an artefact, `docker://…` and `example.org/app:1` are images.

        Args:
            text: as the user wrote it.
            folder: that relative paths begin at.

        Raises:
            InputError: it is neither.
        """
        path = os.path.normpath(os.path.join(folder, text))
        if not text.startswith(_SCHEME) and (os.path.lexists(path) or not _has_registry(text)):
            if not os.path.exists(path):
                raise InputError(f"there is no {text}", hint="An image in a registry is written docker://REFERENCE.")
            return cls(text, path, None)
        return cls(text, "", Reference.parse(text))

    @property
    def is_file(self) -> bool:
        """Whether it is a file of this machine."""
        return bool(self.path) and os.path.isfile(self.path)


def _has_registry(text: str) -> bool:
    first, slash, rest = text.partition("/")
    return (
        bool(slash)
        and (first == "localhost" or bool(set(".:") & set(first.strip("."))))
        and bool(set(":@") & set(rest))
    )


class Registries:
    """Repositories, opened one after another, as the same user.

    Args:
        access: says how.
    """

    def __init__(self, access: AccessOf) -> None:
        self._access = cache(access)

    @contextlib.contextmanager
    def open(self, reference: Reference, actions: str) -> Iterator[Repository]:
        """The repository of a reference.

        Args:
            reference: of an image.
            actions: `pull`, or `pull,push`.

        Raises:
            PackError: the registry cannot be reached.
        """
        scope = f"repository:{reference.repository}:{actions}"
        with Transport(reference, self._access(), [scope]) as transport:
            yield Repository(reference, transport)
