"""Work in several processes: Python's lock has one thread of a process run at a time, whatever there is to run.

A worker is a fork of this process. It knows all that is known here, so that nothing has to be sent to it; what comes of
its work it tells through a pipe. Workers end with this process, however that ends.

A process is forked only while it has one thread: what another thread holds at that moment would be held for ever.
"""

import contextlib
import ctypes
import gc
import os
import pickle
import select
import signal
import struct
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from layers.errors import PackError

_LENGTH = struct.Struct("<Q")
_NUMBER = struct.Struct("<I")

#: Tasks of `crew_of`: numbers that a pipe takes before anybody reads, if it has only one page: pipe(7).
MOST_TASKS = 1024

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ENDING = 0.05  # seconds that a thread may take which was told to end
_LOOKS = 25
_PR_SET_PDEATHSIG = 1  # prctl(2)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # mallopt(3)
_KEPT = 32 << 20  # bytes

_ALONE = "--jobs 1 works in one process."


class WorkerError(PackError):
    """A worker was ended by somebody else."""


class Colleague(Protocol):
    """What a worker is given to talk with."""

    def tell(self, value: Any) -> None:
        """Send something to who waits for results."""
        ...

    def share(self, value: Any) -> list[Any]:
        """Wait for what all workers share, and get it, in their order."""
        ...


Work = Callable[[int, Colleague], None]
"""What a worker does, given its number."""


def can_fork() -> bool:
    """Whether there may be workers: this process has one thread, but for those that are just about to end."""
    for thread in threading.enumerate():
        if thread is threading.current_thread():
            continue
        with contextlib.suppress(RuntimeError, AssertionError):  # of those that Python did not start
            thread.join(_ENDING)
        if thread.is_alive():
            return False
    return any(_is_alone() for _ in range(_LOOKS))


def _is_alone() -> bool:
    """Whether the system sees no other thread, of those that Python knows nothing of, too: proc(5)."""
    try:
        is_alone = len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False
    if not is_alone:  # of a thread that has ended for Python, something may be left for a moment
        threading.Event().wait(_ENDING / _LOOKS)
    return is_alone


@dataclass(frozen=True, slots=True)
class _Worker:
    """A process, and the ends of the pipes to it that are here."""

    process: int
    told: int
    orders: int


class Crew:
    """Workers under way; made by `crew`."""

    def __init__(self, workers: Sequence[_Worker]) -> None:
        self._workers = workers
        self._done: set[_Worker] = set()

    def gather(self) -> list[Any]:
        """What workers share, in their order; they get the same.

        Raises:
            PackError: what a worker raised.
        """
        values = [self._message(worker) for worker in self._workers]
        for worker in self._workers:
            try:
                _send(worker.orders, values)
            except BrokenPipeError:
                raise _ended() from None
        return values

    def results(self) -> Iterator[Any]:
        """What workers tell, as it comes, until all of them are done.

        Raises:
            PackError: what a worker raised.
        """
        waiting = {worker.told: worker for worker in self._workers}
        poll = select.poll()
        for descriptor in waiting:
            poll.register(descriptor, select.POLLIN)
        while waiting:
            for descriptor, _ in poll.poll():
                message = self._message(waiting[descriptor])
                if message is _Done:
                    poll.unregister(descriptor)
                    self._done.add(waiting.pop(descriptor))
                else:
                    yield message

    def _message(self, worker: _Worker) -> Any:
        try:
            message = _receive(worker.told)
        except EOFError:
            raise _ended() from None
        if isinstance(message, _Failure):
            raise message.error
        return message

    def end(self) -> None:
        """End those that are still at work, and let go of all."""
        for worker in self._workers:
            if worker not in self._done:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.process, signal.SIGKILL)
        for worker in self._workers:
            with contextlib.suppress(ChildProcessError):  # a program that waits for all processes has done so
                os.waitpid(worker.process, 0)
            os.close(worker.told)
            os.close(worker.orders)


def _ended() -> WorkerError:
    hint = f"Was there too little memory? {_ALONE}"
    return WorkerError("a process of ocipack was ended by somebody else", hint=hint)


@dataclass(frozen=True, slots=True)
class _Failure:
    error: BaseException


class _Done:
    """The last message of a worker."""


@contextlib.contextmanager
def crew(count: int, work: Work) -> Iterator[Crew]:
    """Have workers at work while the block runs; who is still working at its end, because of an error, is ended.

    Args:
        count: how many.
        work: what each does.
    """
    workers: list[_Worker] = []
    made, is_frozen = Crew(workers), bool(gc.get_freeze_count())
    gc.freeze()  # what is known already stays as it is: collecting garbage would copy its pages
    try:
        for number in range(count):
            with _interrupts_wait():  # until it is known who is to be ended
                workers.append(_started(number, work))
        yield made
    finally:
        made.end()
        if not is_frozen:
            gc.unfreeze()


@contextlib.contextmanager
def _interrupts_wait() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def crew_of(count: int, tasks: int, work: Callable[[Iterable[int], Colleague], None]) -> Iterator[Crew]:
    """As `crew`; each worker takes the next of the tasks when it is done with one.

    Args:
        count: how many workers.
        tasks: how many there are, at most `MOST_TASKS`.
        work: what each worker does, given the numbers of the tasks that it takes.
    """
    source, target = os.pipe()

    def numbers() -> Iterator[int]:
        while data := os.read(source, _NUMBER.size):
            yield _NUMBER.unpack(data)[0]

    try:
        with open(target, "wb", buffering=0) as numbered:
            numbered.write(b"".join(map(_NUMBER.pack, range(tasks))))
        with crew(count, lambda _, colleague: work(numbers(), colleague)) as made:
            yield made
    finally:
        os.close(source)


def _started(number: int, work: Work) -> _Worker:
    parent, ends = os.getpid(), list[int]()
    try:
        ends += os.pipe()
        ends += os.pipe()
        process = os.fork()
    except OSError as error:
        for end in ends:
            os.close(end)
        raise WorkerError(f"there can be no more processes: {error.strerror}", hint=_ALONE) from error
    told, telling, ordered, orders = ends
    if not process:
        _be_worker(number, work, parent, telling, ordered)
    os.close(telling)
    os.close(ordered)
    return _Worker(process, told, orders)


def _be_worker(number: int, work: Work, parent: int, telling: int, ordered: int) -> None:
    """The life of a worker; this never returns."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # who has forked us ends us
        for end in _ENDS[1:]:
            if callable(signal.getsignal(end)):  # what is pending is for who has forked us to take away
                signal.signal(end, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
        library = ctypes.CDLL(None)
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            _keep_memory(library)
            work(number, _Pipes(telling, ordered))
            _send(telling, _Done)
    except BaseException as error:  # raised where results are waited for
        _send(telling, _failure(error))
    finally:
        os._exit(0)


def _failure(error: BaseException) -> _Failure:
    """What is sent of an error; of one that cannot be sent, its words."""
    told = "".join(traceback.format_exception(error))
    if not isinstance(error, PackError):
        error.add_note(told)
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    except Exception:
        return _Failure(RuntimeError(told))
    return _Failure(error)


def _keep_memory(library: ctypes.CDLL) -> None:
    """Have the C library keep what is freed for what comes next.

    By itself it gives each piece of 1 MiB back to the system, and has its pages cleared anew: 300,000 page faults for
    1.7 GB, a tenth of the time that compressing it takes.
    """
    with contextlib.suppress(AttributeError):  # a C library that is not the GNU one
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT)
        library.mallopt(_M_MMAP_THRESHOLD, _KEPT)


@dataclass(frozen=True, slots=True)
class _Pipes:
    """The ends of the pipes that a worker has."""

    telling: int
    ordered: int

    def tell(self, value: Any) -> None:
        _send(self.telling, value)

    def share(self, value: Any) -> list[Any]:
        self.tell(value)
        shared: list[Any] = _receive(self.ordered)
        return shared


def _send(descriptor: int, value: Any) -> None:
    data = pickle.dumps(value)
    view = memoryview(_LENGTH.pack(len(data)) + data)
    while view:
        view = view[os.write(descriptor, view) :]


def _receive(descriptor: int) -> Any:
    (size,) = _LENGTH.unpack(_exactly(descriptor, _LENGTH.size))
    return pickle.loads(_exactly(descriptor, size))  # noqa: S301  # from a fork of this process


def _exactly(descriptor: int, size: int) -> bytearray:
    data = bytearray()
    while len(data) < size:
        piece = os.read(descriptor, size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data
