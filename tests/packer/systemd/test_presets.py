"""Presets, compared with those that the host's systemctl(1) follows below a root."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from layers.entry import Data, Entry, File, Symlink
from layers.reader import Reader
from layers.tree import Tree, add_parents
from packer.systemd.presets import Presets

UNITS = ("a.service", "b.service", "c@x.service", "c@y.service", "ab.socket")

CASES: tuple[Mapping[str, str], ...] = (
    {},
    {"usr/lib/systemd/system-preset/50.preset": "disable a.service\n"},
    {"usr/lib/systemd/system-preset/50.preset": "disable *\n"},
    {"usr/lib/systemd/system-preset/50.preset": "enable a.*\ndisable a*\n# enable b.service\n; x\n\n"},
    {"usr/lib/systemd/system-preset/50.preset": "enable c@.service x\ndisable *\n"},
    {"usr/lib/systemd/system-preset/50.preset": "disable c@.service\n"},
    {
        "usr/lib/systemd/system-preset/10.preset": "disable a.service\n",
        "usr/lib/systemd/system-preset/50.preset": "enable a.service\ndisable b.service\n",
    },
    {
        "usr/lib/systemd/system-preset/50.preset": "disable a.service\n",
        "etc/systemd/system-preset/50.preset": "disable b.service\n",
    },
    {"usr/lib/systemd/system-preset/50.conf": "disable *\n"},
    {"usr/lib/systemd/system-preset/50.preset": "nonsense a.service\ndisable\ndisable [ab].service\n"},
)


def tree(files: Mapping[str, str]) -> Tree:
    entries: dict[bytes, Entry] = {
        path.encode(): File(path.encode(), Data(text.encode())) for path, text in files.items()
    }
    add_parents(entries)
    return Tree(entries)


@pytest.mark.parametrize("files", CASES)
def test_the_same_as_systemctl(tmp_path: Path, files: Mapping[str, str]) -> None:
    with Reader() as reader:
        presets = Presets(tree(files), reader)
    ours = {unit for unit in UNITS if presets.enables(unit)}
    for unit in {"c@.service", *UNITS} - {"c@x.service", "c@y.service"}:
        path = tmp_path / "usr/lib/systemd/system" / unit
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("[Install]\nWantedBy=default.target\n" + "DefaultInstance=z\n" * ("@" in unit))
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    theirs = set()
    for unit in UNITS:
        command = ["systemctl", f"--root={tmp_path}", "--preset-mode=enable-only", "preset", unit]
        subprocess.run(command, check=True, capture_output=True)
        wants = tmp_path / "etc/systemd/system/default.target.wants"
        if wants.exists() and list(wants.iterdir()):
            theirs.add(unit)
            for link in wants.iterdir():
                link.unlink()
    assert ours == theirs


def test_a_masked_preset_is_gone() -> None:
    entries = tree({"usr/lib/systemd/system-preset/50.preset": "disable *\n"}).by_path()
    entries[b"etc/systemd/system-preset/50.preset"] = Symlink(b"etc/systemd/system-preset/50.preset", b"/dev/null")
    with Reader() as reader:
        assert Presets(Tree(entries), reader).enables("a.service")
