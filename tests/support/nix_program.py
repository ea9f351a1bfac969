"""Nix's own programs, as an oracle."""

import subprocess
from pathlib import Path

#: Where Nix keeps its database, below the root.
DATABASE = "nix/var/nix/db/db.sqlite"


class Nix:
    """Nix, with a store below a folder.

    Args:
        root: of the store, which need not exist.
        store: how Nix calls it; a store of /nix/store below the root if nothing is said.
    """

    def __init__(self, root: Path, store: str = "") -> None:
        self.root = root
        self.database = root / DATABASE
        self._store = store or str(root)
        self._home = root.parent / f"{root.name}-home"
        self._home.mkdir()

    def store(self, *arguments: str | Path, stdin: str = "", code: int = 0) -> list[str]:
        """The lines that nix-store prints."""
        return self.run("nix-store", "--store", self._store, *arguments, stdin=stdin, code=code).splitlines()

    def run(self, *command: str | Path, stdin: str = "", code: int = 0, features: str = "nix-command") -> str:
        """What a program prints, which answers with this code; of Nix's experimental features it has these."""
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self._home),
            "NIX_CONFIG": f"build-users-group =\nexperimental-features = {features}",
        }
        done = subprocess.run(command, env=environment, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done.stdout


def nar_hash(path: Path) -> str:
    """The digest of what is at a path, as Nix and Guix hash it; hexadecimal."""
    done = subprocess.run(["nix-hash", "--type", "sha256", path], check=True, capture_output=True, text=True)
    return done.stdout.strip()
