"""Links below a root: followed as a process would that has called chroot(2), so that none of them leads outside."""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass

from layers.errors import InputError
from layers.output import said

_MOST_LINKS = 40  # as Linux: path_resolution(7)


class LinkError(InputError):
    """A path that leads nowhere."""


@dataclass(frozen=True, slots=True)
class Root:
    """A folder of the host that is the root of paths.

    Attributes:
        folder: absolute.
    """

    folder: str

    def resolve(self, path: str, stop: Callable[[str], bool] = lambda _: False) -> str:
        """Where a path leads, below this root: an absolute path without links.

        Args:
            path: absolute.
            stop: whether a path is already what is looked for; what it may lead through is not looked at then.

        Raises:
            LinkError: it leads nowhere, or in a circle.
        """
        done: list[str] = []
        names = _names(path)
        links = 0
        while names:
            whole = "/" + "/".join((*done, *names))
            if ".." not in names and stop(whole):
                return whole
            name = names.pop(0)
            if name == "..":
                del done[-1:]
                continue
            target = self._link(path, [*done, name])
            if target is None:
                done.append(name)
                continue
            links += 1
            if links > _MOST_LINKS:
                raise LinkError(f"{self.on_host(path)}: its symbolic links lead in a circle")
            done = [] if target.startswith("/") else done
            names = _names(target) + names
        return "/" + "/".join(done)

    def on_host(self, path: str) -> str:
        """A resolved path as the host has it."""
        return os.path.join(self.folder, path.lstrip("/")) if path != "/" else self.folder

    def _link(self, path: str, names: list[str]) -> str | None:
        """The target of a link; None if it is none."""
        place = self.on_host("/".join(names))
        try:
            return os.readlink(place)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return None
            leads = f" leads to /{'/'.join(names)}, which" if _names(path) != names else ""
            raise LinkError(
                f"{path}{leads} cannot be found below {self.folder}: {said(error)}",
                hint="Links are followed below store.root, never outside of it.",
            ) from error


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]
