"""A server: Debian with systemd and ssh, packed by ocipack and unpacked by umoci, without any maintainer script run."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.oracle.runtimes import output, umoci_unpack

OCIPACK = Path(sys.executable).with_name("ocipack")

PACKAGES = (
    "apt", "ca-certificates", "cron", "dbus", "init", "iproute2", "iputils-ping", "kmod", "libnss-resolve",
    "libnss-systemd", "libpam-systemd", "logrotate", "openssh-server", "polkitd", "rsyslog", "sudo", "systemd-resolved",
    "systemd-sysv", "systemd-timesyncd", "tzdata", "udev", "vim-tiny",
)  # fmt: skip

OS_TOML = """\
name = "server"
version = "1.0"
platform = "x86_64-linux"

[store]
type = "debian"
essential = true
packages = [{packages}]

[os]
hostname = "server"
locale = "C.UTF-8"
services = ["systemd-networkd.service"]
users = [{{ name = "ada", groups = ["sudo"], authorized-keys = ["{key}"] }}]
files = [{{ target = "/etc/sudoers.d/ada", text = "ada ALL=(ALL:ALL) NOPASSWD: ALL\\n", mode = "0440" }}]

[layers]
compression = {{ codec = "none" }}
"""


@dataclass(frozen=True)
class Server:
    """An unpacked server.

    Attributes:
        root: its root file system, in memory; whoever changes it makes a copy.
        key: a private key that lets ada in, who may do everything with sudo.
        cache: of ocipack: it has every package.
        declaration: os.toml.
    """

    root: Path
    key: Path
    cache: Path
    declaration: Path

    @contextlib.contextmanager
    def copy(self) -> Iterator[Path]:
        """A root that may be changed."""
        with memory(self.declaration.parent / "copy") as folder:
            output("cp", "-a", self.root, folder / "root")
            yield folder / "root"


@contextlib.contextmanager
def memory(folder: Path) -> Iterator[Path]:
    """A folder whose files are kept in memory: nothing waits for a disk."""
    folder.mkdir()
    output("mount", "-t", "tmpfs", "-o", "size=4g,mode=0755", "tmpfs", folder)
    try:
        yield folder
    finally:
        output("umount", "--recursive", folder)
        folder.rmdir()


@contextlib.contextmanager
def server(folder: Path) -> Iterator[Server]:
    """Pack and unpack the server."""
    key, declaration, cache = folder / "key", folder / "os.toml", folder / "cache"
    output("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", key)
    packages = ", ".join(f'"{name}"' for name in PACKAGES)
    declaration.write_text(OS_TOML.format(packages=packages, key=key.with_suffix(".pub").read_text().strip()))
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_CACHE_HOME": str(cache)}
    with memory(folder / "root") as root:
        command: list[str | Path] = [OCIPACK, "oci", "-q", "-o", root / "layout", declaration]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        unpacked = umoci_unpack(root / "layout", "1.0", root / "bundle")
        shutil.rmtree(root / "layout")
        yield Server(unpacked, key, cache, declaration)
