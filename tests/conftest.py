"""Fixtures that every floor's tests may use."""

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from formats.system import System
from tests.oracle.linux import Linux, unpacked_linux
from tests.oracle.runtimes import Containerd, Docker, Podman, containerd_daemon, docker_daemon
from tests.support.nix_store import SmallStore, small_store
from tests.support.server import Server
from tests.support.server import server as packed_server
from tests.support.small_debian import small_debian

# The same examples in every run, and no failure because a machine is busy.
settings.register_profile("ocipack", derandomize=True, deadline=None, database=None)
settings.load_profile("ocipack")

# Other users look at what tests make, whatever the umask of whoever runs them.
os.umask(0o022)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Remove what a module's fixtures leave: of all modules together it would be 18 GB. After a failure it stays."""
    if fixturedef.scope != "module" or "tmp_path_factory" not in fixturedef.argnames:
        return (yield)
    top: Path = request.getfixturevalue("tmp_path_factory").getbasetemp()
    made: list[Path] = []

    def remove() -> None:
        for folder in made if not request.session.testsfailed else ():
            shutil.rmtree(folder, ignore_errors=True)

    fixturedef.addfinalizer(remove)  # the first one is called last
    before = set(top.iterdir())
    outcome = yield
    made += set(top.iterdir()) - before
    return outcome


@pytest.fixture(scope="session")
def docker_of_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    """A docker daemon for the whole run."""
    with docker_daemon(tmp_path_factory.mktemp("docker")) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def docker(docker_of_run: Docker) -> Iterator[Docker]:
    """The daemon, whose images are those of one module: it keeps each layer as a folder with all layers below."""
    yield docker_of_run
    docker_of_run.command("system", "prune", "--all", "--force")


@pytest.fixture(scope="session")
def containerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containerd]:
    """A containerd for the whole run."""
    with containerd_daemon(tmp_path_factory.mktemp("containerd")) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def nix_store(tmp_path_factory: pytest.TempPathFactory) -> SmallStore:
    """A Nix store for the whole run; whoever changes it copies it."""
    return small_store(tmp_path_factory.mktemp("nix-store"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of Debian packages for the whole run; whoever changes it makes a copy."""
    with packed_server(tmp_path_factory.mktemp("server")) as packed:
        yield packed


@pytest.fixture(scope="session")
def bootable_debian(tmp_path_factory: pytest.TempPathFactory) -> System:
    """A small system with a kernel and boot loaders, for the whole run."""
    return small_debian(tmp_path_factory.mktemp("small-debian"))


@pytest.fixture
def podman() -> Iterator[Podman]:
    """A podman without images; its paths must have no more than 50 characters."""
    with tempfile.TemporaryDirectory(prefix="podman-", ignore_cleanup_errors=True) as folder:
        yield Podman(Path(folder))


@pytest.fixture(scope="session")
def debian_linux(tmp_path_factory: pytest.TempPathFactory) -> Linux:
    """Debian's kernel for the whole run, in QEMU."""
    return unpacked_linux(tmp_path_factory.mktemp("debian-linux"))
