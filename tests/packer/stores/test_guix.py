"""A store of Guix, made here with the statements of its schema; docker and umoci read the image."""

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from layers.entry import Data, Directory, File, Meta, Symlink
from layers.item import Closure, NarItem
from packer.config import parse
from packer.mistakes import ConfigError
from packer.nix.database import SchemaError
from packer.stores.guix import Options, open_store
from tests.oracle.runtimes import Docker
from tests.packer.stores.test_nix import Desk, context, listing
from tests.support.guix_store import DATABASE, folder_item, write_store
from tests.support.nar_items import nar_item

BUSYBOX, SYSTEM, UNUSED, DERIVER = (
    f"/gnu/store/{digit * 32}-{name}"
    for digit, name in (("0", "busybox-1.36"), ("1", "system"), ("2", "unused"), ("3", "system.drv"))
)
PROFILE = "per-user/root/guix-profile"


def items() -> list[NarItem]:
    return [
        folder_item(
            BUSYBOX,
            Directory(b"bin", Meta(0o555)),
            File(b"bin/busybox", Data(Path("/bin/busybox").read_bytes()), Meta(0o555)),
            Symlink(b"bin/sh", b"busybox"),
            self_reference=True,
        ),
        folder_item(
            SYSTEM,
            File(b"activate", Data(b"text"), Meta(0o444)),
            Symlink(b"bin", f"{BUSYBOX}/bin".encode()),
            references=[BUSYBOX],
            deriver=DERIVER,
        ),
        nar_item(UNUSED),
    ]


@pytest.fixture(scope="module")
def guix_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a store and its database, in WAL mode as guix-daemon leaves it."""
    root = tmp_path_factory.mktemp("guix")
    write_store(root, items())
    profiles = root / "var/guix/profiles/per-user/root"
    profiles.mkdir(parents=True)
    (profiles / "guix-profile").symlink_to("guix-profile-42-link")
    (profiles / "guix-profile-42-link").symlink_to(SYSTEM)
    return root


def closure(root: Path, folder: Path, *roots: str, registration: str = "") -> Closure:
    return open_store(Options(roots=roots, root=str(root), registration=registration), context(folder)).closure()


def known(closure: Closure) -> list[tuple[Any, ...]]:
    return [
        (item.path, item.nar_hash, item.nar_size, item.references, item.deriver, item.self_reference)
        for item in closure
        if isinstance(item, NarItem)
    ]


@pytest.mark.parametrize("root", [SYSTEM, f"/var/guix/profiles/{PROFILE}"])
def test_the_closure(guix_store: Path, tmp_path: Path, root: str) -> None:
    assert known(closure(guix_store, tmp_path, root)) == known(Closure(items()[:2]))


def test_a_references_graph_gives_the_same_items(guix_store: Path, tmp_path: Path) -> None:
    """As `register-closure` reads it: hashes are not in it."""
    (tmp_path / "graph").write_text(f"{SYSTEM}\n{DERIVER}\n1\n{BUSYBOX}\n{BUSYBOX}\n\n1\n{BUSYBOX}\n")
    assert known(closure(guix_store, tmp_path, SYSTEM, registration="graph")) == known(Closure(items()[:2]))


def test_another_schema(guix_store: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "gnu/store").mkdir(parents=True)
    (root / DATABASE).parent.mkdir(parents=True)
    (root / DATABASE).write_bytes((guix_store / DATABASE).read_bytes())
    assert len(closure(root, tmp_path, SYSTEM)) == 2  # images have no schema beside the database
    (root / "var/guix/db/schema").write_text("10")
    with pytest.raises(SchemaError, match="ocipack knows 7"):
        closure(root, tmp_path, SYSTEM)


def pack(desk: Desk, root: Path, more: str = "", container: str = "") -> None:
    table = f'root = "{root}"\nroots = ["/var/guix/profiles/{PROFILE}"]\n{more}'
    answer = desk.pack(table, more=container, kind="guix")
    assert answer.code == 0, answer.err


def rows(database: Path, *tables: str) -> list[list[Any]]:
    with closing(sqlite3.connect(database)) as connection:
        return [connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables]


def test_a_system(guix_store: Path, tmp_path: Path) -> None:
    """What `populate-root-file-system` and `register-closure` leave."""
    desk = Desk(tmp_path)
    pack(desk, guix_store)
    root = desk.unpack()
    store = (root / "gnu/store").stat()
    assert (store.st_mode & 0o7777, store.st_uid, store.st_gid) == (0o1775, 0, 30000)
    assert sorted(os.listdir(root / "gnu/store")) == [os.path.basename(path) for path in (BUSYBOX, SYSTEM)]
    folders = sorted(set(os.listdir(root)) - {"gnu"})
    assert listing(root, *folders) == [
        "0755 0:0 bin",
        "0755 0:0 etc",
        "0644 0:0 etc/group",
        "0644 0:0 etc/nsswitch.conf",
        "0644 0:0 etc/passwd",
        "0755 0:0 home",
        "0755 0:0 mnt",
        "0700 0:0 root",
        "0755 0:0 run",
        "1777 0:0 tmp",
        "0755 0:0 var",
        "0755 0:0 var/db",
        "0555 0:0 var/empty",
        "0755 0:0 var/guix",
        "0755 0:0 var/guix/db",
        "0644 0:0 var/guix/db/db.sqlite",
        "0755 0:0 var/guix/gcroots",
        "link 0:0 var/guix/gcroots/booted-system -> /run/booted-system",
        "link 0:0 var/guix/gcroots/current-system -> /run/current-system",
        "link 0:0 var/guix/gcroots/profiles -> /var/guix/profiles",
        "0755 0:0 var/guix/profiles",
        "0755 0:0 var/guix/profiles/per-user",
        "0755 0:0 var/guix/profiles/per-user/root",
        "link 0:0 var/guix/profiles/system -> system-1-link",
        f"link 0:0 var/guix/profiles/system-1-link -> {SYSTEM}",
        "1777 0:0 var/lock",
        "0755 0:0 var/log",
        "0755 0:0 var/run",
        "1777 0:0 var/tmp",
    ]
    busybox, system = items()[:2]
    assert rows(root / DATABASE, "ValidPaths", "Refs") == [
        [
            (1, BUSYBOX, str(busybox.nar_hash), 1, None, busybox.nar_size),
            (2, SYSTEM, str(system.nar_hash), 1, DERIVER, system.nar_size),
        ],
        [(1, 1), (2, 1)],
    ]


def test_a_pack(guix_store: Path, tmp_path: Path, docker: Docker) -> None:
    """What `guix pack -f docker -S /bin=bin --localstatedir` leaves."""
    desk = Desk(tmp_path)
    pack(
        desk,
        guix_store,
        f'profile = "{PROFILE}"\nsymlinks = {{ "/bin" = "bin", "/opt/guix/sh" = "bin/sh" }}',
        f'[container]\nentrypoint = ["{BUSYBOX}/bin/sh", "-c"]\ncmd = ["echo Hello from $0; readlink -f /bin/sh"]\n',
    )
    root = desk.unpack()
    assert sorted(os.listdir(root)) == ["bin", "etc", "gnu", "opt", "root", "tmp", "var"]
    assert listing(root, "bin", "opt", "root", "var/guix") == [
        f"link 0:0 bin -> {SYSTEM}/bin",
        "0755 0:0 opt",
        "0755 0:0 opt/guix",
        f"link 0:0 opt/guix/sh -> {SYSTEM}/bin/sh",
        "0700 0:0 root",
        f"link 0:0 root/.guix-profile -> /var/guix/profiles/{PROFILE}",
        "0755 0:0 var/guix",
        "0755 0:0 var/guix/db",
        "0644 0:0 var/guix/db/db.sqlite",
        "0755 0:0 var/guix/gcroots",
        "link 0:0 var/guix/gcroots/profiles -> /var/guix/profiles",
        "0755 0:0 var/guix/profiles",
        "0755 0:0 var/guix/profiles/per-user",
        "0755 0:0 var/guix/profiles/per-user/root",
        "link 0:0 var/guix/profiles/per-user/root/guix-profile -> guix-profile-1-link",
        f"link 0:0 var/guix/profiles/per-user/root/guix-profile-1-link -> {SYSTEM}",
    ]
    said = docker.run(docker.load(desk.image)).splitlines()
    assert said == [f"Hello from {BUSYBOX}/bin/sh", f"{BUSYBOX}/bin/busybox"]


def test_programs_of_several_roots_run(tmp_path: Path, docker: Docker) -> None:
    """What `guix pack -S /bin=bin` does with the profile of a manifest; the first root is a profile itself."""
    busybox, profile, _ = items()
    script = File(b"bin/greet", Data(b"#!/bin/sh\necho Hello from $0\n"), Meta(0o555))
    tool = folder_item(UNUSED, Directory(b"bin", Meta(0o555)), script, Symlink(b"bin/sh", f"{BUSYBOX}/bin/sh".encode()))
    write_store(tmp_path / "root", [busybox, profile, replace(tool, references=(BUSYBOX,))])
    desk = Desk(tmp_path)
    answer = desk.pack(
        f'root = "{tmp_path}/root"\nroots = ["{SYSTEM}", "{UNUSED}"]\nprofile = "{PROFILE}"\n'
        'symlinks = { "/bin" = "bin" }',
        more='[container]\ncmd = ["/bin/sh", "-c", "readlink /bin/sh; /bin/greet"]\n',
        kind="guix",
    )
    assert answer.code == 0, answer.err
    assert listing(desk.unpack(), "bin") == [
        "0755 0:0 bin",
        f"link 0:0 bin/busybox -> {BUSYBOX}/bin/busybox",
        f"link 0:0 bin/greet -> {UNUSED}/bin/greet",
        f"link 0:0 bin/sh -> {BUSYBOX}/bin/sh",
    ]
    assert docker.run(docker.load(desk.image)).splitlines() == [f"{BUSYBOX}/bin/sh", "Hello from /bin/greet"]


@pytest.mark.parametrize("target", ["bin", "."])
def test_folders_of_a_system_are_folders_of_links(guix_store: Path, tmp_path: Path, target: str) -> None:
    """Guix makes /bin itself."""
    desk = Desk(tmp_path)
    path = "/bin" if target == "bin" else "/"
    pack(desk, guix_store, f'symlinks = {{ "{path}" = "{target}" }}')
    assert listing(desk.unpack(), "bin") == [
        "0755 0:0 bin",
        f"link 0:0 bin/busybox -> {BUSYBOX}/bin/busybox",
        f"link 0:0 bin/sh -> {BUSYBOX}/bin/sh",
    ]


def test_the_current_guix(guix_store: Path, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    pack(desk, guix_store, 'profile = "per-user/root/current-guix"\nregister = false')
    root = desk.unpack()
    assert os.readlink(root / "root/.config/guix/current") == "/var/guix/profiles/per-user/root/current-guix"
    assert not (root / "var/guix/db").exists()


def test_a_flipped_byte(guix_store: Path, tmp_path: Path) -> None:
    place = guix_store / SYSTEM[1:] / "activate"
    desk = Desk(tmp_path)
    try:
        place.chmod(0o644)
        place.write_text("t3xt")
        answer = desk.pack(f'root = "{guix_store}"\nroots = ["{SYSTEM}"]', kind="guix")
    finally:
        place.write_text("text")
        place.chmod(0o444)
    assert answer.code == 1
    assert f"{SYSTEM} is corrupt" in answer.err
    assert not desk.image.exists()


def test_items_of_nix_are_none_of_guix() -> None:
    with pytest.raises(ConfigError, match="is in the store"):
        parse(
            'name = "x"\nplatform = "x86_64-linux"\n[store]\ntype = "guix"\nroots = ["/x"]\n'
            'symlinks = { "/gnu/store/x" = "b" }\n',
            "os.toml",
        )
