"""The example `server`: packed by ocipack and unpacked by umoci, without any maintainer script run."""

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

EXAMPLE = Path(__file__).parents[2] / "examples" / "server"


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


def server_declaration(folder: Path, store: str = "") -> Path:
    """The example's os.toml in a folder, without what starts a disk, and in `ada` a key that it lets in.

    Args:
        folder: an existing one.
        store: more lines of `[store]`.
    """
    output("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", folder / "ada")
    lines = (EXAMPLE / "os.toml").read_text().splitlines(keepends=True)
    declaration = folder / "os.toml"
    text = "".join(line for line in lines if "linux-image" not in line)
    declaration.write_text(text.replace("[store]\n", f"[store]\n{store}"))
    return declaration


@contextlib.contextmanager
def server(folder: Path, store: str = "") -> Iterator[Server]:
    """Pack and unpack the server; see `server_declaration`."""
    key, cache = folder / "ada", folder / "cache"
    declaration = server_declaration(folder, store)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_CACHE_HOME": str(cache)}
    with memory(folder / "root") as root:
        command: list[str | Path] = [OCIPACK, "oci", "-q", "--compression=none", "-o", root / "layout", declaration]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        unpacked = umoci_unpack(root / "layout", "1.0", root / "bundle")
        shutil.rmtree(root / "layout")
        yield Server(unpacked, key, cache, declaration)
