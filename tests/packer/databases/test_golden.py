"""The bytes of databases are the same for ever. `python -m tests.packer.databases.test_golden` writes them anew."""

import subprocess
import sys
from pathlib import Path

from layers.digest import Digest
from layers.entry import Data, File
from layers.item import Closure
from packer.databases import guix, nix
from tests.support.nar_items import items_of, nar_item
from tests.support.processes import REPOSITORY

GOLDEN = Path(__file__).parent / "golden" / "databases.sha256"

# Refers to what comes before: 500 items, whose tables and indices are two levels high, one with a chain of pages.
GRAPH = {f"item-{number}": [f"item-{other}" for other in range(number % 7, number, 41)] for number in range(500)}


def golden_text() -> str:
    """A line a file: digest, size, path."""
    lines = []
    for module in (nix, guix):
        base = module.STORE[1:].encode()
        term = File(base + b"/x.drv", Data(b'Derive([("out","/x","",""),("dev","/y","","")],[],[]'))
        items = [
            *items_of(GRAPH, module.STORE),
            nar_item(f"{module.STORE}/x.drv", term),
            nar_item(
                f"{module.STORE}/x", deriver=f"{module.STORE}/x.drv", signatures=["k" * 9000, "l"], self_reference=True
            ),
        ]
        for entry in module.entries(Closure(items), epoch=1):
            assert isinstance(entry, File)
            assert isinstance(entry.content, Data)
            digest = Digest.of(entry.content.data).hex
            lines.append(f"{digest} {entry.content.size:6} {entry.path.decode()}\n")
    return "".join(lines)


def test_the_bytes_are_golden() -> None:
    assert golden_text() == GOLDEN.read_text()


def test_no_library_has_a_say_in_the_bytes() -> None:
    """A Python without any SQLite writes the same."""
    code = """
import sys
sys.modules.update(dict.fromkeys(("sqlite3", "_sqlite3", "apsw")))
from tests.packer.databases.test_golden import golden_text
print(golden_text(), end="")
"""
    for seed in "12":
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=REPOSITORY, env={"PYTHONHASHSEED": seed}, capture_output=True, text=True
        )
        assert (done.stderr, done.stdout) == ("", GOLDEN.read_text())


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(golden_text())
