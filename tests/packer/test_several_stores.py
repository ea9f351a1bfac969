"""Items of several stores in one image: each store's own programs are content with it, and overlaps are refused."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.runtimes import Docker, output, skopeo_copy, umoci_unpack
from tests.support.binary_cache import NixStore, make_store
from tests.support.command_line import OCIPACK, Answer, Workplace, workplace
from tests.support.nix_program import Nix
from tests.support.nix_store import SmallStore

_HEAD = 'name = "several"\nversion = "1"\nplatform = "x86_64-linux"\n'
_DEBIAN = 'type = "debian"\npackages = ["bash", "coreutils", "dpkg"]\n'


@dataclass(frozen=True)
class Desk:
    """A folder with an os.toml of the host's Debian, a small Nix store and a folder `app`."""

    folder: Path
    nix: SmallStore

    @property
    def tables(self) -> list[str]:
        """What each store is to give."""
        return [_DEBIAN, f'type = "nix"\nroot = "{self.nix.root}"\nroots = ["{self.nix.top}"]\n',
                'type = "folder"\npath = "app"\n']  # fmt: skip

    def declare(self, *tables: str) -> None:
        (self.folder / "os.toml").write_text(_HEAD + "".join(f"[[store]]\n{table}" for table in tables))

    def run(self, *arguments: str | Path) -> Answer:
        done = subprocess.run(
            [str(OCIPACK), *map(str, arguments)],
            cwd=self.folder, env={"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(self.folder / "cache")},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return Answer(done.returncode, done.stdout, done.stderr)

    def built(self, name: str) -> Any:
        """The artefact, as `--json` tells it."""
        answer = self.run("docker", "--json", "-o", f"{name}.tar")
        assert answer.code == 0, answer.err
        return json.loads(answer.out)["artefacts"][0]


@pytest.fixture(scope="module")
def desk(nix_store: SmallStore, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("several")
    for path, text in (("srv/app/run", "echo app\n"), ("etc/app.conf", "x = 1\n")):
        (folder / "app" / path).parent.mkdir(parents=True)
        (folder / "app" / path).write_text(text)
    (folder / "app/etc").chmod(0o775)
    return Desk(folder, nix_store)


@pytest.fixture(scope="module")
def image(desk: Desk) -> Any:
    """Of all three stores, as `--json` tells it; its archive is `all.tar`."""
    desk.declare(*desk.tables)
    return desk.built("all")


@pytest.fixture(scope="module")
def unpacked(desk: Desk, image: Any) -> Path:
    skopeo_copy(f"docker-archive:{desk.folder}/all.tar", f"oci:{desk.folder}/layout:1")
    return umoci_unpack(desk.folder / "layout", "1", desk.folder / "bundle")


def test_programs_of_every_store_run(desk: Desk, image: Any, docker: Docker) -> None:
    reference = docker.load(desk.folder / "all.tar")
    bash = f"{desk.nix.item('bash')}/bin/bash"
    script = f"type -p ls; . /srv/app/run; {bash} -c 'echo $BASH'; dpkg -V && dpkg --audit && echo whole"
    assert docker.run(reference, "bash", "-c", script).splitlines() == ["/usr/bin/ls", "app", bash, "whole"]


def test_nix_is_content(desk: Desk, unpacked: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-a", unpacked, tmp_path / "root"], check=True)
    nix = Nix(tmp_path / "root")
    assert nix.store("--verify", "--check-contents") == []
    assert sorted(nix.store("--query", "--requisites", desk.nix.top)) == desk.nix.closure()  # none has lost its row
    assert nix.store("--gc", "--print-dead") == []


def test_what_a_root_has_is_that_of_debian(unpacked: Path) -> None:
    assert "www-data:" in (unpacked / "etc/passwd").read_text()
    modes = {path: (unpacked / path).stat().st_mode & 0o7777 for path in ("etc", "tmp", "root", "nix/store")}
    assert modes == {"etc": 0o755, "tmp": 0o1777, "root": 0o700, "nix/store": 0o1775}
    assert (unpacked / "etc/app.conf").read_text() == "x = 1\n"


def test_the_plan_has_items_of_every_store(desk: Desk, image: Any) -> None:
    layers = json.loads(desk.run("plan", "--json").out)["layers"]
    items = {item["path"] for layer in layers for item in layer["items"]}
    assert {*desk.nix.closure(), "app"} < items
    assert any(path.startswith("coreutils_") for path in items)


def test_a_layer_of_an_item_is_the_same_as_in_an_image_of_its_store_alone(desk: Desk, image: Any) -> None:
    together = [layer["digest"] for layer in image["layers"][:-1]]
    apart = []
    for number, table in enumerate(desk.tables):
        desk.declare(table)
        apart += [layer["digest"] for layer in desk.built(f"alone{number}")["layers"][:-1]]
    assert sorted(together) == sorted(apart)


def test_one_of_several_is_as_the_only_one(desk: Desk, image: Any) -> None:
    desk.declare(desk.tables[2])
    first = desk.built("array")["digest"]
    (desk.folder / "os.toml").write_text(f"{_HEAD}[store]\n{desk.tables[2]}")
    assert desk.built("table")["digest"] == first


def test_a_lock_gives_the_same_image(desk: Desk, image: Any) -> None:
    desk.declare(*desk.tables)
    assert desk.run("lock").code == 0
    locked = json.loads((desk.folder / "os.lock").read_bytes())
    try:
        assert locked["store"] == ["debian", "nix", "folder"]
        stores = [item.get("store", 0) for item in locked["items"]]
        assert stores == sorted(stores)
        assert set(stores) == {0, 1, 2}
        assert desk.run("check").code == 0
        assert desk.built("locked")["digest"] == image["digest"]
        desk.declare(*desk.tables[:2])
        assert desk.run("docker").code == 2
        desk.declare(desk.tables[0], desk.tables[2], desk.tables[1])
        assert "was made for something else" in desk.run("check").err
        desk.declare(*desk.tables)
        (desk.folder / "app/etc/app.conf").write_text("x = 2\n")
        assert "app is " in desk.run("docker").err
    finally:
        (desk.folder / "app/etc/app.conf").write_text("x = 1\n")
        (desk.folder / "os.lock").unlink()


def linked(desk: Desk, links: str) -> str:
    """A table of Nix with a root for each of two packages."""
    roots = [desk.nix.item("bash"), desk.nix.item("coreutils")]
    return f'type = "nix"\nroot = "{desk.nix.root}"\nroots = {roots}\nsymlinks = {{ {links} }}\n'


def test_links_to_several_roots_beside_debian(desk: Desk, docker: Docker) -> None:
    bash, coreutils = desk.nix.item("bash"), desk.nix.item("coreutils")
    desk.declare(_DEBIAN, linked(desk, '"/opt/nix" = "bin"'))
    desk.built("linked")
    script = "readlink /opt/nix/bash /opt/nix/ls /bin; /opt/nix/ls /opt"
    said = docker.run(docker.load(desk.folder / "linked.tar"), "bash", "-c", script).splitlines()
    assert said == [f"{bash}/bin/bash", f"{coreutils}/bin/ls", "usr/bin", "nix"]


@pytest.mark.parametrize("links", ['"/bin" = "bin"', '"/" = "."'])
def test_links_do_not_take_the_place_of_debians(desk: Desk, links: str) -> None:
    desk.declare(_DEBIAN, linked(desk, links))
    answer = desk.run("docker", "-o", "never.tar")
    assert answer.code == 1
    whose = r"(that store\[0\] \(debian\) makes|of base-files_\S+ in store\[0\] \(debian\))"  # since Debian 13
    said = rf"  /bin: a link to usr/bin {whose} and a folder that store\[1\] \(nix\) makes\n"
    assert re.search(said, answer.err)
    assert not (desk.folder / "never.tar").exists()


# -- two stores of Nix ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> NixStore:
    return make_store(tmp_path_factory.mktemp("other"))


def cached(other: NixStore, root: str, *more: str) -> str:
    keys = f'trusted-public-keys = ["{other.key}"]\n'
    return "".join(
        [f'type = "binary-cache"\nurl = "file://{other.cache("signed")}"\nroots = ["{root}"]\n', keys, *more]
    )


def test_two_stores_of_nix_have_one_database(desk: Desk, other: NixStore) -> None:
    desk.declare(desk.tables[1], cached(other, other.built, 'profile = "tools"\n'))
    desk.built("nix")
    skopeo_copy(f"docker-archive:{desk.folder}/nix.tar", f"oci:{desk.folder}/nix:1")
    nix = Nix(umoci_unpack(desk.folder / "nix", "1", desk.folder / "nix-bundle"))
    expected = sorted({*desk.nix.closure(), *other.closure(other.built)})
    with closing(sqlite3.connect(nix.database)) as connection:
        rows = connection.execute("SELECT path FROM ValidPaths ORDER BY path").fetchall()
    assert [path for (path,) in rows] == expected
    assert nix.store("--verify", "--check-contents") == []
    assert nix.store("--gc", "--print-dead") == []
    assert sorted(nix.store("--query", "--requisites", desk.nix.top, other.built)) == expected
    assert "nixbld:x:30000:" in (nix.root / "etc/group").read_text()


def test_two_profiles_of_one_name(desk: Desk, other: NixStore) -> None:
    desk.declare(desk.tables[1], cached(other, other.built))
    answer = desk.run("docker", "-o", "never.tar")
    assert answer.code == 1
    first, where, hint = answer.err.splitlines()[-3:]
    assert first == "ocipack: error: two stores want different things at one path:"
    links = [f"a link to {desk.nix.top} that store[0] (nix) makes", f"a link to {other.built} that store[1] (binary-ca"]
    assert where.startswith(f"  /nix/var/nix/profiles/system-1-link: {' and '.join(links)}")
    assert "profile" in hint


def test_an_item_of_two_stores(desk: Desk, other: NixStore) -> None:
    nix = f'type = "nix"\nroot = "{other.root}"\nroots = ["{other.flat}"]\n'
    desk.declare(nix, cached(other, other.flat, 'profile = ""\n'))
    for command in (("docker", "-o", "never.tar"), ("lock",)):
        answer = desk.run(*command)
        assert answer.code == 1
        assert "two stores give the same item:\n" in answer.err
        assert f"  {other.flat} is in store[0] (nix) and in store[1] (binary-cache)\n" in answer.err
    assert not (desk.folder / "os.lock").exists()


# -- overlaps, with small packages ---------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return workplace(tmp_path)


def beside(place: Workplace, *folders: str, more: str = "") -> Answer:
    """Pack the small packages with folders beside them."""
    text = place.declare().read_text().replace("[store]", "[[store]]")
    text += "".join(f'[[store]]\ntype = "folder"\npath = "{folder}"\n' for folder in folders)
    (place.folder / "os.toml").write_text(text + more)
    return place.run("docker", "-q", "-o", "out.tar")


def write(place: Workplace, path: str) -> None:
    file = place.folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    if path.endswith("->"):
        file.with_name(file.name.removesuffix("->")).symlink_to("elsewhere")
    else:
        file.write_text("x")


_DEB = "in store[0] (debian)"
_FOLDER = "of one in store[1] (folder)"


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (["one/etc/tool.conf"], f"/etc/tool.conf: a file of tool_1:3.1-2_all {_DEB} and a file {_FOLDER}"),
        (["one/usr->"], f"/usr: a folder of library_2.0_all {_DEB} and a link to elsewhere {_FOLDER}"),
        (["one/etc/passwd"], f"/etc/passwd: a file that store[0] (debian) makes and a file {_FOLDER}"),
        (["one/bin/x"], f"/bin: a link to usr/bin that store[0] (debian) makes and a folder {_FOLDER}"),
        (["one/root"], f"/root: a folder that store[0] (debian) makes and a file {_FOLDER}"),
        (["one/opt/x", "two/opt/x"], f"/opt/x: a file {_FOLDER} and a file of two in store[2] (folder)"),
        (["one/a/b", "two/a"], f"/a: a folder {_FOLDER} and a file of two in store[2] (folder)"),
    ],
)  # fmt: skip
def test_overlaps_are_refused(place: Workplace, paths: list[str], said: str) -> None:
    for path in paths:
        write(place, path)
    folders = sorted({path.partition("/")[0] for path in paths})
    answer = beside(place, *folders)
    assert (answer.code, answer.out) == (1, "")
    first, where, hint = answer.err.splitlines()
    assert first == "ocipack: error: two stores want different things at one path:"
    assert where == f"  {said}"
    assert "os.files" in hint
    assert not (place.folder / "out.tar").exists()


def test_many_overlaps_are_counted(place: Workplace) -> None:
    for number in range(12):
        write(place, f"one/srv/{number:02}")
    shutil.copytree(place.folder / "one", place.folder / "two")
    lines = beside(place, "one", "two").err.splitlines()
    assert len(lines) == 13
    assert lines[-2] == "  and 2 more"


def test_what_os_toml_declares_wins_over_all_stores(place: Workplace) -> None:
    write(place, "one/srv/x")
    files = '[os]\nfiles = [{ target = "/srv/x", text = "mine" }, { target = "/etc/tool.conf", text = "mine" }]\n'
    assert beside(place, "one", more=files).code == 0
    skopeo_copy(f"docker-archive:{place.folder}/out.tar", f"oci:{place.folder}/layout:1")
    root = umoci_unpack(place.folder / "layout", "1", place.folder / "bundle")
    assert [(root / path).read_text() for path in ("srv/x", "etc/tool.conf")] == ["mine", "mine"]


@pytest.mark.parametrize("first", [0, 1])
def test_a_folder_is_that_of_the_first_store_that_has_it(place: Workplace, first: int) -> None:
    modes = (0o750, 0o700)
    for name, mode in zip(("one", "two"), modes, strict=True):
        write(place, f"{name}/srv/{name}")
        (place.folder / name / "srv").chmod(mode)
    tables = [f'[[store]]\ntype = "folder"\npath = "{name}"\n' for name in ("one", "two")]
    (place.folder / "os.toml").write_text(_HEAD + tables[first] + tables[1 - first])
    assert place.run("docker", "-q", "-o", "out.tar").code == 0
    skopeo_copy(f"docker-archive:{place.folder}/out.tar", f"oci:{place.folder}/layout:1")
    root = umoci_unpack(place.folder / "layout", "1", place.folder / "bundle")
    assert (root / "srv").stat().st_mode & 0o777 == modes[first]
    assert sorted(os.listdir(root / "srv")) == ["one", "two"]


def test_errors_name_keys_of_the_store_that_is_meant(place: Workplace) -> None:
    write(place, "one/x")
    assert "ocipack: error: os.toml: store[2].path: there is no folder" in beside(place, "one", "missing").err
    (place.folder / "ours.toml").write_text(f'{_HEAD}[store]\ntype = "folder"\npath = "one"\nitems = "sub-folders"\n')
    assert "ocipack: error: ours.toml: store.items: 'x' of " in place.run("docker", "ours.toml").err


def test_the_order_of_stores_changes_no_layer_of_an_item(place: Workplace) -> None:
    write(place, "one/srv/x")
    write(place, "two/opt/y")

    def layers(*folders: str) -> list[str]:
        assert beside(place, *folders).code == 0
        manifest = output("skopeo", "inspect", "--raw", f"docker-archive:{place.folder}/out.tar")
        return [layer["digest"] for layer in json.loads(manifest)["layers"]]

    assert layers("one", "two") == layers("two", "one")
