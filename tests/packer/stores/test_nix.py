"""A store that nix-build has made is the input, and what Nix, docker and umoci make of the image is the oracle."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from formats.platform import PLATFORMS
from layers.entry import Directory, Entry, File, Symlink
from layers.errors import InputError, PackError
from layers.item import NarItem
from layers.progress import NoProgress
from packer.config import parse
from packer.mistakes import ConfigError
from packer.nix.contents import MissingItemError
from packer.nix.database import NoDatabaseError, SchemaError
from packer.nix.links import LinkError
from packer.nix.local_store import LocalStore
from packer.nix.valid_path import UnknownRootError
from packer.stores import StoreContext
from packer.stores.nix import Options, open_store
from tests.oracle.runtimes import Docker, skopeo_copy, umoci_unpack
from tests.support.command_line import OCIPACK, Answer
from tests.support.nix_program import DATABASE, Nix
from tests.support.nix_store import SmallStore

DEFAULT = "/nix/var/nix/profiles/default"


def context(folder: Path) -> StoreContext:
    cache = folder / "cache"
    cache.mkdir(exist_ok=True)
    return StoreContext(PLATFORMS["x86_64-linux"], str(cache), str(folder), 1, False, {}, NoProgress())


def opened(folder: Path, root: Path | str, *roots: str, registration: str = "") -> LocalStore:
    return open_store(Options(roots=roots, root=str(root), registration=registration), context(folder))


def paths(store: LocalStore) -> list[str]:
    return sorted(item.path for item in store.closure())


@dataclass(frozen=True)
class Desk:
    """A folder with an os.toml."""

    folder: Path

    @property
    def image(self) -> Path:
        return self.folder / "image.tar"

    def pack(self, store: str, *arguments: str, more: str = "", kind: str = "nix") -> Answer:
        """Pack what `[store]` says."""
        return self.run(
            f'name = "sample"\nversion = "1"\nplatform = "x86_64-linux"\n[store]\ntype = "{kind}"\n{store}\n{more}\n',
            *arguments,
        )

    def run(self, text: str, *arguments: str) -> Answer:
        """Pack an os.toml."""
        (self.folder / "os.toml").write_text(text)
        done = subprocess.run(
            [OCIPACK, "docker", "-q", "-o", "image.tar", *arguments],
            cwd=self.folder, env={"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(self.folder / "cache")},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return Answer(done.returncode, done.stdout, done.stderr)

    def digest(self, store: str) -> str:
        answer = self.pack(store)
        assert answer.code == 0, answer.err
        return hashlib.sha256(self.image.read_bytes()).hexdigest()

    def unpack(self) -> Path:
        skopeo_copy(f"docker-archive:{self.image}", f"oci:{self.folder}/layout:1")
        return umoci_unpack(self.folder / "layout", "1", self.folder / "bundle")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def copied(nix_store: SmallStore, tmp_path: Path) -> SmallStore:
    """The store, to be changed."""
    root = tmp_path / "copied"
    subprocess.run(["cp", "-a", nix_store.root, root], check=True)
    return SmallStore(Nix(root), nix_store.top, nix_store.other)


# -- the closure --------------------------------------------------------------------------------------------------


def test_the_closure_is_that_of_nix(nix_store: SmallStore, tmp_path: Path) -> None:
    assert paths(opened(tmp_path, nix_store.root, nix_store.top)) == nix_store.closure()


def test_what_is_known_about_items_is_what_nix_knows(nix_store: SmallStore, tmp_path: Path) -> None:
    items = opened(tmp_path, nix_store.root, nix_store.top, nix_store.other).closure()

    def asked(question: str) -> list[str]:
        return nix_store.nix.store("-q", question, *(item.path for item in items))

    assert asked("--size") == [str(item.nar_size) for item in items if isinstance(item, NarItem)]
    assert asked("--deriver") == [item.deriver or "unknown-deriver" for item in items if isinstance(item, NarItem)]
    for item in items:
        references = nix_store.nix.store("-q", "--references", item.path)
        assert sorted(references) == list(item.references)
        assert isinstance(item, NarItem)
        assert nix_store.nix.run("nix-hash", "--type", "sha256", nix_store.on_disk(item.path)).strip() == (
            item.nar_hash.hex
        )
        assert item.ultimate == (item.path != nix_store.other)
        assert item.content_address.startswith("text:sha256:") == (item.path == nix_store.other)


def test_names_and_versions(nix_store: SmallStore, tmp_path: Path) -> None:
    closure = opened(tmp_path, nix_store.root, nix_store.top).closure()
    assert str(closure[nix_store.top]) == "system 1.0"


def test_signatures_are_carried_over(copied: SmallStore, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(copied.nix.run("nix", "key", "generate-secret", "--key-name", "key-1"))
    copied.nix.run("nix", "store", "sign", "--store", copied.root, "-k", key, copied.other)
    item = opened(tmp_path, copied.root, copied.other).closure()[copied.other]
    assert isinstance(item, NarItem)
    assert [signature.partition(":")[0] for signature in item.signatures] == ["key-1"]


# -- roots --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "link",
    [
        DEFAULT,
        "/nix/var/nix/profiles/../profiles//default/",
        "/relative",
        "/through",
        "/inside",
        "/escape",
    ],
)
def test_links_lead_to_items(copied: SmallStore, tmp_path: Path, link: str) -> None:
    (copied.root / "relative").symlink_to("nix/var/nix/profiles/default-7-link")
    (copied.root / "folder").symlink_to("/nix/var")
    (copied.root / "through").symlink_to("folder/nix/profiles/default")
    (copied.root / "inside").symlink_to(f"{copied.top}/bin/bash")
    (copied.root / "escape").symlink_to("../../../../../../../.." + copied.top)
    assert paths(opened(tmp_path, copied.root, link)) == copied.closure()


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("/missing", "/missing cannot be found below"),
        ("/circle", "its symbolic links lead in a circle"),
        ("/dangling", "/dangling leads to /nowhere, which cannot be found below"),
        ("/nix/var", "/nix/var is no item of /nix/store"),
        ("/nix/store/", "/nix/store/ leads to /nix/store, which is no item of /nix/store"),
        ("/nix/store/not-an-item", "cannot be found below"),
        ("/out", "cannot be found below"),
        ("/nix/var/nix/profiles/default/../../..", "leads to /, which is no item"),
        ("missing", "is no link to an item"),
        ("looking-up", "leads to ../x, which is no absolute path"),
    ],
)
def test_links_that_lead_to_no_item(copied: SmallStore, tmp_path: Path, link: str, said: str) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "looking-up").symlink_to("../x")
    (copied.root / "circle").symlink_to("circle")
    (copied.root / "dangling").symlink_to("/nowhere")
    (copied.root / "out").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError) as caught:
        opened(tmp_path, copied.root, copied.top, link).closure()
    assert said in str(caught.value)


def test_a_relative_root_is_a_link_beside_os_toml(nix_store: SmallStore, tmp_path: Path) -> None:
    (tmp_path / "result").symlink_to(nix_store.top)
    assert paths(opened(tmp_path, nix_store.root, "result")) == nix_store.closure()


def test_a_relative_store(copied: SmallStore, tmp_path: Path) -> None:
    assert paths(opened(tmp_path, "copied", copied.top)) == copied.closure()


def test_a_store_that_is_a_link_below_its_root(copied: SmallStore, tmp_path: Path) -> None:
    """As Linux would follow it after chroot."""
    expected = copied.closure()
    (copied.root / "nix").rename(copied.root / "data")
    (copied.root / "nix").symlink_to("/data")
    assert paths(opened(tmp_path, copied.root, DEFAULT)) == expected


def test_several_roots(nix_store: SmallStore, tmp_path: Path) -> None:
    store = opened(tmp_path, nix_store.root, nix_store.other, DEFAULT, nix_store.top)
    assert paths(store) == sorted([*nix_store.closure(), nix_store.other])
    assert store.closure().roots == tuple(sorted([nix_store.other, nix_store.top]))


def test_a_root_that_is_not_registered(nix_store: SmallStore, tmp_path: Path) -> None:
    unknown = f"/nix/store/{'0' * 32}-unknown"
    with pytest.raises(UnknownRootError, match=f"{unknown} is not registered"):
        opened(tmp_path, nix_store.root, unknown).closure()


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="/nix/store"):
        opened(tmp_path, tmp_path, f"/nix/store/{'0' * 32}-unknown").closure()
    (tmp_path / "nix/store").mkdir(parents=True)
    (tmp_path / "nix/var/nix/db").mkdir(parents=True)
    with pytest.raises(NoDatabaseError, match=r"there is no store: .*/nix/var/nix/db/db.sqlite does not exist"):
        opened(tmp_path, tmp_path, f"/nix/store/{'0' * 32}-unknown").closure()


@pytest.mark.parametrize("version", ["9", "11", "", "10a", "\0", "ten"])
def test_another_schema(copied: SmallStore, tmp_path: Path, version: str) -> None:
    (copied.root / "nix/var/nix/db/schema").write_text(version)
    with pytest.raises(SchemaError, match="ocipack knows 10"):
        opened(tmp_path, copied.root, copied.top).closure()


def test_no_schema(copied: SmallStore, tmp_path: Path) -> None:
    (copied.root / "nix/var/nix/db/schema").unlink()
    with pytest.raises(SchemaError, match="the version of the database is not known"):
        opened(tmp_path, copied.root, copied.top).closure()


def test_an_item_that_vanished(copied: SmallStore, tmp_path: Path) -> None:
    shutil.rmtree(copied.on_disk(copied.item("bash")))
    item = opened(tmp_path, copied.root, copied.top).closure()[copied.item("bash")]
    with pytest.raises(MissingItemError, match=r"-bash-.* is registered, but it is not at"):
        list(item.contents.entries())


# -- a database that is in use ------------------------------------------------------------------------------------


def state(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.fixture
def in_use(copied: SmallStore) -> Iterator[sqlite3.Connection]:
    """Another process that has the database open, in WAL mode."""
    with closing(sqlite3.connect(copied.root / DATABASE, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("SELECT count(*) FROM ValidPaths").fetchall()
        yield connection


def test_nothing_is_written_beside_the_database(copied: SmallStore, tmp_path: Path) -> None:
    folder = (copied.root / DATABASE).parent
    before = state(folder)
    opened(tmp_path, copied.root, copied.top).closure()
    assert state(folder) == before
    assert os.listdir(tmp_path / "cache") == []


def test_what_is_in_the_log_counts(copied: SmallStore, in_use: sqlite3.Connection, tmp_path: Path) -> None:
    item = f"/nix/store/{'1' * 32}-new"
    in_use.execute(
        "INSERT INTO ValidPaths (path, hash, registrationTime, narSize) VALUES (?, ?, 1, 1)",
        (item, f"sha256:{'0' * 64}"),
    )
    folder = (copied.root / DATABASE).parent
    assert (folder / "db.sqlite-wal").stat().st_size > 0
    before = state(folder)
    assert paths(opened(tmp_path, copied.root, item)) == [item]
    assert state(folder) == before
    assert os.listdir(tmp_path / "cache") == []


def test_a_transaction_under_way_does_not_count(copied: SmallStore, in_use: sqlite3.Connection, tmp_path: Path) -> None:
    in_use.execute("INSERT INTO Refs SELECT id, id FROM ValidPaths WHERE path = ?", (copied.other,))
    in_use.execute("BEGIN IMMEDIATE")
    in_use.execute("DELETE FROM Refs")
    assert paths(opened(tmp_path, copied.root, copied.top)) == copied.closure()


def test_a_transaction_that_was_cut_off_does_not_count(copied: SmallStore, tmp_path: Path) -> None:
    """In the mode without a log: what the journal keeps is put back, in a copy."""
    database = copied.root / DATABASE
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for pragma in ("journal_mode = delete", "cache_size = 1", "cache_spill = 1"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        connection.execute("DELETE FROM Refs")
        connection.execute("CREATE TABLE filler AS SELECT zeroblob(1000000)")
        folder = tmp_path / "cut-off" / "nix/var/nix/db"
        shutil.copytree(database.parent, folder)
    assert (folder / "db.sqlite-journal").stat().st_size > 0
    (tmp_path / "cut-off/nix/store").mkdir()
    before = state(folder)
    assert paths(opened(tmp_path, tmp_path / "cut-off", copied.top)) == copied.closure()
    assert state(folder) == before


# -- the registration file ----------------------------------------------------------------------------------------


def test_a_registration_file_gives_the_same_image(nix_store: SmallStore, desk: Desk) -> None:
    (desk.folder / "registration").write_text("\n".join(nix_store.nix.store("--dump-db")) + "\n")
    where = f'root = "{nix_store.root}"\nroots = ["{nix_store.top}"]'
    assert desk.digest(where) == desk.digest(f'{where}\nregistration = "registration"')


def test_a_references_graph_gives_the_same_items(nix_store: SmallStore, tmp_path: Path) -> None:
    """The hashes that it does not have are those that Nix has."""
    lines = []
    for path in nix_store.closure():
        references = nix_store.nix.store("-q", "--references", path)
        lines += [path, *nix_store.nix.store("-q", "--deriver", path), str(len(references)), *references]
    (tmp_path / "graph").write_text("\n".join(lines) + "\n")

    def known(registration: str) -> list[tuple[object, ...]]:
        store = opened(tmp_path, nix_store.root, nix_store.top, registration=registration)
        items = [item for item in store.closure() if isinstance(item, NarItem)]
        return [(item.path, item.nar_hash, item.nar_size, item.references, item.deriver) for item in items]

    assert known("graph") == known("")


# -- the image ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def packed(nix_store: SmallStore, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("packed"))
    answer = desk.pack(f'root = "{nix_store.root}"\nroots = ["{DEFAULT}", "{nix_store.other}"]')
    assert answer.code == 0, answer.err
    return desk


@pytest.fixture(scope="module")
def unpacked(packed: Desk) -> Path:
    return packed.unpack()


@pytest.fixture
def image(unpacked: Path, tmp_path: Path) -> Nix:
    """A copy of the unpacked root, because Nix writes into it."""
    root = tmp_path / "image"
    subprocess.run(["cp", "-a", unpacked, root], check=True)
    return Nix(root)


def rows(database: Path) -> list[int]:
    with closing(sqlite3.connect(database)) as connection:
        return [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("ValidPaths", "Refs", "DerivationOutputs")
        ]


def test_nix_finds_nothing_to_complain_about(nix_store: SmallStore, image: Nix) -> None:
    before = rows(image.database)
    assert image.store("--verify", "--check-contents") == []
    assert rows(image.database) == before  # an item that is missing would have lost its row
    assert before[0] == len(nix_store.closure()) + 1
    assert sorted(image.store("-qR", nix_store.top)) == nix_store.closure()
    assert sorted(os.listdir(image.root / "nix/store")) == sorted(
        [".links", *(os.path.basename(path) for path in (*nix_store.closure(), nix_store.other))]
    )


def test_nix_collects_no_garbage(image: Nix) -> None:
    before = rows(image.database)
    items = sorted(os.listdir(image.root / "nix/store"))
    assert image.store("--gc", "--print-dead") == []
    image.store("--gc")
    assert rows(image.database) == before
    assert sorted(os.listdir(image.root / "nix/store")) == items


@pytest.mark.parametrize("link", ["nix/var/nix/profiles/system-1-link", "nix/var/nix/gcroots/ocipack"])
def test_it_is_the_roots_that_keep_the_items(nix_store: SmallStore, image: Nix, link: str) -> None:
    gone = image.root / link
    shutil.rmtree(gone) if gone.is_dir() and not gone.is_symlink() else gone.unlink()
    dead = image.store("--gc", "--print-dead")
    assert (nix_store.top if "profiles" in link else nix_store.other) in dead


def test_nix_makes_no_folder_that_is_not_there(image: Nix) -> None:
    def folders() -> list[tuple[str, int]]:
        found = [image.root / "nix", *(image.root / "nix/var").rglob("*"), *(image.root / "nix/store").glob("*")]
        return sorted((str(path), path.stat().st_mode) for path in found if path.is_dir() and not path.is_symlink())

    before = folders()
    image.store("--verify")
    image.store("--add", __file__)
    assert folders() == before


def test_nix_reads_an_image_that_it_may_not_write_to(nix_store: SmallStore, image: Nix) -> None:
    """Its setting for that is of 2.17; those before know none and open the database as ever."""
    features = "nix-command read-only-local-store"
    store = f"local?root={image.root}&read-only=true"
    found = image.run("nix", "path-info", "-r", "--store", store, nix_store.top, features=features)
    assert sorted(found.split()) == nix_store.closure()


def listing(root: Path, *folders: str) -> list[str]:
    """Everything below some folders but the store's items: permissions, owner, path and target."""
    found = []
    for path in sorted(path for folder in folders for path in [root / folder, *(root / folder).rglob("*")]):
        status = path.lstat()
        target = f" -> {path.readlink()}" if path.is_symlink() else ""
        mode = "link" if path.is_symlink() else f"{status.st_mode & 0o7777:04o}"
        found.append(f"{mode} {status.st_uid}:{status.st_gid} {path.relative_to(root)}{target}")
    return found


def test_what_belongs_to_no_item(nix_store: SmallStore, unpacked: Path) -> None:
    assert sorted(os.listdir(unpacked)) == ["etc", "nix", "root", "tmp", "var"]
    store = (unpacked / "nix/store").stat()
    assert (store.st_mode & 0o7777, store.st_uid, store.st_gid) == (0o1775, 0, 30000)
    assert listing(unpacked, "etc", "nix/store/.links", "nix/var", "root", "tmp", "var") == [
        "0755 0:0 etc",
        "0644 0:0 etc/group",
        "0644 0:0 etc/nsswitch.conf",
        "0644 0:0 etc/passwd",
        "0755 0:0 nix/store/.links",
        "0755 0:0 nix/var",
        "0755 0:0 nix/var/nix",
        "0755 0:0 nix/var/nix/db",
        "0644 0:0 nix/var/nix/db/db.sqlite",
        "0644 0:0 nix/var/nix/db/schema",
        "0755 0:0 nix/var/nix/gcroots",
        "0755 0:0 nix/var/nix/gcroots/ocipack",
        f"link 0:0 nix/var/nix/gcroots/ocipack/{os.path.basename(nix_store.other)} -> {nix_store.other}",
        "0755 0:0 nix/var/nix/gcroots/per-user",
        "0755 0:0 nix/var/nix/gcroots/per-user/root",
        "link 0:0 nix/var/nix/gcroots/profiles -> /nix/var/nix/profiles",
        "0755 0:0 nix/var/nix/profiles",
        "0755 0:0 nix/var/nix/profiles/per-user",
        "0755 0:0 nix/var/nix/profiles/per-user/root",
        "link 0:0 nix/var/nix/profiles/system -> system-1-link",
        f"link 0:0 nix/var/nix/profiles/system-1-link -> {nix_store.top}",
        "0755 0:0 nix/var/nix/temproots",
        "0700 0:0 root",
        "1777 0:0 tmp",
        "0755 0:0 var",
        "0555 0:0 var/empty",
    ]
    assert (unpacked / "etc/nsswitch.conf").read_text() == "hosts: files dns\n"
    assert "nixbld:x:30000:" in (unpacked / "etc/group").read_text().splitlines()


def test_items_are_as_they_were(nix_store: SmallStore, unpacked: Path) -> None:
    for path in nix_store.closure():
        subprocess.run(
            ["diff", "--recursive", "--no-dereference", nix_store.on_disk(path), unpacked / path[1:]], check=True
        )
        assert listing(unpacked, path[1:]) == listing(nix_store.root, path[1:])


def test_programs_of_the_store_run(nix_store: SmallStore, desk: Desk, docker: Docker) -> None:
    answer = desk.pack(
        f'root = "{nix_store.root}"\nroots = ["{DEFAULT}"]\nsymlinks = {{ "/bin" = "bin", "/lib64" = "lib" }}',
        more=f'[container]\nentrypoint = ["{nix_store.item("bash")}/bin/bash", "-c"]\nuser = "nobody"\n'
        'cmd = ["echo Hello from $0; id -u; ls -d /nix/store/*-system-1.0"]\nenv = { LD_LIBRARY_PATH = "/lib64",'
        ' PATH = "/bin" }',
    )
    assert answer.code == 0, answer.err
    said = docker.run(docker.load(desk.image)).splitlines()
    assert said == [f"Hello from {nix_store.item('bash')}/bin/bash", "65534", nix_store.top]


def test_the_example_of_a_profile(nix_store: SmallStore, desk: Desk, docker: Docker) -> None:
    """As it is, but for the store and for libraries, which real items find by themselves."""
    text = (Path(__file__).parents[3] / "examples/nix/os.toml").read_text()
    assert parse(text, "os.toml").store[0].roots == (DEFAULT,)
    text = text.replace('type = "nix"', f'type = "nix"\nroot = "{nix_store.root}"')
    text = text.replace('"/bin" = "bin"', '"/bin" = "bin", "/lib64" = "lib"')
    text = text.replace("env = {", 'env = { LD_LIBRARY_PATH = "/lib64",')
    assert desk.run(text).code == 0
    said = docker.run(docker.load(desk.image), "-c", "readlink /bin; type ls").splitlines()
    assert said == [f"{nix_store.top}/bin", "ls is /bin/ls"]


def test_without_registration_and_profile(nix_store: SmallStore, desk: Desk) -> None:
    answer = desk.pack(
        f'root = "{nix_store.root}"\nroots = ["{nix_store.other}"]\nregister = false\nprofile = ""\n'
        'symlinks = { "/opt/other" = "." }'
    )
    assert answer.code == 0, answer.err
    root = desk.unpack()
    assert listing(root, "nix/var", "opt") == [
        "0755 0:0 nix/var",
        "0755 0:0 nix/var/nix",
        "0755 0:0 nix/var/nix/gcroots",
        "0755 0:0 nix/var/nix/gcroots/ocipack",
        f"link 0:0 nix/var/nix/gcroots/ocipack/{os.path.basename(nix_store.other)} -> {nix_store.other}",
        "link 0:0 nix/var/nix/gcroots/profiles -> /nix/var/nix/profiles",
        "0755 0:0 nix/var/nix/profiles",
        "0755 0:0 opt",
        f"link 0:0 opt/other -> {nix_store.other}",
    ]


def test_what_os_toml_declares_wins(nix_store: SmallStore, desk: Desk) -> None:
    answer = desk.pack(
        f'root = "{nix_store.root}"\nroots = ["{nix_store.other}"]',
        more='[os]\nfiles = [{ target = "/etc/passwd", text = "x" }, { target = "/tmp", directory = true },'
        '{ target = "/etc/nsswitch.conf", text = "hosts: files\\n" }]',
    )
    assert answer.code == 0, answer.err
    root = desk.unpack()
    assert (root / "etc/passwd").read_text() == "x"
    assert (root / "etc/nsswitch.conf").read_text() == "hosts: files\n"
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize(
    ("os_table", "said"),
    [
        ('files = [{ target = "/bin/x", text = "x" }]', "/bin/x would be in the store, as {top}/bin/x, where nothing"),
        ('files = [{ target = "/nix/store/x", text = "x" }]', "/nix/store/x would be in the store, where nothing"),
        ('hostname = "h"', "/etc/hostname would be in the store, as {top}/bin/hostname, where nothing"),
    ],
)
def test_nothing_is_laid_over_items(nix_store: SmallStore, desk: Desk, os_table: str, said: str) -> None:
    """They would not be what their database says: neither directly, nor through a link."""
    store = f'root = "{nix_store.root}"\nroots = ["{DEFAULT}"]\nsymlinks = {{ "/bin" = "bin", "/etc" = "bin" }}'
    answer = desk.pack(store, more=f"[os]\n{os_table}")
    assert answer.code == 2
    assert said.format(top=nix_store.top) in answer.err
    assert not desk.image.exists()


@pytest.mark.parametrize("target", ["missing", "bin/missing"])
def test_symlinks_lead_somewhere(nix_store: SmallStore, desk: Desk, target: str) -> None:
    answer = desk.pack(f'root = "{nix_store.root}"\nroots = ["{DEFAULT}"]\nsymlinks = {{ "/x" = "{target}" }}')
    assert answer.code == 2
    assert f"/x would lead to {nix_store.top}/{target}, which does not exist" in answer.err
    assert not desk.image.exists()


# -- links to several roots ----------------------------------------------------------------------------------------


def packages(store: SmallStore) -> list[str]:
    """What `small_store` has made of packages, without what is there for all of them: bash and coreutils first."""
    first = [store.item("bash"), store.item("coreutils")]
    rest = [path for path in store.closure() if path not in first and (store.on_disk(path) / "nix-support").is_dir()]
    return first + rest


@pytest.mark.parametrize(
    "links",
    [
        '"/bin" = "bin", "/lib64" = "lib64", "/lib" = "lib", "/usr/lib" = "lib", "/usr/bin" = "bin"',
        '"/" = "."',
    ],
)
def test_programs_of_several_roots_run(nix_store: SmallStore, desk: Desk, docker: Docker, links: str) -> None:
    """Debian's loader looks for libraries in /lib and /usr/lib, to which each package has its own."""
    answer = desk.pack(
        f'root = "{nix_store.root}"\nroots = {packages(nix_store)}\nsymlinks = {{ {links} }}',
        more='[container]\nentrypoint = ["/bin/bash", "-c"]\nenv = { PATH = "/bin:/usr/bin" }\n'
        '[os]\nhostname = "h"\nusers = [{ name = "ada", uid = 1000, shell = "/bin/bash" }]\n'
        'files = [{ target = "/bin/mine", text = "#!/bin/bash\\necho mine\\n", mode = "0755" }]',
    )
    assert answer.code == 0, answer.err
    image = docker.load(desk.image)
    script = "readlink /bin/bash /bin/ls /etc/bash.bashrc; mine; id -un ada; stat -c %a / /bin /etc /tmp"
    bash, coreutils = packages(nix_store)[:2]
    places = [f"{bash}/bin/bash", f"{coreutils}/bin/ls", *([f"{bash}/etc/bash.bashrc"] if '"/"' in links else [])]
    assert docker.run(image, script).splitlines() == [*places, "mine", "ada", "755", "755", "755", "1777"]
    root = desk.unpack()
    nix = Nix(root)
    assert nix.store("--verify", "--check-contents") == []
    assert not (root / "nix-support").exists()


def test_what_later_roots_have_as_well_is_told(copied: SmallStore, desk: Desk) -> None:
    """The system has links to all programs: those of bash are the same ones."""
    more = desk.folder / "more"
    (more / "bin").mkdir(parents=True)
    (more / "bin/ls").write_text("mine")
    mine = copied.nix.run("nix", "store", "add-path", "--store", copied.root, more).strip()
    answer = desk.pack(
        f'root = "{copied.root}"\nroots = ["{DEFAULT}", "{copied.item("bash")}", "{mine}"]\n'
        'symlinks = { "/bin" = "bin" }'
    )
    assert (answer.code, answer.err) == (0, "")  # -q
    done = subprocess.run(
        [OCIPACK, "plan"], cwd=desk.folder, capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(desk.folder / "cache")},
    )  # fmt: skip
    assert done.stderr.splitlines() == [
        "ocipack: warning: several roots have these files, and the first one's are linked:",
        f"  /bin/ls is {copied.top}/bin/ls, not {mine}/bin/ls",
    ]


# -- corruption ---------------------------------------------------------------------------------------------------


def test_a_flipped_byte(copied: SmallStore, desk: Desk) -> None:
    item = copied.item("coreutils")
    program = copied.on_disk(item) / "bin/ls"
    data = bytearray(program.read_bytes())
    data[len(data) // 2] ^= 1
    program.chmod(0o644)
    program.write_bytes(data)
    program.chmod(0o555)
    store = f'root = "{copied.root}"\nroots = ["{copied.top}"]'
    answer = desk.pack(store)
    assert answer.code == 1
    assert f"{item} is corrupt" in answer.err
    assert not desk.image.exists()
    copied.nix.store("--verify", "--check-contents", code=1)
    assert desk.pack(store, "--no-verify").code == 0
    assert desk.image.exists()


@pytest.mark.parametrize("damage", ["a permission", "another file", "a file less", "a link elsewhere", "a pipe"])
def test_other_corruption(copied: SmallStore, desk: Desk, damage: str) -> None:
    item = copied.item("bash")
    folder = copied.on_disk(item) / "bin"
    match damage:
        case "a permission":
            (folder / "bash").chmod(0o444)
        case "another file":
            (folder / "new").write_text("")
        case "a file less":
            (folder / "bash").unlink()
        case "a link elsewhere":
            (folder / "rbash").unlink()
            (folder / "rbash").symlink_to("elsewhere")
        case _:
            os.mkfifo(folder / "pipe")
    answer = desk.pack(f'root = "{copied.root}"\nroots = ["{copied.top}"]')
    assert answer.code == 1
    assert item in answer.err
    assert not desk.image.exists()


# -- os.toml ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "store.roots: is missing"),
        ("roots = []", "store.roots"),
        ('roots = [""]', "store.roots[0]: must not be empty"),
        ('roots = ["/x"]\nroot = ""', "store.root: must not be empty"),
        ('roots = ["/x"]\nprofile = "../x"', "'../x' is not the name of a profile"),
        ('roots = ["/x"]\nprofile = "/x"', "'/x' is not the name of a profile"),
        ('roots = ["/x"]\nsymlinks = { bin = "bin" }', "'bin' is not an absolute path"),
        ('roots = ["/x"]\nsymlinks = { "/bin" = "/bin" }', "'/bin' is not a path in the roots"),
        ('roots = ["/x"]\nsymlinks = { "/bin" = "a/../b" }', "'a/../b' is not a path in the roots"),
        ('roots = ["/x"]\nsymlinks = { "/" = "" }', "must not be empty"),
        ('roots = ["/x"]\nsymlinks = { "/nix/store/x" = "b" }', "'/nix/store/x' is in the store"),
        (
            'roots = ["/x"]\nsymlinks = { "/bin" = "bin", "/bin/a/sh" = "bin/bash" }',
            "symlinks.'/bin/a/sh': '/bin/a/sh' is below '/bin', which is a link itself (keep one of them: ",
        ),
        ('roots = ["/x"]\nsymlinks = { "/gnu/store" = "b" }', "'/gnu/store' is in the store"),
        ('roots = ["/x"]\nregister = "no"', "store.register"),
        ('roots = ["/x"]\nsuite = "x"', "there is no such key"),
    ],
)
def test_mistakes_in_os_toml(table: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f'name = "x"\nplatform = "x86_64-linux"\n[store]\ntype = "nix"\n{table}\n', "os.toml")
    assert said in str(caught.value).replace('"', "'")


def test_entries_say_no_more_than_a_nar(nix_store: SmallStore, tmp_path: Path) -> None:
    def meta(entry: Entry) -> int:
        assert isinstance(entry, File | Directory | Symlink)
        assert (entry.meta.uid, entry.meta.gid, entry.meta.xattrs) == (0, 0, ())
        return entry.meta.mode

    closure = opened(tmp_path, nix_store.root, nix_store.top).closure()
    modes = {(type(entry), meta(entry)) for item in closure for entry in item.contents.entries()}
    assert modes == {(File, 0o444), (File, 0o555), (Directory, 0o555), (Symlink, 0o777)}


def test_a_database_that_is_none(copied: SmallStore, tmp_path: Path) -> None:
    (copied.root / DATABASE).write_bytes(b"SQLite format 3\0" + bytes(5000))
    with pytest.raises(PackError, match="cannot be read"):
        opened(tmp_path, copied.root, copied.top).closure()
