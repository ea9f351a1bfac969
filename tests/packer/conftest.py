"""Fixtures of the program's tests."""

from collections.abc import Iterator

import pytest

from tests.oracle.registry import Registry, docker_registry
from tests.support.command_line import Workplace, workplace
from tests.support.pushing import LOGIN


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A folder for os.toml, with packages to take, for a module's tests."""
    return workplace(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that is open to all, for a module's tests."""
    with docker_registry(tmp_path_factory.mktemp("registry") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that wants the name and the password of `LOGIN`, for a module's tests."""
    with docker_registry(tmp_path_factory.mktemp("locked") / "data", login=LOGIN) as running:
        yield running
