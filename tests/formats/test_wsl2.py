"""Distributions for WSL: what is in them, what is beside them, and what is refused."""

import json
import tarfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from formats import wsl2
from formats.format import FileArtefact, Order, paths
from formats.system import System
from formats.wsl2 import Options, RuleError
from layers.blob import BlobCache, Workshop
from layers.compress import codec
from layers.digest import Digest
from layers.entry import PROGRAM, Data, Entry, File, Symlink
from layers.errors import InputError
from layers.item import Closure
from layers.plan import LayerPlan
from layers.progress import NoProgress
from layers.tree import Part, merge
from tests.support.entries import make_item
from tests.support.nar_items import nar_item
from tests.support.systems import system
from tests.support.wsl import PROFILE, ROOT, elf, icon

FULL = Options(oobe=b"#!/bin/sh\n", icon=icon(), terminal_profile=PROFILE)


@dataclass
class Told(NoProgress):
    warnings: list[str] = field(default_factory=list)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def of_root(*more: Entry, platform: str = "x86_64-linux", root: Iterable[Entry] = ROOT) -> System:
    entries = (*root, *more)
    made = system(make_item("all", *entries), name="Sample system", platform=platform)
    return replace(made, customization=(), tree=merge([Part("all", entries)]).tree)


def made(of: System, folder: Path, options: Options = FULL) -> tuple[FileArtefact, list[str]]:
    path, told = folder / wsl2.default_output("sample-1.0", options), Told()
    with ThreadPoolExecutor(2) as executor:
        workshop = Workshop(BlobCache(str(folder / "cache")), codec("none"), 1, executor, 2, told)
        return wsl2.write(Order(of, LayerPlan(()), workshop, str(path), options)), told.warnings


def contents(artefact: FileArtefact) -> dict[str, bytes]:
    with tarfile.open(artefact.path, "r:gz") as archive:
        files = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        return {name: file.read() for name, file in files.items() if file}


def conf(artefact: FileArtefact) -> str:
    return contents(artefact)["etc/wsl-distribution.conf"].decode()


def test_a_distribution_has_its_files(tmp_path: Path) -> None:
    artefact, warnings = made(of_root(), tmp_path)
    assert artefact.path.endswith("sample-1.0.wsl")
    assert warnings == []
    assert conf(artefact) == (
        "[oobe]\ncommand = /usr/lib/wsl/oobe\ndefaultUid = 1000\ndefaultName = Sample-system\n\n"
        "[shortcut]\nicon = /usr/lib/wsl/icon.ico\n\n"
        "[windowsterminal]\nprofileTemplate = /usr/lib/wsl/terminal-profile.json\n"
    )
    found = contents(artefact)
    assert found["usr/lib/wsl/icon.ico"] == icon()
    assert found["etc/wsl.conf"] == b""
    with tarfile.open(artefact.path) as archive:
        modes = {member.name: (member.mode, member.uid, member.gid) for member in archive}
    assert modes["usr/lib/wsl/oobe"] == (0o755, 0, 0)
    assert modes["usr/lib/wsl/terminal-profile.json"] == (0o640, 0, 0)
    assert modes["usr/lib/wsl"] == (0o755, 0, 0)


def test_the_system_stays_as_it_is_for_other_artefacts(tmp_path: Path) -> None:
    of = of_root()
    made(of, tmp_path)
    assert b"etc/wsl.conf" not in of.tree


def test_what_the_system_has_stays(tmp_path: Path) -> None:
    artefact, _ = made(of_root(File(b"etc/wsl.conf", Data(b"[network]\nhostname = h\n"))), tmp_path)
    assert contents(artefact)["etc/wsl.conf"] == b"[network]\nhostname = h\n"


def test_the_manifest_is_an_entry_of_the_list(tmp_path: Path) -> None:
    artefact, _ = made(of_root(), tmp_path)
    assert artefact.facts["manifest"] == f"{artefact.path}.json"
    assert paths("wsl2", artefact.path, FULL) == (artefact.path, artefact.facts["manifest"])
    digest = Digest.of(Path(artefact.path).read_bytes())
    assert json.loads(Path(f"{artefact.path}.json").read_text()) == {
        "ModernDistributions": {
            "Sample-system": [
                {
                    "Name": "Sample-system",
                    "FriendlyName": "Sample system 1.0",
                    "Default": True,
                    "Amd64Url": {"Url": "https://example.invalid/sample-1.0.wsl", "Sha256": digest.hex},
                }
            ]
        }
    }


def test_names_of_the_manifest(tmp_path: Path) -> None:
    options = replace(FULL, default_name="hello-2", flavor="hello", friendly_name="Hello!", url="https://x/hello.wsl")
    artefact, _ = made(
        of_root(
            platform="aarch64-linux",
            root=[_for_arm(entry) for entry in ROOT],
        ),
        tmp_path,
        options,
    )
    (entry,) = json.loads(Path(f"{artefact.path}.json").read_text())["ModernDistributions"]["hello"]
    assert (entry["Name"], entry["FriendlyName"]) == ("hello-2", "Hello!")
    assert entry["Arm64Url"]["Url"] == "https://x/hello.wsl"
    assert "Amd64Url" not in entry


def _for_arm(entry: Entry) -> Entry:
    is_program = isinstance(entry, File) and entry.meta.mode & 0o111
    return replace(entry, content=Data(elf(183))) if is_program and isinstance(entry, File) else entry


@pytest.mark.parametrize(
    ("options", "uid"),
    [
        (Options(), None),
        (Options(oobe=b"#!/bin/sh\n"), "1000"),
        (Options(oobe=b"#!/bin/sh\n", default_uid=1001), "1001"),
        (Options(default_user="daemon"), "1"),
        (Options(default_user="root"), "0"),
    ],
)
def test_the_default_user_has_a_number(options: Options, uid: str | None, tmp_path: Path) -> None:
    artefact, _ = made(of_root(), tmp_path, options)
    lines = [line for line in conf(artefact).splitlines() if line.startswith("defaultUid")]
    assert lines == ([f"defaultUid = {uid}"] if uid else [])


def test_a_default_user_who_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no user 'deamon'\n  Did you mean 'daemon'\?"):
        made(of_root(), tmp_path, Options(default_user="deamon"))


def test_what_is_forbidden_is_not_made(tmp_path: Path) -> None:
    of = of_root(File(b"etc/resolv.conf"), File(b"boot/vmlinuz-6"), root=[e for e in ROOT if e.path != b"usr/bin/sh"])
    with pytest.raises(RuleError) as caught:
        made(of, tmp_path)
    assert {(found.rule.name, found.breach.path) for found in caught.value.findings} == {
        ("resolv-conf", "/etc/resolv.conf"),
        ("kernel", "/boot/vmlinuz-6"),
        ("sh", "/bin/sh"),
    }
    assert "resolv-conf: /etc/resolv.conf is there (build-custom-distro.md" in str(caught.value)
    assert not list(tmp_path.glob("*.wsl*"))


def test_what_is_discouraged_is_told(tmp_path: Path) -> None:
    _, warnings = made(of_root(), tmp_path, Options())
    assert len(warnings) == 1
    assert warnings[0].startswith("wsl2: icon: /etc/wsl-distribution.conf names no shortcut.icon")


def test_legacy_is_a_plain_root(tmp_path: Path) -> None:
    artefact, warnings = made(of_root(), tmp_path, replace(FULL, legacy=True, default_user="daemon"))
    assert artefact.path.endswith("sample-1.0.rootfs.tar.gz")
    found = contents(artefact)
    assert found["etc/wsl.conf"] == b"[user]\ndefault = daemon\n"
    assert not {name for name in found if "wsl" in name} - {"etc/wsl.conf"}
    assert warnings == []
    assert not list(tmp_path.glob("*.json"))


_UNITS = (
    File(b"usr/lib/systemd/system/tmp.mount", Data(b"[Mount]\n")),
    File(b"usr/lib/systemd/user/systemd-tmpfiles-clean.timer", Data(b"[Timer]\n")),
    Symlink(b"usr/lib/systemd/system/local-fs.target.wants/tmp.mount", b"../tmp.mount"),
    Symlink(b"usr/lib/systemd/user/timers.target.wants/systemd-tmpfiles-clean.timer", b"../x"),
    File(b"usr/sbin/init", Data(elf()), PROGRAM),
    Symlink(b"sbin", b"usr/sbin"),
)


def test_systemd_is_started_without_the_units_that_disturb(tmp_path: Path) -> None:
    artefact, warnings = made(of_root(*_UNITS), tmp_path, replace(FULL, systemd=True))
    assert warnings == []
    assert contents(artefact)["etc/wsl.conf"] == b"[boot]\nsystemd = true\n"
    with tarfile.open(artefact.path) as archive:
        links = {member.name: member.linkname for member in archive if member.issym()}
    assert links["etc/systemd/system/tmp.mount"] == "/dev/null"
    assert links["etc/systemd/user/systemd-tmpfiles-clean.timer"] == "/dev/null"


def test_units_are_left_alone_without_systemd(tmp_path: Path) -> None:
    _, warnings = made(of_root(*_UNITS), tmp_path)
    assert len(warnings) == 2
    assert all(warning.startswith("wsl2: units: ") for warning in warnings)


def test_a_nix_closure_gets_the_paths_that_wsl_starts(tmp_path: Path) -> None:
    bash, util = (f"nix/store/{digit * 32}-{name}" for digit, name in (("1", "bash-5.2"), ("2", "util-linux-2.39-bin")))
    items = [
        nar_item(
            f"/{bash}",
            File(f"{bash}/bin/bash".encode(), Data(elf()), PROGRAM),
            Symlink(f"{bash}/bin/sh".encode(), b"bash"),
        ),
        nar_item(f"/{util}", File(f"{util}/bin/mount".encode(), Data(elf()), PROGRAM)),
    ]
    entries = [entry for entry in ROOT if entry.path.startswith(b"etc/")]
    tree = merge([*(Part(item.path, item.contents.entries()) for item in items), Part("etc", entries)]).tree
    of = replace(system(), closure=Closure(items), tree=tree, customization=(), parts={})
    with ThreadPoolExecutor(2) as executor:
        workshop = Workshop(BlobCache(str(tmp_path / "c")), codec("none"), 1, executor, 2, NoProgress(), verify=False)
        artefact = wsl2.write(Order(of, LayerPlan(()), workshop, str(tmp_path / "nix.wsl"), FULL))
    with tarfile.open(artefact.path) as archive:
        assert archive.getmember("bin/sh").linkname == f"/{bash}/bin/sh"
        assert archive.getmember("bin/mount").linkname == f"/{util}/bin/mount"


def test_wsl_runs_on_two_processors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="WSL does not run on riscv64-linux"):
        made(of_root(platform="riscv64-linux"), tmp_path)


@pytest.mark.parametrize(
    ("name", "registered"), [("hello", "hello"), ("Hello, É!", "Hello"), ("é", "linux"), ("a" * 300, "a" * 256)]
)
def test_names_that_can_be_registered(name: str, registered: str) -> None:
    assert wsl2.distribution_name(name) == registered
