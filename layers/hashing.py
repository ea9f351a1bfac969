"""Hashing beside other work: SHA-256 costs as much as reading, and leaves Python's lock alone."""

import hashlib
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING

from layers.digest import Digest

if TYPE_CHECKING:
    from layers.output import Buffer

_BATCH = 1 << 20  # handing work to a thread costs some 30 µs: 3 % of hashing this many bytes


class ParallelHash:
    """A SHA-256 digest that another thread computes, one batch at a time, in order.

    Args:
        executor: whose thread computes it.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._state = hashlib.sha256()
        self._batch = bytearray()
        self._under_way: Future[None] | None = None

    def update(self, data: "Buffer | memoryview") -> None:
        """Hash the next bytes; they are copied, and may change afterwards."""
        self._batch += data
        if len(self._batch) >= _BATCH:
            self._submit()

    def take(self, data: "Buffer | memoryview") -> None:
        """Hash the next bytes; they must stay as they are from now on, and are not copied when they are many."""
        if len(data) < _BATCH // 16:
            self.update(data)
            return
        self._submit()
        self._wait()
        self._under_way = self._executor.submit(self._state.update, data)

    def digest(self) -> Digest:
        """The digest of all bytes so far."""
        self._submit()
        self._wait()
        return Digest(self._state.hexdigest())

    def _submit(self) -> None:
        if not self._batch:
            return
        self._wait()
        batch, self._batch = self._batch, bytearray()
        self._under_way = self._executor.submit(self._state.update, batch)

    def _wait(self) -> None:
        if self._under_way:
            self._under_way.result()
            self._under_way = None
