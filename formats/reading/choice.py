"""Which of several images is meant."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar


class Choosable(Protocol):
    """An image that an archive or an index names."""

    @property
    def platform(self) -> str:
        """As it is named; empty if nobody says it there."""
        ...

    def answers_to(self, name: str) -> bool:
        """Whether it is meant by a name."""
        ...


_Image = TypeVar("_Image", bound=Choosable)


def answering(images: Sequence[_Image], choice: str, platform_of: Callable[[_Image], str]) -> list[_Image]:
    """The images that are meant.

    Args:
        images: of which.
        choice: name, platform or digest; empty for all.
        platform_of: what the configuration of an image says, which is asked if nobody else says it.
    """
    found = [image for image in images if not choice or image.answers_to(choice)]
    return found or [image for image in images if not image.platform and is_platform(choice, platform_of(image))]


def is_platform(name: str, platform: str) -> bool:
    """Whether a name is that of a platform; `linux/arm64` and `linux/arm64/v8` stand for each other."""
    return bool(platform) and (name == platform or _plain(name) == platform or name == _plain(platform))


def _plain(platform: str) -> str:
    """A platform without its variant."""
    return "/".join(platform.split("/")[:2])
