"""Containers that run a whole system: its own init is their first process. For root, as that is what they need."""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.oracle.runtimes import output

_PATIENCE = 120  # seconds


@dataclass(frozen=True)
class Machine:
    """A running system.

    Attributes:
        leader: process id of its init.
        console: what it has printed so far.
    """

    leader: int
    console: Path

    def run(self, *command: str) -> str:
        """What a command prints that succeeds, as root."""
        return output(*self._inside("-m", "-u", "-i", "-n", "-p", "-C"), "env", "-i", *_ENVIRONMENT, *command)

    def ssh(self, user: str, key: Path, command: str) -> str:
        """What a command prints over ssh, with this machine's client and that one's network."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes")
        settings = [word for option in options for word in ("-o", option)]
        return output(*self._inside("-n"), "ssh", "-F", "none", *settings, "-i", key, f"{user}@127.0.0.1", command)

    def wait(self) -> str:
        """Wait until it has started: `running`, or what it is instead."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            command = [*self._inside("-m", "-u", "-i", "-n", "-p", "-C"), "systemctl", "is-system-running"]
            state = subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()
            if state and state not in ("initializing", "starting", "offline", "unknown"):
                return state
            time.sleep(0.2)
        raise AssertionError(f"it did not start in {_PATIENCE} s:\n{self.console.read_text(errors='replace')[-3000:]}")

    def _inside(self, *namespaces: str) -> list[str]:
        return ["nsenter", "-t", str(self.leader), *namespaces]


_ENVIRONMENT = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=dumb")


@contextlib.contextmanager
def _terminal(command: str, console: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command on a terminal of its own, whose output goes to a file; it is ended with its own process id."""
    process = subprocess.Popen(
        ["script", "--quiet", "--flush", "--return", "--command", f"exec {command}", str(console)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            for child in _children(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, 15)
            process.wait(60)


def _children(pid: int) -> list[int]:
    with contextlib.suppress(FileNotFoundError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _descendant(process: subprocess.Popen[bytes], depth: int, console: Path) -> int:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        found = [process.pid]
        for _ in range(depth):
            found = [child for pid in found for child in _children(pid)]
        if found:
            return found[0]
        time.sleep(0.1)
    raise AssertionError("it did not start: " + console.read_text(errors="replace")[-3000:])


@contextlib.contextmanager
def nspawn(root: Path, folder: Path) -> Iterator[Machine]:
    """systemd-nspawn, without a machine manager; it must end by itself when the system is powered off."""
    console = folder / "console"
    command = f"systemd-nspawn --directory={root} --boot --register=no --keep-unit --private-network --timezone=off"
    with _terminal(command, console) as process:
        machine = Machine(_descendant(process, 2, console), console)
        yield machine
        output("nsenter", "-t", str(machine.leader), "-m", "-u", "-i", "-n", "-p", "-C", "systemctl", "poweroff")
        assert process.wait(_PATIENCE) == 0


@contextlib.contextmanager
def podman_machine(root: Path, folder: Path) -> Iterator[Machine]:
    """podman, which knows what systemd wants of a container."""
    base = [
        "podman", "--root", str(folder / "r"), "--runroot", str(folder / "n"), "--tmpdir", str(folder / "t"),
        "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", "runc",
    ]  # fmt: skip
    limits = ["--ulimit", "nofile=20000:20000", "--ulimit", "nproc=20000:20000"]
    # systemd-resolved of systemd 257 does not start without.
    allowed = ["--cap-add", "SYS_ADMIN"]
    how = ["--systemd=always", "--network=none", *limits, *allowed]
    name = output(*base, "run", "-d", *how, "--rootfs", root, "/sbin/init")
    try:
        leader = int(output(*base, "inspect", "--format", "{{.State.Pid}}", name.strip()))
        console = folder / "console"
        console.touch()
        yield Machine(leader, console)
    finally:
        output(*base, "rm", "--force", "--time", "2", name.strip())
