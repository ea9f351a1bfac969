"""Fixtures that every floor's tests may use."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.oracle.runtimes import Docker, Podman, docker_daemon


@pytest.fixture(scope="session")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    """A docker daemon for the whole run."""
    with docker_daemon(tmp_path_factory.mktemp("docker")) as daemon:
        yield daemon


@pytest.fixture
def podman() -> Iterator[Podman]:
    """A podman without images; its paths must have no more than 50 characters."""
    with tempfile.TemporaryDirectory(prefix="podman-", ignore_cleanup_errors=True) as folder:
        yield Podman(Path(folder))
