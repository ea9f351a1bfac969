"""Links to what several roots have; Nix's own builder of profiles is the oracle for merging."""

import os
import random
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from layers.entry import Data, Directory, Entry, File, Symlink, parents
from layers.item import apart
from layers.tree import Tree
from packer.nix import symlinks
from packer.nix.links import Root
from packer.nix.symlinks import SymlinkError, links
from packer.store_root import Parts
from packer.stores.nix import Options, open_store
from tests.packer.stores.test_nix import context
from tests.support.guix_store import folder_item
from tests.support.nar_items import nar_item, write_entries
from tests.support.nix_program import Nix

A, B, C, D = (f"/nix/store/{letter * 32}-{letter}" for letter in "abcd")
_NAMES = {"A": A, "B": B, "C": C, "D": D}


def entries(text: str) -> list[Entry]:
    """Files, folders and links: `bin/ls empty/ lib64->lib`, with all parents; A to D are items."""
    found: dict[bytes, Entry] = {}
    for word in text.split():
        name, _, target = word.partition("->")
        path = name.rstrip("/").encode()
        found |= {parent: Directory(parent) for parent in parents(path)}
        if target:
            found[path] = Symlink(path, "".join(_NAMES.get(letter, letter) for letter in target).encode())
        else:
            found[path] = Directory(path) if name.endswith("/") else File(path, Data(word.encode()))
    return [found[path] for path in sorted(found)]


def store(items: Mapping[str, str]) -> Tree:
    """The tree of items; an item is a file if nothing is said of it."""
    made = [folder_item(path, *entries(text)) if text else nar_item(path) for path, text in items.items()]
    tree = apart(made, Parts(made))
    assert tree is not None
    return tree


def linked(
    wanted: Mapping[str, str], *texts: str, made: str = "", base: str = "", more: Mapping[str, str] | None = None
) -> tuple[list[str], list[str]]:
    """The links to the first items, and what is told."""
    told: list[str] = []
    roots = [A, B, C][: len(texts)]
    tree = store({**dict(zip(roots, texts, strict=True)), **(more or {})})
    found = sorted(links(wanted, roots, tree, entries(made), entries(base), told.append), key=lambda entry: entry.path)
    return [shown(entry) for entry in found], told


def shown(entry: Entry) -> str:
    path = os.fsdecode(entry.path)
    if isinstance(entry, Directory):
        return path + "/"
    assert isinstance(entry, Symlink)
    target = os.fsdecode(entry.target)
    for letter, item in _NAMES.items():
        target = target.replace(item, letter)
    return f"{path}->{target}"


@pytest.mark.parametrize(
    ("wanted", "roots", "expected"),
    [
        # one root has it
        ({"/bin": "bin"}, ["bin/a"], "bin->A/bin"),
        ({"/bin": "bin"}, ["bin/a", "lib/b"], "bin->A/bin"),
        ({"/bin": "bin"}, ["lib/a", "bin/b"], "bin->B/bin"),
        ({"/opt/a": "."}, ["bin/a"], "opt/a->A"),
        ({"/opt/a": "."}, [""], "opt/a->A"),
        ({"/bin/sh": "bin/a"}, ["bin/a", "bin/b"], "bin/sh->A/bin/a"),
        ({"/bin/sh": "bin/b"}, ["bin/a", "bin/b"], "bin/sh->B/bin/b"),
        ({"/x": "bin/"}, ["bin/"], "x->A/bin"),
        # several have it
        ({"/bin": "bin"}, ["bin/a", "bin/b"], "bin/ bin/a->A/bin/a bin/b->B/bin/b"),
        ({"/bin": "bin"}, ["bin/a", "lib/x", "bin/b"], "bin/ bin/a->A/bin/a bin/b->C/bin/b"),
        ({"/bin": "bin"}, ["bin/", "bin/"], "bin/"),
        ({"/sh": "sh"}, ["sh", "sh"], "sh->A/sh"),
        ({"/x": "x"}, ["x->/nowhere", "x"], "x->B/x"),
        ({"/m": "m"}, ["m/1/a m/2/a", "m/1/b m/3/b"], "m/ m/1/ m/1/a->A/m/1/a m/1/b->B/m/1/b m/2->A/m/2 m/3->B/m/3"),
        ({"/m": "m/n"}, ["m/n/a", "m/n/b"], "m/ m/a->A/m/n/a m/b->B/m/n/b"),
        ({"/opt": "."}, ["a", "b"], "opt/ opt/a->A/a opt/b->B/b"),
        ({"/opt": "."}, ["a", ""], "opt->A"),
        # links in roots
        ({"/bin": "bin"}, ["bin->D/bin", "bin/b"], "bin/ bin/b->B/bin/b bin/d->D/bin/d"),
        ({"/bin": "bin"}, ["bin->D/bin", "bin->D/bin"], "bin->A/bin"),
        ({"/bin": "bin"}, ["bin->D/bin", "bin->D/bin", "bin/c"], "bin/ bin/c->C/bin/c bin/d->D/bin/d"),
        ({"/bin": "bin"}, ["bin/d->D/bin/d", "bin/d->D/bin/d bin/b"], "bin/ bin/b->B/bin/b bin/d->A/bin/d"),
        ({"/l": "l"}, ["l/a l/x->/nowhere", "l/b"], "l/ l/a->A/l/a l/b->B/l/b l/x->A/l/x"),
        ({"/l": "l"}, ["l/a l/x->x", "l/b l/y"], "l/ l/a->A/l/a l/b->B/l/b l/x->A/l/x l/y->B/l/y"),
        ({"/m": "m"}, ["m/s->../s s/a", "m/s->../s s/b"], "m/ m/s/ m/s/a->A/s/a m/s/b->B/s/b"),
        ({"/m": "m"}, ["m/a m/x->.", "m/b m/x->."], "m/ m/a->A/m/a m/b->B/m/b m/x->/m"),
        ({"/m": "m"}, ["m/s/x->.. m/a", "m/s/x->.."], "m/ m/a->A/m/a m/s/ m/s/x->/m"),
        # what describes one package alone
        ({"/opt": "."}, ["a nix-support/x manifest.nix", "b nix-support/x"], "opt/ opt/a->A/a opt/b->B/b"),
        ({"/i": "i/info"}, ["i/info/a i/info/dir", "i/info/b i/info/dir"], "i/ i/a->A/i/info/a i/b->B/i/info/b"),
        ({"/x": "x"}, ["x/dir", "x/manifest.nix"], "x/ x/dir->A/x/dir x/manifest.nix->B/x/manifest.nix"),
        ({"/x": "x"}, ["x/log", "x/perllocal.pod"], "x/ x/log->A/x/log"),
        ({"/x": "nix-support"}, ["nix-support/x"], "x->A/nix-support"),
        # several links
        (
            {"/bin": "bin", "/usr/bin/env": "bin/a", "/lib": "lib"},
            ["bin/a", "bin/b lib/c"],
            "bin/ bin/a->A/bin/a bin/b->B/bin/b lib->B/lib usr/bin/env->A/bin/a",
        ),
        # the root
        ({"/": "."}, ["bin/a", "lib/b"], "bin->A/bin lib->B/lib"),
        ({"/": "."}, ["bin/a", "bin/b"], "bin/ bin/a->A/bin/a bin/b->B/bin/b"),
        ({"/": "."}, ["bin/a nix-support/x"], "bin->A/bin"),
        ({"/": "."}, ["bin/a", ""], "bin->A/bin"),
        ({"/": "x"}, ["x/bin/a"], "bin->A/x/bin"),
        ({"/": ".", "/bin": "sbin"}, ["bin/a sbin/b lib/c"], "bin->A/sbin lib->A/lib sbin->A/sbin"),
        ({"/": ".", "/x/y": "a"}, ["a x->."], "a->A/a x/a->A/a x/x->A/x x/y->A/a"),
        (
            {"/": ".", "/usr/bin/env": "bin/a"},
            ["bin/a usr/bin/b usr/bin/env usr/lib/c"],
            "bin->A/bin usr/bin/b->A/usr/bin/b usr/bin/env->A/bin/a usr/lib->A/usr/lib",
        ),
    ],
)  # fmt: skip
def test_links(wanted: dict[str, str], roots: list[str], expected: str) -> None:
    assert linked(wanted, *roots, more={D: "bin/d"}) == (expected.split(), [])


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"/": "."}, "etc/group->A/etc/group etc/ssl->A/etc/ssl nix/b->A/nix/b nix/var/d->A/nix/var/d tmp/e->A/tmp/e"),
        ({"/etc": "etc"}, "etc->A/etc"),  # as it is for whoever wants just that
        ({"/tmp": "tmp"}, "tmp->A/tmp"),
        ({"/nix": "nix"}, "nix/b->A/nix/b nix/var/d->A/nix/var/d"),
        ({"/nix/var/d": "tmp"}, "nix/var/d->A/tmp"),
    ],
)
def test_folders_of_the_image_stay_folders(wanted: dict[str, str], expected: str) -> None:
    root = "etc/group etc/ssl/a nix/b/c nix/var/d nix/var/db/db.sqlite tmp/e"
    made = "nix/store/ nix/var/db/db.sqlite nix/var/db/schema"
    assert linked(wanted, root, made=made, base="etc/passwd tmp/") == (expected.split(), [])


@pytest.mark.parametrize(
    ("roots", "expected", "told"),
    [
        (["bin/a bin/x", "bin/b bin/x"], "bin/ bin/a->A/bin/a bin/b->B/bin/b bin/x->A/bin/x", ["bin/x A B"]),
        (["bin/x", "bin/x", "bin/x"], "bin/ bin/x->A/bin/x", ["bin/x A B", "bin/x A C"]),
        (["bin/x->/nowhere", "bin/x"], "bin/ bin/x->A/bin/x", ["bin/x A B"]),
        (["bin/x->x", "bin/x"], "bin/ bin/x->A/bin/x", ["bin/x A B"]),
        (["bin/s/x", "bin/s/x"], "bin/ bin/s/ bin/s/x->A/bin/s/x", ["bin/s/x A B"]),
    ],
)
def test_the_first_root_wins_and_that_is_told(roots: list[str], expected: str, told: list[str]) -> None:
    found, (said,) = linked({"/bin": "bin"}, *roots)
    assert found == expected.split()
    lines = [line.split() for line in told]
    assert said.splitlines() == [
        "several roots have these files, and the first one's are linked:",
        *(f"  /{path} is {_NAMES[first]}/{path}, not {_NAMES[other]}/{path}" for path, first, other in lines),
    ]


def test_names_cannot_pass_for_messages() -> None:
    name = b"bin/\xff\nall is well"
    made = [folder_item(path, Directory(b"bin"), File(name)) for path in (A, B)]
    tree, told = apart(made, Parts(made)), list[str]()
    assert tree is not None
    assert len(list(links({"/bin": "bin"}, [A, B], tree, [], [], told.append))) == 2
    assert told[0].splitlines()[1:] == [
        rf"  /bin/\udcff\nall is well is {A}/bin/\udcff\nall is well, not {B}/bin/\udcff\nall is well"
    ]


def test_many_are_counted() -> None:
    text = " ".join(f"bin/{number:02}" for number in range(12))
    _, (said,) = linked({"/bin": "bin"}, text, text)
    assert len(said.splitlines()) == 12
    assert said.endswith("\n  and 2 more")


@pytest.mark.parametrize(
    ("wanted", "roots", "said"),
    [
        ({"/x": "y"}, ["a"], f"/x would lead to {A}/y, which does not exist"),
        ({"/x": "y"}, ["a", "b"], f"/x would lead to {A}/y, which does not exist, nor does it in the other roots"),
        ({"/x": "y"}, ["y->/nowhere"], f"/x would lead to {A}/y, which does not exist"),
        ({"/x": "y"}, ["y->y"], f"/x would lead to {A}/y, which does not exist"),
        ({"/x": "y/z"}, ["y"], f"/x would lead to {A}/y/z, which does not exist"),
        ({"/x": "x"}, ["x/a", "x"], f"/x cannot be merged: /x would be a folder in {A}/x and a file in {B}/x"),
        ({"/x": "x"}, ["x/y", "x/y/"], f"/x cannot be merged: /x/y would be a file in {A}/x/y and a folder in {B}/x/y"),
        ({"/": "x"}, ["x"], f"/ cannot be merged: / would be a file in {A}/x and a folder of the image"),
        ({"/": "."}, ["tmp"], f"/ cannot be merged: /tmp would be a file in {A}/tmp and a folder of the image"),
        ({"/": "."}, ["nix/store/x"], f"/ would put what is in {A}/nix/store into /nix/store, where nothing but items"),
        ({"/nix": "n"}, ["n/store/x"], f"/nix would put what is in {A}/n/store into /nix/store, where nothing but"),
        ({"/gnu": "gnu"}, ["gnu/store/x", "gnu/y"], f"/gnu would put what is in {A}/gnu/store into /gnu/store, where"),
    ],
)  # fmt: skip
def test_what_cannot_be_linked(wanted: dict[str, str], roots: list[str], said: str) -> None:
    with pytest.raises(SymlinkError) as caught:
        linked(wanted, *roots, made="nix/store/", base="tmp/")
    assert str(caught.value).startswith(f"store.symlinks: {said}")
    assert caught.value.hint


def test_links_that_lead_into_each_other_come_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty folders with two links into the next one stand for 2^60 paths."""
    text = " ".join(f"d{number}/{name}->../d{number + 1}" for number in range(60) for name in "ab") + " d60/x"
    monkeypatch.setattr(symlinks, "_MOST_MADE", 1000)
    with pytest.raises(SymlinkError, match="/d would be more than 1000 links"):
        linked({"/d": "d0"}, text, text)


def test_folders_may_be_deep() -> None:
    deep = "d/" * 1500
    found, _ = linked({"/d": "d"}, deep + "a", deep + "b")
    assert len(found) == 1502


# -- what is read -------------------------------------------------------------------------------------------------


def test_only_what_is_linked_is_listed() -> None:
    """A profile has links to all packages, of which those count that another root has as well."""
    read: list[str] = []

    class Noting(Parts):
        def __getitem__(self, path: str) -> tuple[Entry, ...]:
            read.append(path)
            return super().__getitem__(path)

    items = [
        folder_item(A, *entries("bin/c->C/bin/c bin/d->D/bin/d")),
        folder_item(B, *entries("bin/b bin/d->D/bin/d")),
        folder_item(C, *entries("bin/c")),
        folder_item(D, *entries("bin/d")),
    ]
    tree = apart(items, Noting(items))
    assert tree is not None
    found = list(links({"/bin": "bin"}, [A, B], tree, [], [], print))
    assert [shown(entry) for entry in found] == ["bin/", "bin/b->B/bin/b", "bin/c->A/bin/c", "bin/d->A/bin/d"]
    assert sorted(set(read)) == [A, B, D]


# -- Nix's own builder ---------------------------------------------------------------------------------------------

_CASES, _ROOTS = 24, 3
_EXPRESSION = """
let
  root = number: at: builtins.path {{ name = "root"; path = ./. + "/${{toString number}}-${{toString at}}"; }};
  env = number: let roots = builtins.genList (root number) {roots}; in derivation {{
    name = "env-${{toString number}}"; builder = "builtin:buildenv"; system = "builtin";
    manifest = builtins.toFile "manifest" ""; shared = builtins.storePath "{shared}"; inherit roots;
    derivations = builtins.concatLists
      (builtins.genList (at: [ "true" (at + 1) 1 (builtins.elemAt roots at) ]) {roots});
  }};
in builtins.genList env {cases}
"""


def grow(chance: random.Random, folder: Path, shared: Path, target: str, depth: int = 0) -> None:
    """A tree of few names, so that they meet, as folders or as files; links lead to another item, which has none."""
    folders, files = (sorted(path for path in shared.rglob("*") if path.is_dir() == kind) for kind in (True, False))
    for name in ("a", "b", "share", "f", "info", "dir", *(() if depth else ("nix-support",))):
        place = folder / name
        is_folder = (name in ("a", "b", "share", "info")) != (chance.random() < 0.02)
        match chance.choice(["nothing", "link", "made", "made"]):
            case "link":
                place.symlink_to(f"{target}/{chance.choice(folders if is_folder else files).relative_to(shared)}")
            case "made" if is_folder and depth < 2:
                place.mkdir()
                grow(chance, place, shared, target, depth + 1)
            case "made" if not is_folder:
                place.write_text("x")


def files(folder: Path, root: Root, prefix: str = "") -> dict[str, str]:
    """Path -> where it is in the store, of all files below a folder, links followed; empty folders, too."""
    found: dict[str, str] = {}
    for name in sorted(os.listdir(folder)):
        inner = str(folder / name).removeprefix(root.folder)
        place = Path(root.on_host(root.resolve(inner)))
        if place.is_dir():
            found |= files(place, root, f"{prefix}{name}/") or {f"{prefix}{name}/": ""}
        else:
            found[prefix + name] = str(place)
    return found


def test_merging_is_that_of_nix(tmp_path: Path) -> None:
    nix, chance, shared = Nix(tmp_path / "root"), random.Random(1), tmp_path / "shared"
    for path in ("a/f", "a/b/f", "b/g"):
        (shared / path).parent.mkdir(parents=True, exist_ok=True)
        (shared / path).write_text(path)
    target = nix.run("nix", "store", "add-path", "--store", nix.root, shared).strip()
    for name in (f"{case}-{root}" for case in range(_CASES) for root in range(_ROOTS)):
        (tmp_path / name).mkdir()
        grow(chance, tmp_path / name, shared, target)
    (tmp_path / "envs.nix").write_text(_EXPRESSION.format(shared=target, roots=_ROOTS, cases=_CASES))
    quick = ("--option", "substitute", "false", "--option", "fsync-metadata", "false")
    envs = nix.run("nix-instantiate", "--store", nix.root, tmp_path / "envs.nix", *quick).splitlines()
    nix.store("--realise", "--keep-going", *quick, *envs, code=100)
    outputs = nix.store("--query", "--outputs", *envs)
    refused = set(nix.store("--check-validity", "--print-invalid", *outputs))
    assert 0 < len(refused) < _CASES // 2
    for output, line in zip(outputs, nix.store("--query", "--binding", "roots", *envs), strict=True):
        roots = line.split()
        closure = open_store(Options(roots=(*roots, target), root=str(nix.root)), context(tmp_path)).closure()
        tree = apart(closure, Parts(closure))
        assert tree is not None
        try:
            merged = list(links({"/": "."}, roots, tree, [], [], print))
        except SymlinkError as error:  # buildenv lets a folder win over a file of a later root, which is lost
            assert output in refused or re.search(r"a folder in .* and a file in", str(error))
            continue
        assert output not in refused
        mine = nix.root / os.path.basename(output)
        mine.mkdir()
        write_entries(merged, mine)
        expected = files(nix.root / output[1:], Root(str(nix.root)))
        del expected["manifest.nix"]
        assert files(mine, Root(str(nix.root))) == expected
