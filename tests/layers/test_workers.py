"""Processes that work beside this one, and how they end."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from layers.errors import ChangedError, PackError
from layers.workers import Colleague, WorkerError, can_fork, crew, crew_of
from tests.support.processes import python


def test_all_tasks_are_done_once_by_several_processes() -> None:
    def work(numbers: Iterable[int], colleague: Colleague) -> None:
        for number in numbers:
            time.sleep(0.001)  # so that nobody takes them all
            colleague.tell((number, os.getpid()))

    with crew_of(3, 500, work) as made:
        told = list(made.results())
    assert sorted(number for number, _ in told) == list(range(500))
    assert len({process for _, process in told}) == 3


def test_what_is_shared_everybody_gets_in_the_same_order() -> None:
    def work(number: int, colleague: Colleague) -> None:
        colleague.tell(colleague.share(f"of {number}"))

    with crew(3, work) as made:
        expected = ["of 0", "of 1", "of 2"]
        assert made.gather() == expected
        assert list(made.results()) == [expected] * 3


def test_large_answers_arrive_whole() -> None:
    with crew(2, lambda number, colleague: colleague.tell(bytes([number]) * (1 << 20))) as made:
        assert sorted(made.results()) == [bytes(1 << 20), b"\1" * (1 << 20)]


def fails(error: BaseException) -> Callable[[int, Colleague], None]:
    def work(number: int, colleague: Colleague) -> None:
        if number:
            time.sleep(30)
        raise error

    return work


def test_the_error_of_a_worker_is_raised_here_and_ends_the_others() -> None:
    start, before = time.monotonic(), children()
    with pytest.raises(ChangedError) as caught, crew(2, fails(ChangedError("file f", hint="Do this."))) as made:
        list(made.results())
    assert (str(caught.value), caught.value.exit_code) == ("file f\n  Do this.", 1)
    assert time.monotonic() - start < 20
    assert children() <= before


def test_a_mistake_of_ours_tells_where_it_was_made() -> None:
    with pytest.raises(KeyError) as caught, crew(1, fails(KeyError("x"))) as made:
        list(made.results())
    assert "raise error" in caught.value.__notes__[0]


def test_a_worker_that_somebody_ends_is_told() -> None:
    def work(number: int, colleague: Colleague) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(WorkerError, match="ended by somebody else"), crew(1, work) as made:
        list(made.results())


def test_a_worker_that_is_ended_before_it_gets_what_others_share_is_told() -> None:
    def work(number: int, colleague: Colleague) -> None:
        colleague.tell(number)
        os.kill(os.getpid(), signal.SIGKILL)

    before = children()
    with crew(1, work) as made:
        (worker,) = children() - before
        while is_alive(worker):
            time.sleep(0.01)
        with pytest.raises(WorkerError, match="ended by somebody else"):
            made.gather()


def test_what_cannot_be_sent_of_an_error_are_its_words() -> None:
    def work(number: int, colleague: Colleague) -> None:
        raise ValueError(lambda: None)

    with pytest.raises(RuntimeError, match="raise ValueError"), crew(1, work) as made:
        list(made.results())


def test_whoever_waits_for_all_processes_does_no_harm() -> None:
    before = children()
    with crew(2, lambda number, colleague: colleague.tell(number)) as made:
        assert sorted(made.results()) == [0, 1]
        for process in children() - before:
            os.waitpid(process, 0)


def test_a_thread_that_is_about_to_end_is_waited_for() -> None:
    thread = threading.Timer(60, print)
    thread.start()
    assert not can_fork()
    thread.cancel()
    assert can_fork()


_DIES = """
import os, signal, sys, time
from layers.workers import crew
def work(number, colleague):
    os.write(1, b"%d\\n" % os.getpid())
    time.sleep(60)
with crew(2, work) as made:
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_who_forked_them() -> None:
    with python(_DIES) as dying:
        assert dying.stdout
        processes = [int(dying.stdout.readline()) for _ in range(2)]
        assert dying.wait() == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while any(map(is_alive, processes)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_interrupt_is_for_who_forked_them() -> None:
    """A terminal interrupts all processes at once."""

    def work(number: int, colleague: Colleague) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        colleague.tell("still here")

    with crew(1, work) as made:
        assert list(made.results()) == ["still here"]


def children() -> set[int]:
    """Processes of this one, among them servers of other tests."""
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_there_are_no_workers_beside_threads() -> None:
    found: list[bool] = []
    assert can_fork()
    thread = threading.Thread(target=lambda: found.append(can_fork()))
    thread.start()
    thread.join()
    assert found == [False]


class ManyFieldsError(PackError):
    def __init__(self, item: str, *, size: int) -> None:
        super().__init__(f"{item} has {size} bytes", hint="Mend it.")
        self.size = size


def test_errors_with_fields_of_their_own_arrive_as_they_were() -> None:
    with pytest.raises(ManyFieldsError) as caught, crew(1, fails(ManyFieldsError("x", size=3))) as made:
        list(made.results())
    assert (str(caught.value), caught.value.size) == ("x has 3 bytes\n  Mend it.", 3)


def ends_early() -> None:
    with crew(2, lambda number, colleague: time.sleep(60)):
        raise ValueError("here")


def test_an_error_here_ends_workers() -> None:
    start = time.monotonic()
    with pytest.raises(ValueError, match="here"):
        ends_early()
    assert time.monotonic() - start < 20
