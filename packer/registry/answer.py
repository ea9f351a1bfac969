"""What a registry answers, and what can go wrong with it."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from layers.digest import Digest
from layers.errors import PackError

_MOST_TOLD = 200  # characters of what a registry says


class RegistryError(PackError):
    """A registry that does not do what it is asked for."""


class StoppedError(PackError):
    """What was under way is not wanted any more: something else failed."""


class InterruptedRequestError(Exception):
    """A request failed in a way that another one may not.

    Attributes:
        wait: seconds that the registry wants to be left alone, or 0.
    """

    def __init__(self, what: str, wait: float = 0) -> None:
        super().__init__(what)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back of a request.

    Attributes:
        status: of HTTP.
        headers: by name, as `Docker-Content-Digest`.
        body: as much of it as was wanted.
        is_whole: whether there was no more of it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    is_whole: bool = True

    def check_digest(self, digest: Digest) -> None:
        """See that the registry means what we mean.

        Raises:
            RegistryError: it names another digest.
        """
        named = self.headers.get("Docker-Content-Digest", str(digest))
        if named != str(digest):
            raise RegistryError(f"{digest} was meant, and the registry answers for {named[:_MOST_TOLD]!r}")

    def reason(self, hide: Callable[[str], str]) -> str:
        """The status, and what the registry says about it (distribution-spec, Error Codes).

        Args:
            hide: takes secrets out of a text.
        """
        try:
            first = json.loads(self.body)["errors"][0]
            told = f"{first.get('code', '')} {first.get('message', '')}"
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return f"the registry says {self.status}"
        # Hidden before it is cut: half a secret would not be found.
        shown = hide("".join(letter for letter in told if letter.isprintable()))[:_MOST_TOLD].strip()
        return f"the registry says {self.status}, {shown}" if shown else f"the registry says {self.status}"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long is waited; all in seconds.

    Attributes:
        patience: pauses of one piece of work, in all, while nothing of it gets done.
        first_pause: before the second try; each later one is twice as long.
        stall: without a byte in either direction.
        grace: for a request, and one second more for each `slowest` bytes of it.
        slowest: bytes in a second.
    """

    patience: float = 120.0
    first_pause: float = 0.5
    stall: float = 30.0
    grace: float = 60.0
    slowest: int = 1 << 14

    @classmethod
    def within(cls, seconds: float) -> "Limits":
        """Limits with another patience; nothing waits longer than that without a byte."""
        usual = cls()
        return cls(patience=seconds, stall=min(usual.stall, seconds), grace=max(usual.grace, seconds))


@dataclass(slots=True)
class Patience:
    """How often a piece of work is tried.

    Attributes:
        registry: what it is done with, for messages.
        limits: says how long is waited.
        stopped: when it is set, waiting ends.
    """

    registry: str
    limits: Limits
    stopped: threading.Event
    _pause: float = field(default=0, init=False)
    _waited: float = field(default=0, init=False)
    _tries: int = field(default=0, init=False)

    def progress(self) -> None:
        """Some of the work is done, once and for all."""
        self._pause = self._waited = self._tries = 0

    def wait(self, error: InterruptedRequestError) -> None:
        """Pause before the next try.

        Raises:
            RegistryError: the patience is at its end.
            StoppedError: the work is not wanted any more.
        """
        self._tries += 1
        self._pause = 2 * self._pause or self.limits.first_pause
        pause = max(error.wait, self._pause)
        self._waited += pause
        if self._waited > self.limits.patience:
            tried = f"{self._tries} times" if self._tries > 1 else "once"
            asked = f"; it asks for a pause of {error.wait:.0f} s" if error.wait else ""
            hint = f"It was tried {tried}{asked}. --timeout allows more time."
            raise RegistryError(f"{self.registry}: {error}", hint=hint) from error
        if self.stopped.wait(pause):
            raise StoppedError("it is not wanted any more") from error
