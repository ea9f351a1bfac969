"""A digest that another thread computes is the digest."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from layers.digest import Digest
from layers.hashing import ParallelHash
from tests.support.entries import noise


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20])
@pytest.mark.parametrize("piece", [1 << 12, 1 << 20, 3 << 20])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("way", [ParallelHash.update, ParallelHash.take])
def test_digests(size: int, piece: int, threads: int, way: Callable[[ParallelHash, bytes], None]) -> None:
    data = noise(size)
    with ThreadPoolExecutor(threads) as executor:
        state = ParallelHash(executor)
        for start in range(0, size, piece):
            way(state, data[start : start + piece])
        assert state.digest() == Digest(hashlib.sha256(data).hexdigest())


def test_what_was_given_may_change_afterwards() -> None:
    with ThreadPoolExecutor(1) as executor:
        state = ParallelHash(executor)
        buffer = bytearray(b"a" * (1 << 20))
        state.update(memoryview(buffer))
        buffer[:] = b"b" * (1 << 20)
        assert state.digest() == Digest.of(b"a" * (1 << 20))
