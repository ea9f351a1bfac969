r"""Names and tags of images that every registry and runtime takes.

The grammar is the distribution project's (reference/reference.go): components of `[a-z0-9]+`, joined by one `.`, one
or two `_`, or any number of `-`; components joined by `/`; 255 characters in all. Tags: `[\w][\w.-]{0,127}`. A
registry, with a port if need be, may come first.

Defaults are its, too (normalize.go), and docker, podman and skopeo share them: the part before the first slash is a
registry if it has a dot, a colon or a capital, or is `localhost`; otherwise the registry is docker.io, where a name of
one component is below `library/`.
"""

import re
import unicodedata
from dataclasses import dataclass

_SHORTEST, _LONGEST = 2, 255
LONGEST_TAG = 128
_PADDING = "a"  # as Guix pads

_FOREIGN = re.compile(r"[^a-z0-9._/-]+")
_SEPARATORS = re.compile(r"[._-]+")
_FILE_FOREIGN = re.compile(r"[^a-z0-9._-]+")
_VALID_SEPARATOR = re.compile(r"\.|__?|-+")
_TAG_FOREIGN = re.compile(r"[^A-Za-z0-9_.-]+")

DEFAULT_TAG = "latest"

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])(?::([0-9]{{1,5}}))?")
_LARGEST_PORT = 65535

#: The registry of names that have none.
DOCKER = "docker.io"
_DOCKER_NAMES = (DOCKER, "index.docker.io", "registry-1.docker.io")


@dataclass(frozen=True, slots=True)
class ImageName:
    """What an image is called.

    Attributes:
        repository: canonical; empty if nobody said it.
        tag: empty if nobody said it.
    """

    repository: str = ""
    tag: str = ""

    def whole(self, name: str, version: str) -> "ImageName":
        """The same with what a name and a version give for what nobody said."""
        return ImageName(self.repository or repository_name(name), self.tag or tag(version))


def repository_name(name: str) -> str:
    """The canonical repository name of a name: always valid, and itself when it is valid already.

    Letters lose their case and their accents; what is left of foreign characters becomes a dash inside a name and
    vanishes at its ends: `É` gives `ea`, `C++` gives `ca`, `my app` gives `my-app`. A registry in front of it keeps its
    port: `localhost:5000/App` gives `localhost:5000/app`.
    """
    plain = _plain(name)
    first, _, rest = plain.partition("/")
    below = _path(rest)
    whole = f"{first}/{below}" if below and _is_address(first) else _path(plain)
    return whole[:_LONGEST].rstrip("._-/").ljust(_SHORTEST, _PADDING)


def names_something(name: str) -> bool:
    """Whether anything is left of a name, below the registry and folders in front of it, as a repository's."""
    _, _, last = name.strip("/").rpartition("/")
    return bool(_path(_plain(last)))


def file_name(repository: str) -> str:
    """A repository's name as part of the name of a file."""
    return _FILE_FOREIGN.sub("-", repository).strip("-")


def is_registry(text: str) -> bool:
    """Whether a text is a registry's host, with its port if it has one."""
    found = _REGISTRY.fullmatch(text)
    return found is not None and int(found[1] or 0) <= _LARGEST_PORT


def registry_and_repository(name: str) -> tuple[str, str]:
    """Where a name without a tag leads: the registry, with its port if it has one, and the repository in it."""
    first, slash, rest = name.partition("/")
    if not slash or not (set(".:[") & set(first) or first == "localhost" or first != first.lower()):
        first, rest = DOCKER, name
    if first in _DOCKER_NAMES:
        return DOCKER, rest if "/" in rest else f"library/{rest}"
    return first, rest


def _is_address(text: str) -> bool:
    """Whether a text is a registry with a port. Podman 4.3 takes no name that starts with an address of IPv6."""
    fits = len(text) + len("/x") <= _LONGEST
    return fits and ":" in text and "[" not in text and text == text.lower() and is_registry(text)


def _plain(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name.lower())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _path(text: str) -> str:
    components = (_component(part) for part in _FOREIGN.sub("-", text).split("/"))
    return "/".join(part for part in components if part)


def _component(text: str) -> str:
    text = text.strip("._-")
    return _SEPARATORS.sub(lambda run: run[0] if _VALID_SEPARATOR.fullmatch(run[0]) else "-", text)


def tag(version: str) -> str:
    """The tag of a version: foreign characters become dashes; `latest` without a version."""
    return _TAG_FOREIGN.sub("-", version).lstrip(".-")[:LONGEST_TAG] or DEFAULT_TAG
