"""ocipack as people run it: a process of its own, on a small archive of packages."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.debian_archive import Archive, Link, Program

OCIPACK = Path(sys.executable).with_name("ocipack")

#: For the environment of ocipack: it starts as fast as where the libraries of tests are not installed.
AS_INSTALLED = {"PYTHONPATH": str(Path(__file__).with_name("hidden"))}


@dataclass(frozen=True)
class Answer:
    """What a run of a program came to."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Workplace:
    """A folder with an os.toml, an archive of packages and a cache.

    Attributes:
        folder: of os.toml.
        archive: with the packages `tiny` (a shell), `library`, `tool` (needs `library`) and `manual`.
        cache: $XDG_CACHE_HOME.
    """

    folder: Path
    archive: Archive
    cache: Path

    def declare(
        self, more: str = "", *, name: str = "sample", packages: str = '"tiny", "tool"', store: str = ""
    ) -> Path:
        """Write os.toml."""
        path = self.folder / "os.toml"
        path.write_text(
            f'name = "{name}"\nversion = "1.0"\nplatform = "x86_64-linux"\n'
            f'[store]\ntype = "debian"\npackages = [{packages}]\nmirror = "{self.archive.url}"\n'
            f'suite = "{self.archive.suite}"\nsigned-by = "{self.archive.keyring}"\n{store}\n{more}\n'
        )
        return path

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a run."""
        plain = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "XDG_CACHE_HOME": str(self.cache)}
        return {**plain, **AS_INSTALLED, **(more or {})}

    def run(self, *arguments: str | Path, env: Mapping[str, str] | None = None, before: tuple[str, ...] = ()) -> Answer:
        """Run ocipack in the folder, behind another program if need be."""
        done = subprocess.run(
            [*before, str(OCIPACK), *map(str, arguments)],
            cwd=self.folder, env=self.environment(env), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return Answer(done.returncode, done.stdout, done.stderr)


def workplace(folder: Path) -> Workplace:
    """A folder ready to pack."""
    archive = Archive(folder / "archive")
    busybox = Path("/bin/busybox").read_bytes()
    archive.add(
        "tiny", "1.36-1", architecture="amd64",
        files={"/bin/busybox": Program(busybox), "/bin/sh": Link("busybox"), "/usr/share/tiny/about": "a shell\n"},
    )  # fmt: skip
    archive.add("library", "2.0", files={"/usr/lib/library.so": b"\x7fELF" + bytes(100_000)})
    archive.add(
        "tool", "1:3.1-2", depends="library (>= 1.5)",
        files={"/usr/bin/tool": Program(b"#!/bin/sh\necho tool\n"), "/etc/tool.conf": "verbose = yes\n"},
        scripts={"conffiles": "/etc/tool.conf\n", "postinst": "#!/bin/sh\nset -e\n"},
    )  # fmt: skip
    archive.add("manual", "1.0", files={"/usr/share/doc/manual/text": "read me\n" * 1000})
    archive.publish()
    place = folder / "place"
    place.mkdir()
    return Workplace(place, archive, folder / "cache")
