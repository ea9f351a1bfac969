import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random

import pytest

from layers.pipeline import Pipeline, ahead


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_results_come_in_order_whatever_takes_longest(workers: int) -> None:
    delays = Random(workers)
    taken: list[bytes] = []

    def work(chunk: bytearray) -> bytes:
        time.sleep(delays.random() / 200)
        return bytes(chunk)

    with ThreadPoolExecutor(workers) as executor:
        pipeline = Pipeline(executor, window=5)
        for number in range(60):
            pipeline.submit(work, bytearray(b"%d" % number), lambda result: taken.append(bytes(result)))
            if number % 10 == 9:
                pipeline.after(lambda: taken.append(b"after"))
        pipeline.drain()
    wanted = [b"%d" % number for number in range(60)]
    for place in range(6):
        wanted.insert(11 * place + 10, b"after")
    assert taken == wanted


@pytest.mark.parametrize("window", [1, 3, 7])
def test_the_window_bounds_what_is_under_way(window: int) -> None:
    """Nothing is finished before the submitter waits: it must wait for the first when `window` are under way."""
    under_way, most, gate = 0, 0, threading.Event()

    def work(chunk: bytearray) -> bytes:
        gate.wait(5)
        return b""

    def take(_: object) -> None:
        nonlocal under_way
        under_way -= 1

    with ThreadPoolExecutor(2) as executor:
        pipeline = Pipeline(executor, window)
        for number in range(20):
            under_way += 1
            most = max(most, under_way)
            if number == window:
                assert under_way == window + 1
                gate.set()
            pipeline.submit(work, bytearray(), take)
            assert under_way <= window
        pipeline.drain()
    assert under_way == 0
    assert most == window + 1


def _fail(_: bytearray) -> bytes:
    raise KeyError("work")


def test_an_error_in_the_work_comes_out_and_nothing_after_it_is_taken() -> None:
    taken: list[object] = []
    with ThreadPoolExecutor(2) as executor:
        pipeline = Pipeline(executor, window=10)
        pipeline.submit(bytes, bytearray(b"before"), taken.append)
        pipeline.submit(_fail, bytearray(), taken.append)
        pipeline.submit(bytes, bytearray(b"behind"), taken.append)
        with pytest.raises(KeyError, match="work"):
            pipeline.drain()
    assert taken == [b"before"]


def test_an_error_comes_out_of_a_later_submit_when_the_window_is_full() -> None:
    with ThreadPoolExecutor(2) as executor:
        pipeline = Pipeline(executor, window=1)
        pipeline.submit(_fail, bytearray(), lambda _: None)
        with pytest.raises(KeyError, match="work"):
            pipeline.submit(bytes, bytearray(), lambda _: None)
        pipeline.drain()


def test_nothing_can_be_drained() -> None:
    with ThreadPoolExecutor(1) as executor:
        Pipeline(executor, window=1).drain()


def _count(most: int, give: Callable[[int], object]) -> None:
    for number in range(most):
        give(number)


def _counting(*lengths: int) -> list[Callable[[Callable[[int], object]], object]]:
    return [partial(_count, length) for length in lengths]


@pytest.mark.parametrize("window", [1, 2, 100])
@pytest.mark.parametrize("lengths", [[], [0], [5], [0, 3, 0, 0, 50, 1]])
def test_what_is_made_ahead_comes_in_order(window: int, lengths: list[int]) -> None:
    with ahead(_counting(*lengths), window) as made:
        assert [list(things) for things in made] == [list(range(length)) for length in lengths]


@pytest.mark.parametrize("window", [1, 3])
def test_no_more_is_made_ahead_than_the_window(window: int) -> None:
    given, full = [], threading.Event()

    def make(give: Callable[[int], object]) -> None:
        for number in range(20):
            if number == window:
                full.set()
            give(number)
            given.append(number)

    with ahead([make], window) as made:
        assert full.wait(5)
        time.sleep(0.05)  # for what should not happen
        assert given == list(range(window))
        assert list(next(made)) == list(range(20))


def test_what_a_maker_raises_comes_where_it_would_have_made_something() -> None:
    def fail(give: Callable[[int], object]) -> None:
        give(7)
        raise KeyError("made")

    taken: list[int] = []
    with pytest.raises(KeyError, match="made"), ahead([*_counting(2), fail, *_counting(3)], 10) as made:
        for things in made:
            taken.extend(things)
    assert taken == [0, 1, 7]


def test_nothing_is_made_any_more_when_the_block_has_ended() -> None:
    ended = threading.Event()

    def make(give: Callable[[int], object]) -> None:
        try:
            _count(1000, give)
        finally:
            ended.set()

    with pytest.raises(ZeroDivisionError), ahead([make], 2) as made:
        next(next(made))
        raise ZeroDivisionError
    assert ended.is_set()
