"""Where, when and for whom the program runs: the command line looks, everything below it is told."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from layers.errors import InputError
from layers.number import whole_number

_PASSED_ON = (
    *("PATH", "http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),
)
LATEST = 253402300799  # the last second of the year 9999, the last that RFC 3339 can write


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What differs from machine to machine, and from run to run.

    Attributes:
        variables: the environment.
        home: of the user; no absolute path if there is none.
        processors: that may be used.
        folder: gives the working folder, which may be gone: only some commands need it.
        now: gives the time, in nanoseconds since 1970.
        password: asks for one.
        is_terminal: says whether people see standard output as it is.
    """

    variables: Mapping[str, str]
    home: str
    processors: int
    folder: Callable[[], str]
    now: Callable[[], int]
    password: Callable[[], str]
    is_terminal: Callable[[], bool]

    def path(self, path: str) -> str:
        """The absolute path of what a user names."""
        return os.path.normpath(path if os.path.isabs(path) else os.path.join(self.folder(), path))

    @property
    def environment(self) -> dict[str, str]:
        """Variables that programs and connections may see."""
        return {name: self.variables[name] for name in _PASSED_ON if name in self.variables}

    @property
    def epoch(self) -> int:
        """SOURCE_DATE_EPOCH (reproducible-builds.org/specs/source-date-epoch), or 1 as Guix and Nix have it.

        Raises:
            InputError: it is no time.
        """
        text = self.variables.get("SOURCE_DATE_EPOCH", "1")
        epoch = whole_number(text.lstrip("0") or text[:1], LATEST)
        if epoch is None:
            raise InputError(
                f"SOURCE_DATE_EPOCH is {text!r}, which is no time",
                hint="It is a number of seconds since 1970, or is not set.",
            )
        return epoch

    @property
    def cache(self) -> str:
        """$XDG_CACHE_HOME/ocipack, as the XDG Base Directory Specification has it.

        Raises:
            InputError: there is no place for it.
        """
        base = self.variables.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(base):
            if not os.path.isabs(self.home):
                raise InputError(
                    "there is no home folder for the cache", hint="XDG_CACHE_HOME names another place for it."
                )
            base = os.path.join(self.home, ".cache")
        return os.path.join(base, "ocipack")
