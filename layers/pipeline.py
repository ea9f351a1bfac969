"""Work in parallel, results in order, within bounded memory."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future

Buffer = bytes | bytearray


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
        self._waiting: deque[tuple[Future[Buffer], Callable[[Buffer], None]]] = deque()

    def submit(self, work: Callable[[bytearray], Buffer], chunk: bytearray, take: Callable[[Buffer], None]) -> None:
        """Have `work(chunk)` done; `take` gets its result after all earlier ones were taken."""
        self._waiting.append((self.executor.submit(work, chunk), take))
        while len(self._waiting) > self._window:
            self._take_first()

    def after(self, take: Callable[[], None]) -> None:
        """Call `take` after all results so far were taken."""
        done: Future[Buffer] = Future()
        done.set_result(b"")
        self._waiting.append((done, lambda _: take()))

    def drain(self) -> None:
        """Take everything that is under way."""
        while self._waiting:
            self._take_first()

    def _take_first(self) -> None:
        future, take = self._waiting.popleft()
        take(future.result())
