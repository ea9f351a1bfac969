"""dpkg itself is the oracle: it installs the same packages into an empty root; its database is compared with ours."""

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from layers.entry import Directory, Entry, File
from layers.reader import Reader
from packer.databases import dpkg
from packer.debian.attributes import Override
from packer.debian.diversions import Diversion
from packer.debian.package import DebianItem
from packer.debian.path_rules import PathRules, filtered
from tests.support.debian_archive import FileLike, Hard, Link, build_deb
from tests.support.debian_packages import Package, merged, package, unpacked_deb
from tests.support.processes import needs_root


def database(packages: Iterable[DebianItem], omitted: Mapping[str, frozenset[bytes]] | None = None) -> dict[str, Entry]:
    """Our database by path below /var/lib/dpkg."""
    with Reader() as reader:
        found = list(dpkg.entries(list(packages), omitted or {}, (), (), reader))
    return {entry.path.decode().removeprefix("var/lib/dpkg").lstrip("/"): entry for entry in found}


def texts(entries: Mapping[str, Entry]) -> dict[str, str]:
    with Reader() as reader:
        return {path: reader.read(entry.content).decode() for path, entry in entries.items() if isinstance(entry, File)}


PLAIN: dict[str, FileLike] = {"/usr/bin/plain": "plain\n", "/usr/share/a": Link("b"), "/etc/plain.conf": "a=1\n"}
INTERESTS = "interest /usr/share/info\ninterest-noawait shout\n# comment\nactivate whisper\n"
PACKAGES: tuple[tuple[str, dict[str, FileLike], dict[str, str], dict[str, str]], ...] = (
    # name, files, fields, members of control.tar
    ("plain", PLAIN, {"Section": "admin", "Homepage": "x", "Depends": "late", "Essential": "no"}, {}),
    ("conffiles", PLAIN | {"/etc/b": "b", "/etc/a": "a"}, {}, {"conffiles": "/etc/plain.conf\n/etc/b\n/etc/a\n"}),
    ("flags", PLAIN, {}, {"conffiles": "remove-on-upgrade /etc/gone\n/etc/plain.conf\n"}),
    ("sums", PLAIN, {}, {"md5sums": "00000000000000000000000000000000  usr/bin/plain\n"}),
    ("hard", {"/usr/a": "a", "/usr/b": Hard("/usr/a")}, {"Replaces": "x (<< 1)", "Breaks": "x (<< 1)"}, {}),
    ("shared", PLAIN, {"Multi-Arch": "same", "Source": "other (2)"}, {"triggers": INTERESTS}),
    ("foreign", PLAIN, {"Multi-Arch": "foreign", "Tag": "last", "Priority": "extra"}, {"triggers": INTERESTS}),
    ("late", {}, {"Enhances": "plain", "Suggests": "x", "Origin": "o", "Bugs": "b", "Protected": "yes"}, {}),
)


@needs_root
def test_the_same_database_as_dpkg(tmp_path: Path) -> None:
    debs = []
    for number, (name, files, control, members) in enumerate(PACKAGES):
        own = {path.replace("plain", f"plain{number}"): content for path, content in files.items()}
        own = {f"{path}{number}" if path.startswith("/usr/share/") else path: data for path, data in own.items()}
        listed = {member: text.replace("plain", f"plain{number}") for member, text in members.items()}
        architecture = "amd64" if "Multi-Arch" in control else "all"
        debs.append(
            build_deb(tmp_path, name, "1", files=own, control=control, scripts=listed, architecture=architecture)
        )
    assert_same_as_dpkg(tmp_path, debs)


@needs_root
@pytest.mark.parametrize("conffile", [False, True], ids=["file", "conffile"])
def test_a_replaced_file_leaves_the_losers_list(tmp_path: Path, conffile: bool) -> None:
    scripts = {"conffiles": "/etc/moved\n"} if conffile else {}
    old = build_deb(tmp_path, "old", "1", files={"/etc/moved": "old", "/etc/stays": "old"}, scripts=scripts)
    control = {"Replaces": "old (<< 2)"}
    new = build_deb(tmp_path, "new", "1", files={"/etc/moved": "new"}, control=control, scripts=scripts)
    ours = assert_same_as_dpkg(tmp_path, [old, new])
    assert ours["info/old.list"] == "/.\n/etc\n/etc/stays\n"
    assert ours["info/new.list"] == "/.\n/etc\n/etc/moved\n"


NO_RULES = PathRules()
CONFFILES = {"conffiles": "/etc/plain.conf\n/etc/b\n"}
SUMS = {"md5sums": "00000000000000000000000000000000  usr/bin/plain\n"}


@needs_root
@pytest.mark.parametrize("members", [CONFFILES, CONFFILES | SUMS], ids=["sums of dpkg", "sums of the package"])
@pytest.mark.parametrize("exclude", ["/usr/bin/*", "/etc/*", "*"])
def test_what_is_left_out_is_in_the_database(tmp_path: Path, members: dict[str, str], exclude: str) -> None:
    deb = build_deb(tmp_path, "plain", "1", files=PLAIN | {"/etc/b": "b"}, scripts=members)
    ours = assert_same_as_dpkg(tmp_path, [deb], PathRules.parse([exclude], []))
    assert "/usr/bin/plain\n" in ours["info/plain.list"]
    assert (" /etc/b newconffile\n" in ours["status"]) == (exclude != "/usr/bin/*")


@needs_root
def test_a_replaced_file_that_is_left_out_stays_in_both_lists(tmp_path: Path) -> None:
    old = build_deb(tmp_path, "old", "1", files={"/usr/moved": "old"})
    new = build_deb(tmp_path, "new", "1", files={"/usr/moved": "new"}, control={"Replaces": "old (<< 2)"})
    ours = assert_same_as_dpkg(tmp_path, [old, new], PathRules.parse(["/usr/*"], []))
    assert ours["info/old.list"] == ours["info/new.list"]


def assert_same_as_dpkg(folder: Path, debs: list[Path], rules: PathRules = NO_RULES) -> dict[str, str]:
    root = folder / "root"
    (root / "var/lib/dpkg/info").mkdir(parents=True)
    (root / "var/lib/dpkg/updates").mkdir()
    (root / "var/lib/dpkg/status").touch()
    for deb in debs:
        options = ["--force-depends", "--force-script-chrootless", *(f"--path-exclude={g.text}" for g in rules.exclude)]
        command = ["dpkg", f"--root={root}", *options, "--install", str(deb)]
        subprocess.run(command, check=True, capture_output=True)
    (folder / "tars").mkdir()
    items = filtered([unpacked_deb(str(deb), str(folder / "tars")) for deb in debs], rules).items
    _, merge = merged(items)
    omitted = {item.path: paths for item, paths in merge.omitted.items()}
    ours = texts(database(items, omitted))
    theirs = {
        str(path.relative_to(root / "var/lib/dpkg")): path.read_text()
        for path in sorted((root / "var/lib/dpkg").rglob("*"))
        if path.is_file() and not path.name.startswith("lock") and not path.name.endswith("-old")
    }
    for name in theirs:
        if name.startswith("triggers/"):  # dpkg has them in the order of installation
            theirs[name] = "".join(sorted(theirs[name].splitlines(keepends=True)))
    always = {"arch", "available", "diversions", "statoverride", "triggers/File"}
    assert {name: ours[name] for name in theirs} == theirs
    assert set(ours) - set(theirs) <= always
    return ours


SYNTHETIC = package(
    "tool", {"usr/bin/tool": "x", "etc/tool.conf": "y"}, {"conffiles": "/etc/tool.conf\n", "postinst": "#!/bin/sh\n"}
)
LIBRARY = package(
    "lib", {"usr/lib/x": "x"}, {"shlibs": "s", "list": "bad", "control": "bad", "a.b": "bad"}, multi_arch="same"
)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("info/format", "1\n"),
        ("available", ""),
        ("diversions", ""),
        ("statoverride", ""),
        ("triggers/File", ""),
        ("triggers/Unincorp", ""),
        ("triggers/Lock", ""),
        ("arch", "amd64\n"),
        ("info/tool.list", "/.\n/etc\n/etc/tool.conf\n/usr\n/usr/bin\n/usr/bin/tool\n"),
        (
            "info/tool.md5sums",
            "415290769594460e2e485922904f345d  etc/tool.conf\n9dd4e461268c8034f5c8564e155c67a6  usr/bin/tool\n",
        ),
        ("info/tool.postinst", "#!/bin/sh\n"),
        ("info/lib:amd64.shlibs", "s"),
        ("info/lib:amd64.list", "/.\n/usr\n/usr/lib\n/usr/lib/x\n"),
    ],
)
def test_files(path: str, content: str) -> None:
    assert texts(database([SYNTHETIC, LIBRARY]))[path] == content


def test_what_is_not_kept() -> None:
    names = {path for path in database([LIBRARY]) if path.startswith("info/lib")}
    assert names == {"info/lib:amd64.list", "info/lib:amd64.md5sums", "info/lib:amd64.shlibs"}


@pytest.mark.parametrize(
    ("path", "mode"), [("info/tool.postinst", 0o755), ("info/tool.list", 0o644), ("triggers/Lock", 0o600)]
)
def test_modes(path: str, mode: int) -> None:
    entry = database([SYNTHETIC])[path]
    assert isinstance(entry, File)
    assert entry.meta.mode == mode


def test_folders() -> None:
    folders = {path for path, entry in database([]).items() if isinstance(entry, Directory)}
    assert folders == {"", "alternatives", "info", "parts", "triggers", "updates"}


def test_stanzas_are_sorted_by_name() -> None:
    status = texts(database([SYNTHETIC, LIBRARY]))["status"]
    assert [line for line in status.splitlines() if line.startswith("Package:")] == ["Package: lib", "Package: tool"]
    assert status.count("\n\n") == 2
    assert status.endswith("\n\n")


def test_the_order_of_packages_does_not_matter() -> None:
    assert texts(database([SYNTHETIC, LIBRARY])) == texts(database([LIBRARY, SYNTHETIC]))


def test_files_that_two_architectures_share_stay_with_both() -> None:
    both = [package("lib", {"usr/share/x": "x"}, architecture=name, multi_arch="same") for name in ("amd64", "i386")]
    ours = texts(database(both, {both[0].path: frozenset([b"usr/share/x"])}))
    assert ours["info/lib:amd64.list"] == ours["info/lib:i386.list"] == "/.\n/usr\n/usr/share\n/usr/share/x\n"


@pytest.mark.parametrize("path", ["bin/x", "usr/bin/x"])
def test_an_omitted_path_is_found_under_its_old_name(path: str) -> None:
    one = package("one", {path: "x"})
    assert f"/{path}\n" not in texts(database([one], {one.path: frozenset([b"usr/bin/x"])}))["info/one.list"]


@pytest.mark.parametrize(
    ("packages", "architectures"),
    [
        ((), None),
        ((("data", "all"),), None),
        ((("aa", "i386"), ("dpkg", "amd64")), "amd64\ni386\n"),
        ((("aa", "i386"), ("bb", "amd64")), "i386\namd64\n"),
    ],
)
def test_architectures(packages: tuple[tuple[str, str], ...], architectures: str | None) -> None:
    given = [package(name, architecture=architecture) for name, architecture in packages]
    assert texts(database(given)).get("arch") == architectures


def test_diversions_and_overrides() -> None:
    with Reader() as reader:
        found = dpkg.entries([], {}, [Diversion("/a", "/a.b", "c")], [Override("/p", "root", "adm", 0o4750)], reader)
        ours = texts({entry.path.decode(): entry for entry in found})
    assert ours["var/lib/dpkg/diversions"] == "/a\n/a.b\nc\n"
    assert ours["var/lib/dpkg/statoverride"] == "root adm 4750 /p\n"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (package("../up"), "no name of a package"),
        (package("x1", architecture="a/b"), "no name of a package"),
        (package("x1", {"a\nb": ""}), "newline in its name"),
        (package("x1", stanza="Package: x1\n\nPackage: y"), "belongs to no field"),
        (package("x1", stanza=" begins: badly"), "belongs to no field"),
        (package("x1", members={"triggers": "interest ../File\n"}), "no name of a trigger"),
        (package("x1", members={"triggers": "interest File\n"}), "no name of a trigger"),
        (package("x1", members={"triggers": "interest\n"}), "no name of a trigger"),
    ],
)
def test_packages_that_no_database_holds(bad: Package, message: str) -> None:
    with pytest.raises(dpkg.DatabaseError, match=message):
        database([bad])
