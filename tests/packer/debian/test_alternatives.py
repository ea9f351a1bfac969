import shutil
import subprocess
from pathlib import Path

import pytest

from layers.entry import Data, Entry, File, Symlink
from layers.reader import Reader
from packer.debian import alternatives
from packer.debian.unpacked import Unpacked
from tests.support.debian_packages import Package, merged, package

FILES = {f"usr/bin/{name}": name for name in ("one", "two", "three")}
FILES |= {f"usr/share/man/{name}.1": name for name in ("one", "two")}


def made(script: str, *others: Package) -> tuple[dict[str, Entry], list[str]]:
    packages = [package("p", FILES, {"postinst": script}), *others]
    with Reader() as reader:
        unpacked = Unpacked(packages, merged(packages)[1].tree, reader)
        found = {entry.path.decode(errors="surrogateescape"): entry for entry in alternatives.entries(unpacked)}
    return found, [skipped.reason for skipped in unpacked.skipped]


def links(script: str, *others: Package) -> dict[str, str]:
    return {path: e.target.decode() for path, e in made(script, *others)[0].items() if isinstance(e, Symlink)}


def record(script: str, name: str = "x") -> str:
    entry = made(script)[0][f"var/lib/dpkg/alternatives/{name}"]
    assert isinstance(entry, File)
    assert isinstance(entry.content, Data)
    return entry.content.data.decode()


INSTALL = "update-alternatives --install"
ONE, TWO = f"{INSTALL} /usr/bin/x x /usr/bin/one 10\n", f"{INSTALL} /usr/bin/x x /usr/bin/two 20\n"
SLAVES = (
    f"{INSTALL} /usr/bin/x x /usr/bin/two 5 --slave /usr/share/man/x.1 x.1 /usr/share/man/two.1 \\\n"
    "  --slave /usr/share/man/a.1 a.1 /usr/share/man/gone.1\n"
)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (ONE, {"etc/alternatives/x": "/usr/bin/one", "usr/bin/x": "/etc/alternatives/x"}),
        (ONE + TWO, {"etc/alternatives/x": "/usr/bin/two", "usr/bin/x": "/etc/alternatives/x"}),
        (TWO + ONE, {"etc/alternatives/x": "/usr/bin/two", "usr/bin/x": "/etc/alternatives/x"}),
        (f"{INSTALL} /bin/x x /bin/one 1", {"etc/alternatives/x": "/bin/one", "usr/bin/x": "/etc/alternatives/x"}),
        (f"{INSTALL} /usr/bin/x x /usr/bin/two 1; {INSTALL} /usr/bin/x x /usr/bin/one 1",
         {"etc/alternatives/x": "/usr/bin/one", "usr/bin/x": "/etc/alternatives/x"}),
        (SLAVES, {
            "etc/alternatives/x": "/usr/bin/two", "usr/bin/x": "/etc/alternatives/x",
            "etc/alternatives/x.1": "/usr/share/man/two.1", "usr/share/man/x.1": "/etc/alternatives/x.1",
        }),
        ("update-alternatives --remove x /usr/bin/one", {}),
        ("update-alternatives --remove $x $y", {}),
    ],
)  # fmt: skip
def test_links(script: str, expected: dict[str, str]) -> None:
    assert links(script) == expected


BOTH = "/usr/bin/one\n10\n\n\n/usr/bin/two\n5\n/usr/share/man/gone.1\n/usr/share/man/two.1\n\n"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (ONE, "auto\n/usr/bin/x\n\n/usr/bin/one\n10\n\n"),
        (TWO + ONE, "auto\n/usr/bin/x\n\n/usr/bin/one\n10\n/usr/bin/two\n20\n\n"),
        (f"{INSTALL} /usr/bin/x x /usr/bin/one -5", "auto\n/usr/bin/x\n\n/usr/bin/one\n-5\n\n"),
        (SLAVES + ONE, "auto\n/usr/bin/x\na.1\n/usr/share/man/a.1\nx.1\n/usr/share/man/x.1\n\n" + BOTH),
    ],
)  # fmt: skip
def test_records(script: str, expected: str) -> None:
    assert record(script) == expected


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (f"{INSTALL} $LINK x /usr/bin/one 1", "only a shell knows"),
        (f"{INSTALL} /usr/bin/x x", "words are missing"),
        (f"{INSTALL} /usr/bin/x x /usr/bin/one 1 --slave /a b", "words are missing"),
        (f"{INSTALL} /usr/bin/x x /usr/bin/none 1", "there is no /usr/bin/none"),
        (f"{INSTALL} /usr/bin/x x /usr/bin/one high", "no number"),
        (f"{INSTALL} /usr/bin/x x /usr/bin/one ²", "no number"),
        (f"{INSTALL} /usr/bin/x x /usr/bin/one --5", "no number"),
        pytest.param(f"{INSTALL} /usr/bin/x x /usr/bin/one {'1' * 5000}", "no number", id="digits"),
        (f"{INSTALL} /usr/bin/x ../x /usr/bin/one 1", "a slash"),
        (f"{INSTALL} bin/x x /usr/bin/one 1", "none at its start"),
    ],
)
def test_what_is_left_undone_is_said(script: str, reason: str) -> None:
    found, skipped = made(script)
    assert found == {}
    assert [reason in said for said in skipped] == [True]


def test_bytes_that_are_no_utf_8_stay() -> None:
    e, slave = b"caf\xe9".decode(errors="surrogateescape"), "--slave /usr/share/\udce9.1 \udce9.1 /usr/bin/\udce9"
    script = f"{INSTALL} /usr/bin/{e} {e} /usr/bin/\udce9 1 {slave}\n{INSTALL} /usr/bin/x x /usr/bin/\udcff 1\n"
    found, skipped = made(script, package("other", {"usr/bin/\udce9": "a program"}))
    assert {path for path, entry in found.items() if isinstance(entry, Symlink)} == {
        *(f"etc/alternatives/{name}" for name in (e, "\udce9.1")), f"usr/bin/{e}", "usr/share/\udce9.1",
    }  # fmt: skip
    assert found[f"etc/alternatives/{e}"] == Symlink(b"etc/alternatives/caf\xe9", b"/usr/bin/\xe9")
    assert skipped == ["there is no /usr/bin/\udcff"]


def test_what_a_package_ships_stays() -> None:
    assert links(ONE, package("other", {"usr/bin/x": "a program"})) == {}


@pytest.mark.skipif(not shutil.which("update-alternatives"), reason="update-alternatives is in dpkg")
@pytest.mark.parametrize("script", [ONE, ONE + TWO, SLAVES, SLAVES + ONE, ONE + SLAVES + TWO])
def test_update_alternatives_makes_the_same(tmp_path: Path, script: str) -> None:
    for path, content in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    (tmp_path / "etc/alternatives").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/alternatives").mkdir(parents=True)
    (tmp_path / "var/log").mkdir()
    program = f"update-alternatives --quiet --root {tmp_path} --log {tmp_path}/var/log/a --install"
    subprocess.run(["sh", "-ec", script.replace(INSTALL, program)], check=True, capture_output=True)
    ours, _ = made(script)
    for path, entry in ours.items():
        if isinstance(entry, Symlink):
            assert (tmp_path / path).readlink() == Path(entry.target.decode())
        else:
            assert (tmp_path / path).read_text() == record(script, path.rpartition("/")[2])
    theirs = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_symlink()]
    assert sorted(theirs) == sorted(path for path, entry in ours.items() if isinstance(entry, Symlink))
