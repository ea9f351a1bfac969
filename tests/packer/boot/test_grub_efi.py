"""GRUB as a program for UEFI firmware, against the one that grub-mkimage makes of the same files."""

import os
import random
import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from formats.system import System
from layers.entry import Data, File
from layers.errors import PackError
from layers.reader import Reader
from layers.tree import Tree
from packer.boot.grub_efi import PROCESSORS, efi_image
from packer.boot.grub_files import GrubFiles
from tests.support.foreign_debian import main_mirror
from tests.support.small_debian import produced

CONFIG = "search.fs_uuid 1234 root\nset prefix=($root)/boot/grub\n"
MODULES = ["part_gpt", "part_msdos", "ext2", "fat", "normal", "linux", "serial", "search_fs_uuid", "efi_gop"]
PAGE = 4096

#: Processor -> platform and package of Debian: bookworm's has GRUB 2.06, trixie's 2.12.
KINDS = {
    "x86_64-efi": ("x86_64-linux", "grub-efi-amd64-bin"),
    "i386-efi": ("x86_64-linux", "grub-efi-ia32-bin"),
    "arm64-efi": ("aarch64-linux", "grub-efi-arm64-bin"),
}

Trees = Callable[[str, str], Tree]


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Trees:
    """What is in the package of a suite for a processor."""

    @cache
    def tree(suite: str, name: str) -> Tree:
        platform, package = KINDS[name]
        declaration = f"""\
name = "grub"
platform = "{platform}"
[store]
type = "debian"
mirror = "{main_mirror()}"
suite = "{suite}"
essential = false
packages = ["{package}"]
"""
        return produced(declaration, tmp_path_factory.mktemp(f"{suite}-{name}")).tree

    return tree


def folder(name: str) -> bytes:
    return f"usr/lib/grub/{name}".encode()


def copied(tree: Tree, name: str, target: Path) -> Path:
    """The folder with GRUB's files, on this machine."""
    with Reader() as reader:
        for entry in tree.below(folder(name)):
            if isinstance(entry, File):
                (target / os.fsdecode(os.path.basename(entry.path))).write_bytes(reader.read(entry.content))
    return target


def made(tree: Tree, name: str, modules: list[str], config: str = CONFIG, prefix: str = "/boot/grub") -> bytes:
    with Reader() as reader:
        return efi_image(GrubFiles(tree, folder(name), reader), name, modules, config, prefix)


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
@pytest.mark.parametrize("name", PROCESSORS)
def test_it_is_that_of_grub_mkimage(suite: str, name: str, trees: Trees, tmp_path: Path) -> None:
    """With few modules, and with all that there are."""
    tree = trees(suite, name)
    files = copied(tree, name, tmp_path)
    (tmp_path / "config").write_text(CONFIG)
    everything = sorted(path.stem for path in files.glob("*.mod"))
    for modules, prefix in ((["fat"], "/"), (MODULES, "(hd0,gpt2)/boot/grub"), (everything, "/boot/grub")):
        command: list[str | Path] = ["grub-mkimage", "-d", files, "-O", name, "-p", prefix, "-c", tmp_path / "config"]
        subprocess.run([*command, "-o", tmp_path / "program", *modules], check=True)
        assert made(tree, name, modules, prefix=prefix) == (tmp_path / "program").read_bytes()


@pytest.mark.parametrize(
    ("name", "form", "kind", "relocation"),
    [("x86_64-efi", "pei-x86-64", "DIR64", "R_X86_64_64"), ("i386-efi", "pei-i386", "HIGHLOW", "R_386_32")],
)
def test_binutils_read_it(
    name: str, form: str, kind: str, relocation: str, bootable_debian: System, tmp_path: Path
) -> None:
    """All fields that hold addresses are among those that firmware changes."""
    kernel = copied(bootable_debian.tree, name, tmp_path) / "kernel.img"
    path = tmp_path / "program"
    path.write_bytes(made(bootable_debian.tree, name, MODULES))
    said = subprocess.run(["objdump", "-x", path], check=True, capture_output=True, text=True).stdout
    assert f"file format {form}" in said
    assert re.findall(r"^ +\d (\S+) +\w+ +\w+ +\w+ +\w+ +2", said, re.MULTILINE) == [".text", ".data", "mods", ".reloc"]
    rows = subprocess.run(["readelf", "-rW", kernel], check=True, capture_output=True, text=True).stdout
    assert len(re.findall(rf"\breloc +\d+ offset .* {kind}$", said, re.MULTILINE)) == rows.count(f" {relocation} ")


def changed(tree: Tree, path: bytes, data: bytes) -> Tree:
    return Tree({**tree.by_path(), path: File(path, Data(data))})


@pytest.fixture(scope="module")
def few(bootable_debian: System) -> Tree:
    """What of GRUB two modules need."""
    below = bootable_debian.tree.below(folder("x86_64-efi"))
    names = (b"kernel.img", b"moddep.lst", b"fat.mod", b"fshelp.mod")
    return Tree({entry.path: entry for entry in below if os.path.basename(entry.path) in names})


@pytest.fixture(scope="module")
def contents(few: Tree) -> dict[str, bytes]:
    """Of the files of these."""
    with Reader() as reader:
        return {
            os.fsdecode(os.path.basename(entry.path)): reader.read(entry.content)
            for entry in few.by_path().values()
            if isinstance(entry, File)
        }


@pytest.mark.parametrize("name", ["kernel.img", "fat.mod"])
def test_a_file_that_is_not_whole_is_refused(name: str, few: Tree, contents: dict[str, bytes]) -> None:
    path, data = folder("x86_64-efi") + b"/" + name.encode(), contents[name]
    for size in (0, 1, 16, 63, 64, len(data) // 2, len(data) - 1):
        with pytest.raises(PackError, match=f"GRUB's {name} is no relocatable ELF file, or not a whole one"):
            made(changed(few, path, data[:size]), "x86_64-efi", ["fat"])
    with pytest.raises(PackError, match=f"GRUB's {name} has {17 << 20} bytes"):
        made(changed(few, path, data.ljust(17 << 20, b"\0")), "x86_64-efi", ["fat"])


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_kernel_is_refused_or_linked(seed: int, few: Tree, contents: dict[str, bytes]) -> None:
    """Wherever its bytes are wrong: most are code, therefore headers and tables get more than their share."""
    chance, whole = random.Random(seed), contents["kernel.img"]
    headers = int.from_bytes(whole[0x28:0x30], "little")
    path, outcomes = folder("x86_64-efi") + b"/kernel.img", set()
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            start, end = chance.choice([(0, 64), (headers, len(data)), (0xE000, headers)])
            place = chance.randrange(start, end)
            data[place] = chance.choice([0, 0xFF, data[place] ^ 1 << chance.randrange(8)])
        try:
            found = made(changed(few, path, bytes(data)), "x86_64-efi", ["fat"])
        except PackError as error:
            assert "GRUB's kernel.img" in str(error)
            outcomes.add("refused")
        else:
            assert len(found) <= 40 << 20
            outcomes.add("linked")
    assert outcomes == {"refused", "linked"}


def test_files_of_another_processor_are_refused(bootable_debian: System, few: Tree) -> None:
    with Reader() as reader:

        def other(name: str) -> bytes:
            entry = bootable_debian.tree.follow(folder("i386-efi") + b"/" + name.encode())
            assert isinstance(entry, File)
            return reader.read(entry.content)

        own = folder("x86_64-efi")
        for name, complaint in (("kernel.img", "is not for x86_64-efi"), ("fat.mod", "is for another processor: 3")):
            with pytest.raises(PackError, match=f"GRUB's {name} {complaint}"):
                made(changed(few, own + b"/" + name.encode(), other(name)), "x86_64-efi", ["fat"])


def test_it_is_the_same_whatever_is_beside_it(few: Tree, bootable_debian: System) -> None:
    assert made(few, "x86_64-efi", ["fat"]) == made(bootable_debian.tree, "x86_64-efi", ["fat"])
    assert len(made(few, "x86_64-efi", ["fat"])) % PAGE == 0
