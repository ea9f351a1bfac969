"""dpkg itself is the oracle: it installs the same packages with the same rules, and what is there is compared."""

import os
import stat
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from layers.entry import Data, Directory, Entry, File, Hardlink, Meta, Symlink
from layers.reader import Reader
from layers.tree import Tree
from packer.debian.package import DebianItem
from packer.debian.path_rules import PathRules, filtered
from packer.debian.placement import PLACEMENT
from tests.support.debian_archive import FileLike, Folder, Hard, Link, Program, build_deb
from tests.support.debian_packages import Package, merged, package, unpacked_deb
from tests.support.processes import needs_root

ONE: dict[str, FileLike] = {
    "/bin/one": Program(b"#!/bin/sh\n"),
    "/etc/one.conf": "a = 1\n",
    "/lib/one/x": "x",
    "/usr/lib/one/first": "content",
    "/usr/lib/one/second": Hard("/usr/lib/one/first"),
    "/usr/share/doc-base/one": "index",
    "/usr/share/doc/one/README": "read me",
    "/usr/share/doc/one/copyright": "free",
    "/usr/share/doc/one/examples/[x]": "x",
    "/usr/share/doc/one/examples/more/copyright": "free, too",
    "/usr/share/doc/alias": Link("one"),
    "/usr/share/doc/one/link": Link("README"),
    "/usr/share/empty/one": Folder(0o2755),
    "/usr/share/locale/de/LC_MESSAGES/one.mo": "de",
    "/usr/share/locale/en/LC_MESSAGES/one.mo": "en",
    "/usr/share/locale/locale.alias": "alias",
    "/usr/share/man/de/man1/one.1": "de",
    "/usr/share/man/man1/one.1": "en",
    "/usr/share/man/man1/uno.1": Link("one.1"),
    "/usr/share/ä": "umlaut",
}
TWO: dict[str, FileLike] = {
    "/usr/bin/two": "#!/bin/sh\n",
    "/usr/share/doc/two/README": "read me",
    "/usr/share/doc/two/copyright": "free",
    "/usr/share/man/man1/two.1": "en",
}
COPYRIGHT = "/usr/share/doc/*/copyright"

RULES: tuple[tuple[list[str], list[str]], ...] = (
    (["/usr/share/doc/*"], []),
    (["/usr/share/doc/*"], [COPYRIGHT]),
    (["/usr/share/doc*"], [COPYRIGHT]),
    (["/usr/share/doc/*/copyright", "/usr/share/doc/*"], [COPYRIGHT]),
    (["/usr/share/doc/one/*"], ["/usr/share/doc/one/examples/\\[x\\]"]),
    (["/usr/share/*"], [COPYRIGHT]),
    (["/usr/share/*"], ["*/copyright"]),
    (["/usr/share/*"], ["*.alias", "/usr/share/locale/[ed]?/*"]),
    (["/usr/share/locale/*"], ["/usr/share/locale/en/*"]),
    (["/usr/share/locale/*"], ["/usr/share/locale/en/*", "/usr/share/locale/locale.alias"]),
    (["/usr/share/locale/[!e]*"], []),
    (["/usr/share/locale/??/*"], []),
    (["/usr/share/man/*"], ["/usr/share/man/man[1-9]/*"]),
    (["/usr/share/man/*"], ["/usr/share/man/"]),
    (["*/README", "*.1"], []),
    (["*one*"], []),
    (["*"], []),
    (["*"], ["*/copyright", "/bin/*"]),
    (["/bin/*", "/lib/*"], []),
    (["/usr/bin/*"], []),  # not /bin/one, though it is there
    (["/usr/share/empty/one"], []),
    (["/usr/share/?"], []),
    (["/usr/share/??"], []),
    (["/usr/lib/one/second"], []),
    (["/usr/lib/one/*"], []),
    (["/etc/*"], ["/etc/one.conf"]),
    (["/nothing"], ["/nothing/else"]),
)


@pytest.fixture(scope="module")
def debs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("debs")
    return [build_deb(folder, "one", "1", files=ONE), build_deb(folder, "two", "1", files=TWO)]


@needs_root
@pytest.mark.parametrize(("exclude", "include"), RULES, ids=lambda patterns: " ".join(patterns))
def test_what_stays_is_what_dpkg_installs(
    tmp_path: Path, debs: list[Path], exclude: list[str], include: list[str]
) -> None:
    items = [unpacked_deb(str(deb), str(tmp_path)) for deb in debs]
    found = filtered(items, PathRules.parse(exclude, include)).items
    assert described(merged(found)[1].tree) == installed(tmp_path / "root", debs, exclude, include)


def described(tree: Tree) -> dict[str, object]:
    with Reader() as reader:
        found: dict[str, object] = {}
        for entry in tree:
            path = os.fsdecode(entry.path)
            match entry:
                case Symlink(target=target):
                    found[path] = os.fsdecode(target)
                case Directory(meta=meta):
                    found[path] = oct(meta.mode)
                case _:
                    file = tree.follow(entry.path)
                    assert isinstance(file, File)
                    found[path] = (oct(file.meta.mode), reader.read(file.content))
    return found


def installed(root: Path, debs: Iterable[Path], exclude: Iterable[str], include: Iterable[str]) -> dict[str, object]:
    """What dpkg has made of the packages, as if its folders /bin and /lib were links into /usr."""
    (root / "var/lib/dpkg/info").mkdir(parents=True)
    (root / "var/lib/dpkg/updates").mkdir()
    (root / "var/lib/dpkg/status").touch()
    options = [*(f"--path-exclude={text}" for text in exclude), *(f"--path-include={text}" for text in include)]
    command = ["dpkg", f"--root={root}", "--force-script-chrootless", *options, "--install", *map(str, debs)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "LC_ALL": "C"})
    found: dict[str, object] = {}
    for path in root.rglob("*"):
        name = os.fsdecode(PLACEMENT.path(os.fsencode(path.relative_to(root))))
        mode = path.lstat().st_mode
        if name.split("/")[0] == "var":
            continue
        if stat.S_ISLNK(mode):
            found[name] = os.readlink(path)
        else:
            bits = oct(stat.S_IMODE(mode))
            found[name] = (bits, path.read_bytes()) if stat.S_ISREG(mode) else bits
    return found


# What dpkg fails to unpack


def kept(files: Mapping[str, str | bytes | Entry], *exclude: str) -> DebianItem:
    (item,) = filtered([package("p", files)], PathRules.parse(exclude, [])).items
    return item


def entries(item: DebianItem) -> list[Entry]:
    return list(item.placed_entries())


LINKED: dict[str, str | bytes | Entry] = {
    "usr/a": File(b"usr/a", Data(b"content"), Meta(0o755)),
    "usr/b": Hardlink(b"usr/b", b"usr/a"),
    "usr/c": Hardlink(b"usr/c", b"usr/b"),
}


@pytest.mark.parametrize(
    ("exclude", "expected"),
    [
        (["/usr/a"], [File(b"usr/b", Data(b"content"), Meta(0o755)), Hardlink(b"usr/c", b"usr/b")]),
        (["/usr/a", "/usr/b"], [File(b"usr/c", Data(b"content"), Meta(0o755))]),
        (["/usr/b"], [LINKED["usr/a"], Hardlink(b"usr/c", b"usr/a")]),
        (["/usr/*"], []),
    ],
)
def test_a_content_stays_with_the_names_that_stay(exclude: list[str], expected: list[Entry]) -> None:
    item = kept(LINKED, *exclude)
    assert entries(item) == expected
    assert item.size == (7 if expected else 0)


def test_a_folder_stays_if_something_in_it_does() -> None:
    folder = Directory(b"srv/data", Meta(0o700))
    item = kept({"srv/data": folder, "srv/data/x": "x", "srv/data/y": "y"}, "/srv/data", "/srv/data/y")
    assert entries(item) == [folder, File(b"srv/data/x", Data(b"x"))]


def test_one_path_of_two_names_stays_if_one_of_them_does() -> None:
    folders = [Directory(b"lib"), Directory(b"usr/lib")]
    item = kept({"lib": folders[0], "usr/lib": folders[1]}, "/lib")
    assert entries(item) == [folders[1], folders[1]]


# What it is for layers and people


def test_what_no_rule_hits_is_the_same() -> None:
    hit, spared = package("hit", {"usr/share/doc/hit": "x"}), package("spared", {"usr/bin/spared": "xyz"})
    found = filtered([hit, spared], PathRules.parse(["/usr/share/doc/*"], [])).items
    assert found[1] is spared
    assert found[0].left_out == {b"usr/share/doc/hit"}
    assert found[0].identity == hit.identity
    assert found[0].packed_identity != hit.packed_identity == hit.identity


def test_rules_that_do_the_same_are_the_same() -> None:
    one = kept({"usr/share/doc/x": "x", "usr/y": "y"}, "/usr/share/doc/*")
    other = kept({"usr/share/doc/x": "x", "usr/y": "y"}, "*/x")
    assert one.packed_identity == other.packed_identity
    assert one.packed_identity != kept({"usr/share/doc/x": "x", "usr/y": "y"}, "*/y").packed_identity


def test_the_size_is_that_of_what_stays() -> None:
    item = replace(package("p", {"usr/share/doc/x": "12345", "usr/y": "123"}), size=8)
    (found,) = filtered([item], PathRules.parse(["*/doc/*"], [])).items
    assert found.size == 3


@pytest.mark.parametrize(
    ("exclude", "include", "idle"),
    [
        ([], [], []),
        (["/usr/share/doc/*"], [COPYRIGHT], []),
        (["/usr/share/dco/*", "*/README"], [], ["path-exclude: '/usr/share/dco/*' leaves out nothing"]),
        (["/usr/share/doc"], [], ["path-exclude: '/usr/share/doc' leaves out nothing"]),
        ([COPYRIGHT], [COPYRIGHT], [f"path-exclude: '{COPYRIGHT}' leaves out nothing"]),
        (["*/README"], [COPYRIGHT], [f"path-include: '{COPYRIGHT}' brings back nothing"]),
    ],
)
def test_rules_that_change_nothing(exclude: list[str], include: list[str], idle: list[str]) -> None:
    item = package("p", {"usr/share/doc/p/README": "x", "usr/share/doc/p/copyright": "x"})
    assert list(filtered([item], PathRules.parse(exclude, include)).idle) == idle


# The rules of the image

CONFIGURATION = package("dpkg", {"etc/dpkg/dpkg.cfg.d": Directory(b"etc/dpkg/dpkg.cfg.d")})


def configuration(rules: PathRules, *packages: Package) -> list[Entry]:
    return list(rules.entries(merged(packages)[1].tree))


def test_dpkg_in_the_image_has_the_rules() -> None:
    (file,) = configuration(PathRules.parse(["/usr/share/doc/*", "*.1"], [COPYRIGHT]), CONFIGURATION)
    text = b"path-exclude=/usr/share/doc/*\npath-exclude=*.1\npath-include=/usr/share/doc/*/copyright\n"
    assert file == File(b"etc/dpkg/dpkg.cfg.d/path-rules", Data(text))


@pytest.mark.parametrize(
    ("rules", "packages"),
    [(PathRules(), [CONFIGURATION]), (PathRules.parse(["*"], []), [package("p", {"etc/p": "x"})])],
    ids=["no rules", "no dpkg"],
)
def test_no_rules_for_dpkg(rules: PathRules, packages: list[Package]) -> None:
    assert not configuration(rules, *packages)
