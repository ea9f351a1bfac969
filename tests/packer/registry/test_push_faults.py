"""A registry that breaks in every way: the right digest or a clean failure, in time, and no secret to anybody else."""

import base64
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from layers.errors import PackError
from packer.registry.answer import Limits
from packer.registry.push import Outcome
from tests.oracle.registry import Registry
from tests.support import fault_proxy, stored_images
from tests.support.fault_proxy import Eavesdropper, Fault, Faults
from tests.support.pushing import LOGIN, as_user, push_layout
from tests.support.stored_images import Layout

_RUNS = 200
_SIDE_BY_SIDE = 4
_TIME = 15.0  # seconds for a push: many times what the limits come to
_SIZES = (1, 20_000, 150_000)  # most requests are among the first twenty, which have the faults
_LIMITS = Limits(patience=0.7, first_pause=0.01, stall=0.25, grace=0.6, slowest=1 << 21)


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Eavesdropper]:
    with fault_proxy.eavesdropper() as ear:
        yield ear


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> list[Layout]:
    """An image, and the one that comes after it."""
    folder = tmp_path_factory.mktemp("images")
    layers = [random.Random(size).randbytes(size) for size in _SIZES]
    return [
        stored_images.layout(folder / "old", layers[:1]),
        stored_images.layout(folder / "new", layers),
    ]


def _restart(locked: Registry) -> Fault:
    """Kill the registry while it has a request; it is there again soon."""

    def fault(exchange: fault_proxy.Exchange) -> None:
        locked.kill(signal.SIGKILL)
        threading.Timer(0.05, locked.start).start()
        raise fault_proxy.GoneError

    return fault


def _fault(random_numbers: random.Random, elsewhere: Eavesdropper) -> Fault:
    count = random_numbers.choice([0, 1, 100, 400, 700, 5_000, 90_000, random_numbers.randrange(150_000)])
    return random_numbers.choice(
        [
            fault_proxy.reset_request(count),
            fault_proxy.reset_request(random_numbers.randrange(2_000)),
            fault_proxy.reset_answer(random_numbers.randrange(600)),
            fault_proxy.status("429 Too Many Requests"),
            fault_proxy.status("429 Too Many Requests", "Retry-After: 0"),
            fault_proxy.status("429 Too Many Requests", "Retry-After: 3600"),
            fault_proxy.status("503 Service Unavailable"),
            fault_proxy.status("503 Service Unavailable", "Retry-After: soon"),
            fault_proxy.status(
                "500 Internal Server Error", body=b'{"errors":[{"code":"UNKNOWN","message":"\x1b[1m"}]}'
            ),
            fault_proxy.status("404 Not Found"),
            fault_proxy.status("200 OK"),
            fault_proxy.status("201 Created"),
            fault_proxy.status("202 Accepted"),
            fault_proxy.stall,
            fault_proxy.stall_halfway,
            fault_proxy.drip,
            fault_proxy.endless,
            fault_proxy.garbage,
            fault_proxy.other_digest,
            fault_proxy.redirect(elsewhere.url),
            fault_proxy.realm(elsewhere.url),
            fault_proxy.location(elsewhere.url),
        ]
    )


def test_200_runs(locked: Registry, elsewhere: Eavesdropper, layouts: list[Layout]) -> None:
    def runs(seeds: range) -> list[bool]:
        with fault_proxy.fault_proxy(locked.port) as faults:
            return [_run(locked, faults, elsewhere, layouts, seed) for seed in seeds]

    with ThreadPoolExecutor(_SIDE_BY_SIDE) as executor:  # most of the time is waiting
        parts = list(executor.map(runs, [range(first, _RUNS, _SIDE_BY_SIDE) for first in range(_SIDE_BY_SIDE)]))
    assert {outcome for part in parts for outcome in part} == {True, False}


@pytest.mark.parametrize("number", range(0, 14, 2))
def test_a_registry_that_is_killed_and_comes_back(
    locked: Registry, elsewhere: Eavesdropper, layouts: list[Layout], number: int
) -> None:
    with fault_proxy.fault_proxy(locked.port) as faults:
        _run(locked, faults, elsewhere, layouts, 1000 + number, {number: _restart(locked)})


def _run(
    locked: Registry,
    faults: Faults,
    elsewhere: Eavesdropper,
    layouts: list[Layout],
    seed: int,
    plan: dict[int, Fault] | None = None,
) -> bool:
    """Push once with faults, once without; whether the first one succeeded."""
    random_numbers = random.Random(seed)
    old, new = layouts
    repository = f"run/{seed}"
    reference, chunk = f"{faults.address}/{repository}:1", random_numbers.choice([0, 1 << 14, 1 << 17])
    if had := random_numbers.random() < 0.3:
        push_layout(old.folder, f"{locked.address}/{repository}:1", keychain=as_user())
    count = random_numbers.randint(1, 4)
    faults.begin(plan or {random_numbers.randrange(20): _fault(random_numbers, elsewhere) for _ in range(count)})
    began = time.monotonic()
    try:
        push_layout(new.folder, reference, keychain=as_user(), limits=_LIMITS, chunk=chunk)
        succeeded = True
    except PackError as error:
        succeeded = False
        assert _is_clean(str(error)), error
    assert time.monotonic() - began < _TIME
    faults.begin({})
    locked.wait()
    tag = locked.tag(repository, "1")
    assert tag == new.digest if succeeded else tag in {new.digest, old.digest if had else None}
    again = push_layout(new.folder, reference, keychain=as_user(), chunk=chunk)
    assert not succeeded or set(again.blobs.values()) == {Outcome.KNOWN}
    assert locked.tag(repository, "1") == new.digest
    assert locked.whole(repository, "1")
    assert not [head for head in elsewhere.heard if _secret_in(head)]
    return succeeded


def _is_clean(message: str) -> bool:
    return (
        message.isascii()
        and all(letter.isprintable() or letter == "\n" for letter in message)
        and not _secret_in(message.encode())
    )


def _secret_in(data: bytes) -> bool:
    basic = base64.b64encode(":".join(LOGIN).encode())
    return LOGIN[1].encode() in data or basic in data or b"authorization" in data.lower()
