"""ISO 9660 images and disks of boards as people make them: the same bytes whoever makes them, and how."""

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from packer.cli import run
from tests.oracle.ext4 import complaints
from tests.oracle.iso9660 import is_sound
from tests.support.command_line import AS_INSTALLED, OCIPACK
from tests.support.entries import noise
from tests.support.images import partitions
from tests.support.kernel_modules import module
from tests.support.processes import as_nobody, public_folder

#: Types, and the platform of each.
KINDS = {
    "iso9660": "x86_64-linux",
    "uncompressed-iso9660": "x86_64-linux",
    "pine64-raw": "aarch64-linux",
    "hurd-raw": "i586-gnu",
    "efi32-raw": "x86_64-linux",  # with a GRUB that is made
}

#: How a build differs from the first, which has a warm cache and two processors: environment, umask, options.
VARIATIONS: dict[str, tuple[dict[str, str], str, tuple[str, ...]]] = {
    "one processor, another time zone, Turkish": (
        {"TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "4711"}, "022", ("--jobs", "1"),
    ),
    "umask 777, no locale": ({"PYTHONUTF8": "0", "LC_ALL": "POSIX", "COLUMNS": "40"}, "777", ()),
}  # fmt: skip

MULTIBOOT = b"\x02\xb0\xad\x1b\x00\x00\x00\x00\xfe\x4f\x52\xe4"


@dataclass(frozen=True)
class Place:
    """A folder with declarations, a system that they pack, and a cache."""

    folder: Path

    def declaration(self, kind: str) -> Path:
        path = self.folder / f"{KINDS[kind]}.toml"
        path.write_text(
            f'name = "small"\nversion = "1"\nplatform = "{KINDS[kind]}"\n[store]\ntype = "folder"\npath = "root"\n'
        )
        return path

    def digest(
        self, kind: str, cache: Path, environment: dict[str, str], umask: str = "022", options: tuple[str, ...] = ()
    ) -> str:
        """Of what is made."""
        output = self.folder / "made"
        command: list[str | Path] = ["sh", "-c", f'umask {umask}; exec "$@"', "sh", OCIPACK, kind, "-q", "-o", output]
        plain = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "XDG_CACHE_HOME": str(cache), **AS_INSTALLED}
        done = subprocess.run(
            [*command, *options, self.declaration(kind)],
            cwd=self.folder, env={**plain, **environment}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return hashlib.sha256(output.read_bytes()).hexdigest()


def _system(root: Path) -> None:
    """What the installers look for, as little of it as they take."""
    drivers = "usr/lib/modules/6.1/kernel/drivers"
    files = {
        "boot/vmlinuz-6.1": noise(300_000),
        "boot/gnumach": MULTIBOOT.ljust(10_000, b"\x90"),
        f"{drivers}/block/virtio_blk.ko": module([]),
        f"{drivers}/mmc/host/sunxi-mmc.ko": module(["alias=of:N*T*Callwinner,sun50i-a64-mmc"]),
        "usr/lib/modules/6.1/modules.builtin": b"kernel/ext4.ko\nkernel/isofs.ko\nkernel/overlay.ko\n",
        "usr/lib/linux-image-6.1/allwinner/sun50i-a64-pine64-lts.dtb": b"\xd0\x0d\xfe\xed".ljust(1000, b"\0"),
        "usr/lib/u-boot/pine64-lts/u-boot-sunxi-with-spl.bin": b"\0\0\0\xeaeGON.BT0" + noise(100_000),
        "usr/lib/grub/x86_64-efi/monolithic/grubx64.efi": b"MZ" + noise(50_000),
        "usr/share/text": b"a line\n" * 100_000,
        **{f"hurd/{name}.static": noise(1000) for name in ("pci-arbiter", "rumpdisk", "ext2fs", "exec")},
    }
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    (root / "usr/bin").mkdir()
    shutil.copy("/bin/busybox", root / "usr/bin/busybox")
    (root / "lib").symlink_to("usr/lib")
    shutil.copytree("/usr/lib/grub/i386-pc", root / "usr/lib/grub/i386-pc")
    modules = shutil.ignore_patterns("monolithic")
    shutil.copytree("/usr/lib/grub/i386-efi", root / "usr/lib/grub/i386-efi", ignore=modules)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("bootable")
    _system(folder / "root")
    return Place(folder)


@pytest.fixture(scope="module")
def expected(place: Place) -> dict[str, str]:
    """Digests of second builds."""
    found = {}
    for kind in KINDS:
        first, second = (place.digest(kind, place.folder / "cache", {}, options=("--jobs", "2")) for _ in range(2))
        assert first == second
        found[kind] = second
        shutil.copy(place.folder / "made", place.folder / kind)
    return found


def test_they_are_what_they_should_be(expected: dict[str, str], place: Place) -> None:
    assert len(set(expected.values())) == len(KINDS)
    for kind in KINDS:
        if kind.endswith("iso9660"):
            assert is_sound(place.folder / kind)
        else:
            assert not complaints(partitions(place.folder / kind)[-1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variation", VARIATIONS)
def test_surroundings_do_not_matter(
    kind: str, variation: str, place: Place, expected: dict[str, str], tmp_path: Path
) -> None:
    environment, umask, options = VARIATIONS[variation]
    assert place.digest(kind, tmp_path, environment, umask, options) == expected[kind]


def test_an_unprivileged_user_makes_the_same(
    place: Place, expected: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for kind in KINDS:  # loads all that a build needs: nobody may not be allowed to read where this repository lies
        assert run([kind, "-q", "-o", str(tmp_path / kind), str(place.declaration(kind))]) == 0
    with public_folder() as home:
        shutil.copytree(place.folder / "root", home / "root", symlinks=True)
        for kind in KINDS:
            shutil.copy(place.declaration(kind), home)
        for path in (home, *home.rglob("*")):
            os.chown(path, 65534, 65534, follow_symlinks=False)

        def build() -> int:
            os.environ["XDG_CACHE_HOME"] = str(home / "cache")
            os.chdir(home)
            return sum(run([kind, "-q", "-o", str(home / kind), str(home / f"{KINDS[kind]}.toml")]) for kind in KINDS)

        assert as_nobody(build) == "0"
        for kind in KINDS:
            assert hashlib.sha256((home / kind).read_bytes()).hexdigest() == expected[kind]
