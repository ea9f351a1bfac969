"""How far the work is: told to whoever watches, never asked."""

from typing import Protocol


class Progress(Protocol):
    """Is told what is done; all sizes are bytes."""

    def begin(self, task: str, total: int) -> None:
        """A task of a known size starts."""
        ...

    def advance(self, what: str, size: int) -> None:
        """A piece of the task is done; one that has no name of its own is counted only."""
        ...

    def end(self) -> None:
        """The task is done."""
        ...

    def warn(self, message: str) -> None:
        """Something that the user should know, and that does not stop the work."""
        ...


class NoProgress:
    """Nobody watches."""

    def begin(self, task: str, total: int) -> None:  # noqa: D102
        pass

    def advance(self, what: str, size: int) -> None:  # noqa: D102
        pass

    def end(self) -> None:  # noqa: D102
        pass

    def warn(self, message: str) -> None:  # noqa: D102
        pass
