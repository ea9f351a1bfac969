"""Container runtimes that other people wrote, run for real: each in folders of its own, without a network."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Debian's own docker, not another client that may come first on PATH: both ends have to be of one version.
_DOCKER = "/usr/bin/docker"


def output(*arguments: str | Path, env: dict[str, str] | None = None) -> str:
    """What a program prints; its complaint when it fails."""
    done = subprocess.run(
        [str(argument) for argument in arguments],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{arguments} said {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Docker:
    """A docker daemon of our own, with the classic image store."""

    socket: str

    def command(self, *arguments: str | Path) -> str:
        return output(_DOCKER, "-H", self.socket, *arguments)

    @property
    def version(self) -> int:
        """Of the daemon: the first of its numbers."""
        return int(self.command("version", "--format", "{{.Server.Version}}").partition(".")[0])

    def load(self, archive: Path) -> str:
        """Load an archive; the reference of the image."""
        return self.command("load", "--quiet", "-i", archive).splitlines()[-1].removeprefix("Loaded image: ")

    def run(self, reference: str, *arguments: str) -> str:
        return self.command("run", "--rm", "--network", "none", reference, *arguments)

    def inspect(self, reference: str) -> Any:
        return json.loads(self.command("image", "inspect", reference))[0]


@contextlib.contextmanager
def docker_daemon(folder: Path) -> Iterator[Docker]:
    """Start the daemon; it is ended by its own process id."""
    socket = f"unix://{folder}/docker.sock"
    log = (folder / "log").open("wb")
    daemon = subprocess.Popen(
        [
            "dockerd", "--host", socket, "--data-root", folder / "data", "--exec-root", folder / "exec",
            "--pidfile", folder / "pid", "--storage-driver", "vfs", "--iptables=false", "--ip6tables=false",
            "--bridge=none", "--ip-forward=false", "--ip-masq=false", "--userland-proxy=false",
        ],
        stdout=log, stderr=log, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_for(folder / "docker.sock", daemon, folder / "log")
        yield Docker(socket)
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(30)
        log.close()
        # The daemon leaves a mount behind, which keeps the folder from being removed.
        subprocess.run(["umount", "--quiet", folder / "exec/netns/default"], check=False, stderr=subprocess.DEVNULL)


def _wait_for(socket: Path, daemon: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        if socket.exists():
            return
        assert daemon.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError("the daemon did not start: " + log.read_text())


@dataclass(frozen=True)
class Containerd:
    """A containerd of our own, without whatever runs containers."""

    socket: Path

    def names(self, archive: Path) -> list[str]:
        """What it calls the images of an archive; it forgets them again."""
        self._images("import", "--no-unpack", archive)
        names = self._images("ls", "-q").split()
        self._images("rm", "--sync", *names)
        return names

    def _images(self, *arguments: str | Path) -> str:
        return output("ctr", "--address", self.socket, "images", *arguments)


@contextlib.contextmanager
def containerd_daemon(folder: Path) -> Iterator[Containerd]:
    """Start the daemon; it is ended by its own process id."""
    configuration = folder / "config.toml"
    configuration.write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
    socket = folder / "containerd.sock"
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(
            [
                "containerd", "--config", configuration, "--address", socket,
                "--root", folder / "root", "--state", folder / "state",
            ],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _wait_for(socket, daemon, folder / "log")
            yield Containerd(socket)
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(30)


@dataclass(frozen=True)
class Podman:
    """Podman with storage of its own."""

    folder: Path

    def command(self, *arguments: str | Path) -> str:
        return output(
            "podman", "--root", self.folder / "root", "--runroot", self.folder / "run", "--tmpdir", self.folder / "tmp",
            "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", "runc",
            *arguments,
        )  # fmt: skip

    def load(self, archive: Path) -> str:
        """Load an archive; the reference of the image."""
        return self.command("load", "-q", "-i", archive).strip().removeprefix("Loaded image: ")

    def run(self, reference: str, *arguments: str) -> str:
        limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")
        return self.command("run", "--rm", "--network=none", *limits, reference, *arguments)


def skopeo_copy(source: str, target: str) -> None:
    """Copy an image between two transports."""
    output("skopeo", "--insecure-policy", "copy", "--quiet", source, target)


def umoci_unpack(layout: Path, tag: str, bundle: Path) -> Path:
    """Unpack a layout's image into a root file system."""
    output("umoci", "unpack", "--image", f"{layout}:{tag}", bundle)
    root = bundle / "rootfs"
    root.chmod(0o755)  # umoci makes it with the umask, whatever that is
    return root
