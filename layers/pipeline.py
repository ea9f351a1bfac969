"""Work in parallel, results in order, within bounded memory."""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

Buffer = bytes | bytearray
T = TypeVar("T")


class Inline(Executor):
    """Does work where it is submitted, at once: for a process that works beside others."""

    def submit(self, work: Callable[..., T], /, *arguments: Any, **named: Any) -> Future[T]:
        """The work is done when this returns; what it raises is raised here."""
        done: Future[T] = Future()
        done.set_result(work(*arguments, **named))
        return done


class Pipeline:
    """Work done by an executor, its results taken in order by the thread that submits.

    At most `window` pieces of work are under way, which bounds memory. The queue outlives a blob: while the last
    chunk of one is compressed, the next blob is read already.

    Attributes:
        executor: does the work.
    """

    def __init__(self, executor: Executor, window: int) -> None:
        self.executor = executor
        self._window = window
        self._waiting: deque[tuple[Future[Any], Callable[[Any], None]]] = deque()

    def submit(self, work: Callable[[bytearray], T], chunk: bytearray, take: Callable[[T], None]) -> None:
        """Have `work(chunk)` done; `take` gets its result after all earlier ones were taken."""
        self._waiting.append((self.executor.submit(work, chunk), take))
        while len(self._waiting) > self._window:
            self._take_first()

    def after(self, take: Callable[[], None]) -> None:
        """Call `take` after all results so far were taken."""
        done: Future[None] = Future()
        done.set_result(None)
        self._waiting.append((done, lambda _: take()))

    def drain(self) -> None:
        """Take everything that is under way."""
        while self._waiting:
            self._take_first()

    def _take_first(self) -> None:
        future, take = self._waiting.popleft()
        take(future.result())


@dataclass(frozen=True, slots=True)
class _End:
    """Nothing comes after this from a maker, nor from any if there is an error."""

    error: BaseException | None = None


@contextlib.contextmanager
def ahead(makers: Sequence[Callable[[Callable[[T], object]], object]], window: int) -> Iterator[Iterator[Iterator[T]]]:
    """Have a thread make things ahead of whom takes them, within bounded memory.

    Args:
        makers: called one after another; each gives what it makes to the function that it is called with.
        window: how many things are made ahead at most.

    Yields:
        For each maker, what it makes; all of it is to be taken before the next maker's. What a maker raises is raised
        where it would have made something. When the block ends, the thread has ended.
    """
    made: SimpleQueue[T | _End] = SimpleQueue()
    room = threading.Semaphore(window)
    stopped = False

    def give(thing: T) -> None:
        room.acquire()
        if stopped:
            raise CancelledError
        made.put(thing)

    def make() -> None:
        try:
            for maker in makers:
                maker(give)
                made.put(_End())
        except BaseException as error:  # raised where things are taken
            made.put(_End(error))

    def taken() -> Iterator[T]:
        while not isinstance(thing := made.get(), _End):
            room.release()
            yield thing
        if thing.error:
            raise thing.error

    with ThreadPoolExecutor(1) as executor:
        executor.submit(make)
        try:
            yield (taken() for _ in makers)
        finally:
            stopped = True
            room.release()
