"""What people see while they wait: a bar on a terminal, plain lines elsewhere; always on standard error.

The library that draws bars is imported with the first of them: it takes 5 % of a build in which nothing changed.
"""

import os
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from packer.plain import plain, plain_lines

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

#: How much is said: nothing but errors; what is done; each piece of it.
QUIET, NORMAL, VERBOSE = range(3)

_STANDARD_ERROR = 2


class ConsoleProgress:
    """Progress (`layers.progress`) for people.

    Args:
        verbosity: `QUIET`, `NORMAL` or `VERBOSE`.
    """

    def __init__(self, verbosity: int) -> None:
        self._verbosity = verbosity
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._lock = threading.Lock()
        self._pieces: dict[str, tuple[TaskID, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def begin(self, task: str, total: int) -> None:
        """See `layers.progress.Progress`."""
        self.end()
        if self._verbosity == QUIET or not total:
            return
        if os.isatty(_STANDARD_ERROR):
            self._bar = _bar()
            self._task = self._bar.add_task(plain(task), total=total)
            self._bar.start()
        else:
            self._say(f"{task}: {_mebibytes(total)}")

    def advance(self, what: str, size: int) -> None:
        """See `layers.progress.Progress`."""
        if self._verbosity == VERBOSE and what:
            self._say(f"  {what}: {_mebibytes(size)}")
        if self._bar and self._task is not None:
            self._bar.advance(self._task, size)

    def transfer(self, what: str, done: int, size: int) -> None:
        """See `packer.registry.push.PushProgress`."""
        if done == size and self._verbosity == VERBOSE:
            self._say(f"  {what}: {_mebibytes(size)}")
        with self._lock:
            if self._bar and self._task is not None:
                task, before = self._pieces.get(what) or (self._bar.add_task(plain(_short(what)), total=size), 0)
                self._pieces[what] = (task, done)
                self._bar.update(task, completed=done, visible=done < size)
                self._bar.advance(self._task, done - before)

    def end(self) -> None:
        """See `layers.progress.Progress`."""
        if self._bar:
            self._bar.stop()
            self._bar = None
        self._pieces.clear()

    def warn(self, message: str) -> None:
        """See `layers.progress.Progress`."""
        if self._verbosity > QUIET:
            self._say(f"ocipack: warning: {message}")

    def tell(self, message: str) -> None:
        """Say something that people may want to know."""
        if self._verbosity > QUIET:
            self._say(message)

    def _say(self, text: str) -> None:
        text = plain_lines(text)
        if self._bar:
            self._bar.console.print(text)  # above the bar
        else:
            click.echo(text, err=True)


def _bar() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TimeElapsedColumn(),
        console=Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True),
        transient=True,
    )


def _short(what: str, most: int = 40) -> str:
    return what if len(what) <= most else f"{what[: most - 1]}…"


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
