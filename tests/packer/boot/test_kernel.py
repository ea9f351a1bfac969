import re
from collections.abc import Mapping
from dataclasses import replace

import pytest

from formats.boot import Layout
from formats.image import Image, Partition
from layers.entry import Entry, Symlink
from layers.errors import InputError, PackError
from layers.item import Closure
from layers.reader import Reader
from packer.boot.kernel import Kernel, kernels, missing
from tests.support.bootable import layout_of, system_of
from tests.support.entries import make_item
from tests.support.operating_systems import tree

IMAGE = Image(partitions=(Partition("root", 1 << 20, mount_point="/"),))
UUID = layout_of(IMAGE, system_of(tree({}))).volumes[0].file_system_uuid

Files = Mapping[str, str | bytes | Entry]

DEBIAN: Files = {
    "boot/vmlinuz-6.1.0-9-amd64": "9",
    "boot/vmlinuz-6.1.0-10-amd64": "10",
    "boot/vmlinuz-6.1.0-10~rc1-amd64": "rc",
    "boot/vmlinuz.old/x": "folder",
    "boot/config-6.1.0-10-amd64": "",
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
}
ITEM = "nix/store/a-nixos"
NIX: Files = {
    f"{ITEM}/kernel": Symlink(b"nix/store/a-nixos/kernel", b"/nix/store/b-linux/bzImage"),
    f"{ITEM}/initrd": Symlink(b"nix/store/a-nixos/initrd", b"/nix/store/c-initrd/initrd"),
    f"{ITEM}/kernel-params": "loglevel=4 quiet",
    f"{ITEM}/init": "#!",
    f"{ITEM}/nixos-version": "24.05",
    "nix/store/b-linux/bzImage": "linux",
    "nix/store/c-initrd/initrd": "initrd",
}
PROFILE: Files = {
    "nix/var/nix/profiles/system": Symlink(b"nix/var/nix/profiles/system", b"system-1-link"),
    "nix/var/nix/profiles/system-1-link": Symlink(b"nix/var/nix/profiles/system-1-link", b"/nix/store/a-nixos"),
}
GUIX: Files = {
    "var/guix/profiles/system": Symlink(b"var/guix/profiles/system", b"/gnu/store/s-system"),
    "gnu/store/s-system/parameters": '(boot-parameters (version 0) (label "GNU 6") (root-device "x")'
    ' (kernel "/gnu/store/k/bzImage") (kernel-arguments ("quiet" "net.ifnames=0")) (initrd "/gnu/store/i/raw"))',
    "gnu/store/k/bzImage": "linux",
    "gnu/store/i/raw": "initrd",
}


def layout(files: Files, image: Image = IMAGE, *, roots: tuple[str, ...] = ()) -> Layout:
    closure = Closure([make_item(root) for root in roots], roots)
    return layout_of(image, system_of(tree(files), "console=ttyS0", closure=closure))


def found(files: Files, image: Image = IMAGE, *, roots: tuple[str, ...] = ()) -> list[Kernel]:
    with Reader() as reader:
        return kernels(layout(files, image, roots=roots), reader)


def test_the_newest_kernel_of_debian_comes_first() -> None:
    versions = [kernel.version for kernel in found(DEBIAN)]
    assert versions == ["6.1.0-10-amd64", "6.1.0-10~rc1-amd64", "6.1.0-9-amd64"]


def test_a_kernel_of_debian() -> None:
    kernel = found(DEBIAN)[0]
    assert kernel.title == "Debian GNU/Linux 12 (bookworm), Linux 6.1.0-10-amd64"
    assert kernel.file.path == b"boot/vmlinuz-6.1.0-10-amd64"
    assert kernel.arguments == (f"root=UUID={UUID}", "ro", "console=ttyS0")
    assert kernel.is_debian


def test_a_volatile_root_is_asked_for() -> None:
    image = Image(partitions=IMAGE.partitions, volatile_root=True)
    assert found(DEBIAN, image)[0].arguments[1:3] == ("ro", "systemd.volatile=overlay")


@pytest.mark.parametrize(
    ("files", "roots"), [({**NIX, **PROFILE}, ()), (NIX, (f"/{ITEM}",)), ({**NIX, **PROFILE, **DEBIAN}, ())]
)
def test_a_system_of_nix(files: Files, roots: tuple[str, ...]) -> None:
    (kernel,) = found(files, roots=roots)
    assert (kernel.title, kernel.version) == ("NixOS 24.05", "a-nixos")
    assert kernel.file.path == b"nix/store/b-linux/bzImage"
    assert kernel.initrd
    assert kernel.initrd.path == b"nix/store/c-initrd/initrd"
    assert kernel.arguments == (
        "init=/nix/store/a-nixos/init", f"root=UUID={UUID}", "loglevel=4", "quiet", "console=ttyS0",
    )  # fmt: skip


def test_a_system_of_nix_may_say_where_its_root_is() -> None:
    (kernel,) = found({**NIX, **PROFILE, f"{ITEM}/kernel-params": "root=LABEL=x"})
    assert kernel.arguments == ("init=/nix/store/a-nixos/init", "root=LABEL=x", "console=ttyS0")


@pytest.mark.parametrize("roots", [(), ("/gnu/store/s-system",)])
def test_a_system_of_guix(roots: tuple[str, ...]) -> None:
    files = {path: entry for path, entry in GUIX.items() if not (roots and path.startswith("var"))}
    (kernel,) = found(files, roots=roots)
    assert (kernel.title, kernel.version) == ("GNU 6", "s-system")
    assert (kernel.file.path, kernel.initrd and kernel.initrd.path) == (b"gnu/store/k/bzImage", b"gnu/store/i/raw")
    system = "/gnu/store/s-system"
    assert kernel.arguments == (
        f"root={UUID}", f"gnu.system={system}", f"gnu.load={system}/boot", "quiet", "net.ifnames=0", "console=ttyS0",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({**GUIX, "gnu/store/s-system/parameters": "(boot-parameters)"}, "does not say which kernel it starts"),
        ({**GUIX, "gnu/store/s-system/parameters": "("}, "parameters: it is not one expression"),
        ({path: x for path, x in GUIX.items() if "/k/" not in path}, "/gnu/store/k/bzImage, which the system starts"),
        ({path: x for path, x in {**NIX, **PROFILE}.items() if "c-initrd" not in path}, "a-nixos/initrd, which the"),
    ],
)
def test_what_is_missing_is_named(files: Files, complaint: str) -> None:
    with pytest.raises(PackError) as caught:
        found(files)
    assert re.search(complaint, str(caught.value).replace("\n", " "))


def test_a_volatile_root_is_not_for_systems_with_an_initrd() -> None:
    with pytest.raises(InputError, match="brings its own"):
        found({**NIX, **PROFILE}, Image(partitions=IMAGE.partitions, volatile_root=True))


def test_on_iso_9660_that_is_its_own_matter() -> None:
    root = replace(IMAGE.partitions[0], file_system="iso9660")
    assert found({**NIX, **PROFILE}, Image(partitions=(root,), volatile_root=True))


def test_an_image_has_a_root() -> None:
    with pytest.raises(InputError, match="no partition with the root"):
        found(DEBIAN, Image(partitions=(Partition("data", mount_point="/srv"),)))


@pytest.mark.parametrize(
    ("platform", "package"),
    [
        ("x86_64-linux", "linux-image-amd64"),
        ("armhf-linux", "linux-image-armmp"),
        ("i686-linux", "linux-image-686-pae"),
    ],
)
def test_without_a_kernel_the_package_is_named(platform: str, package: str) -> None:
    layout = layout_of(IMAGE, system_of(tree({"boot/config-6": ""}), platform=platform))
    with Reader() as reader:
        assert kernels(layout, reader) == []
    assert package in missing(layout).hint
