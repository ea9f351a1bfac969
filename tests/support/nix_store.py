"""A real Nix store of Debian's bash and coreutils: an item a package, made by nix-build from what this host has."""

import functools
import os
import re
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.support.nix_program import Nix

_SEEDS = ("bash", "coreutils")

#: The root item has links to all programs and libraries, so that they run with /lib64 and LD_LIBRARY_PATH set to them.
_EXPRESSION = """
let
  shell = builtins.path {{ name = "shell"; path = ./shell; }};
  make = name: script: more: derivation ({{
    inherit name; system = "x86_64-linux"; builder = "${{shell}}/busybox"; busybox = "${{shell}}/busybox";
    args = [ "sh" "-ec" script ];
  }} // more);
  package = name: src: deps: make name ''
    $busybox mkdir -p $out/nix-support
    $busybox tar -x -f $src -C $out
    for need in $deps; do echo $need; done > $out/nix-support/propagated-build-inputs
  '' {{ inherit src deps; }};
  d = {{ {packages} }};
in {{
  system = make "system-1.0" ''
    $busybox mkdir -p $out/bin $out/lib
    for item in $deps; do
      echo $item >> $out/packages
      for program in $item/bin/*; do [ ! -e $program ] || $busybox ln -sf $program $out/bin/; done
      $busybox find $item -name '*.so*' -type f -exec $busybox ln -sf {{}} $out/lib/ ';'
      $busybox find $item -name '*.so*' -type l ! -path '*/lib64/*' -exec $busybox ln -sf {{}} $out/lib/ ';'
    done
  '' {{ deps = builtins.attrValues d; }};
  other = builtins.toFile "other" "an item that nobody needs\\n";
}}
"""


@dataclass(frozen=True, slots=True)
class SmallStore:
    """A store below a folder.

    Attributes:
        nix: what works with it.
        top: path of an item that needs all others but one.
        other: path of that one.
    """

    nix: Nix
    top: str
    other: str

    @property
    def root(self) -> Path:
        """Where `nix/store` and `nix/var` are."""
        return self.nix.root

    def on_disk(self, path: str) -> Path:
        """Where an item is."""
        return self.root / path[1:]

    def closure(self) -> list[str]:
        """What Nix says that the top item needs, sorted."""
        return sorted(self.nix.store("-qR", self.top))

    def item(self, name: str) -> str:
        """The item of a package."""
        (path,) = (path for path in self.closure() if re.fullmatch(rf"{name}-[^-]*\d.*", path[44:]))
        return path


def small_store(folder: Path) -> SmallStore:
    """Build the store; it takes some seconds and no network."""
    (folder / "shell").mkdir()
    busybox = folder / "shell" / "busybox"
    busybox.write_bytes(Path("/bin/busybox").read_bytes())
    busybox.chmod(0o755)
    graph: dict[str, list[str]] = {}
    for seed in _SEEDS:
        _add(seed, graph, set(graph))
    packages = " ".join(_package(folder, name, needs) for name, needs in graph.items())
    (folder / "store.nix").write_text(_EXPRESSION.format(packages=packages))
    nix = Nix(folder / "root")
    build = ("nix-build", "--store", nix.root, folder / "store.nix", "--option", "sandbox", "false")
    top = nix.run(*build, "-A", "system", "--no-out-link").strip()
    other = nix.run(
        "nix-instantiate", "--store", nix.root, "--eval", "--read-write-mode", folder / "store.nix", "-A", "other"
    )
    profiles = nix.root / "nix/var/nix/profiles"
    (profiles / "default-7-link").symlink_to(top)
    (profiles / "default").symlink_to("default-7-link")
    return SmallStore(nix, top, other.strip().strip('"'))


def _add(package: str, graph: dict[str, list[str]], visited: set[str]) -> None:
    """Add a package after all that it needs, but for what would lead in a circle."""
    visited.add(package)
    needs = sorted(_needs(package) & _installed())
    for need in needs:
        if need not in visited:
            _add(need, graph, visited)
    graph[package] = [need for need in needs if need in graph]


@functools.cache
def _installed() -> frozenset[str]:
    return frozenset(_output("dpkg-query", "-W", "-f", "${Package}\n").split())


def _needs(package: str) -> set[str]:
    text = _output("dpkg-query", "-W", "-f", "${Pre-Depends},${Depends}", package)
    return {re.split(r"[ (:|]", clause.strip())[0] for clause in text.split(",")}


def _package(folder: Path, name: str, needs: Iterable[str]) -> str:
    """The package's files in a tar, and the expression of an item of them.

    They are where Nix has them, in bin and lib: Debian moves them from there to /usr, a release after the other.
    """
    version = re.sub(r"[^0-9A-Za-z+._-]", ".", _output("dpkg-query", "-W", "-f", "${Version}", name))
    with tarfile.open(folder / f"{name}.tar", "w") as archive:
        for path in sorted(_output("dpkg", "-L", name).splitlines()):
            if os.path.lexists(path) and not os.path.isdir(path):
                archive.add(path, path[1:].removeprefix("usr/"))
    source = f'(builtins.path {{ name = "source.tar"; path = ./. + "/{name}.tar"; }})'
    return f'"{name}" = package "{name}-{version}" {source} [ {" ".join(f"""d."{need}" """ for need in needs)}];'


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
