"""The format: what Linux could not read is refused; bytes are the same for any number of threads."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from formats import iso9660
from formats.boot import Installer
from formats.disk import Options
from formats.format import Order
from formats.image import Image
from formats.image_types import ISO
from layers.archive import STANDARD_OUTPUT
from layers.blob import BlobCache, Workshop
from layers.compress import NoCodec
from layers.digest import Digest
from layers.entry import Data, Directory, Entry, File
from layers.errors import EntryError, InputError
from layers.plan import LayerPlan
from layers.progress import NoProgress
from tests.oracle.iso9660 import header, identity, is_sound
from tests.support.bootable import system_of
from tests.support.entries import noise
from tests.support.images import FakeInstaller
from tests.support.volumes import tree_of

ENTRIES: list[Entry] = [
    File(b"usr/bin/program", Data(noise(3_000_000))),
    File(b"boot/efi/EFI/BOOT/BOOTX64.EFI", Data(noise(50_000))),
    File(b"boot/vmlinuz", Data(noise(70_000))),
]


ZISOFS = bytes.fromhex("37e45396c9dbd607")


def written(
    path: Path,
    entries: list[Entry],
    jobs: int = 2,
    image: Image = ISO,
    output: str = "",
    installer: Installer | None = None,
) -> Path:
    with ThreadPoolExecutor(jobs) as executor:
        workshop = Workshop(BlobCache(str(path.with_suffix(".cache"))), NoCodec(), 1, executor, jobs, NoProgress())
        system = system_of(tree_of(entries))
        options = Options("iso9660", image, installer)
        artefact = iso9660.write(Order(system, LayerPlan(()), workshop, output or str(path), options))
    assert artefact.size == artefact.file_size == path.stat().st_size
    return path


def test_it_has_the_labels_and_the_tree_of_the_system(tmp_path: Path) -> None:
    image = written(tmp_path / "image.iso", ENTRIES)
    found = identity(image)
    assert (found["LABEL"], found["TYPE"], found["PTTYPE"]) == ("ROOT", "iso9660", "gpt")
    assert is_sound(image)
    assert int(header(image)["Volume size is"]) * 2048 == image.stat().st_size
    plain = written(tmp_path / "plain.iso", ENTRIES, image=replace(ISO, compression=False))
    assert plain.stat().st_size > image.stat().st_size + 1_000_000
    assert is_sound(plain)


@pytest.mark.parametrize("compression", [False, True])
def test_bytes_do_not_depend_on_jobs(tmp_path: Path, compression: bool) -> None:
    image = replace(ISO, compression=compression)
    digests = {Digest.of(written(tmp_path / f"{jobs}.iso", ENTRIES, jobs, image).read_bytes()) for jobs in (1, 2, 7)}
    assert len(digests) == 1


@pytest.mark.parametrize("entry", [File(b"a/" + b"n" * 254), Directory(b"n" * 255), File(b"a/\xe9")])
def test_names_that_linux_cannot_read_are_refused(tmp_path: Path, entry: Entry) -> None:
    with pytest.raises(EntryError, match="Linux cannot read the names of /"):
        written(tmp_path / "image.iso", [*ENTRIES, entry])
    assert not list(tmp_path.glob("*.iso*"))


@pytest.mark.parametrize(
    ("path", "loaded", "compressed"),
    [(b"nix/initrd", b"", 1), (b"nix/initrd", b"nix/initrd", 0), (b"boot/initrd", b"", 0), (b"gnu/bzImage", b"", 0)],
)
def test_what_a_boot_loader_reads_is_not_compressed(
    tmp_path: Path, path: bytes, loaded: bytes, compressed: int
) -> None:
    entries: list[Entry] = [Directory(b"boot"), Directory(b"boot/efi"), File(path, Data(b"plain" * 100_000))]
    image = written(tmp_path / "image.iso", entries, installer=FakeInstaller(loaded=frozenset((loaded,))))
    assert image.read_bytes().count(ZISOFS) == compressed


def test_names_that_linux_reads_are_not() -> None:
    iso9660.refuse_unreadable([File(b"n" * 253), File(b"\xe9\xe9"), File(b"a"), Directory(b"n" * 253 + b"/x")])


def test_both_types_can_be_made_at_once() -> None:
    options = [Options("iso9660", image) for image in (ISO, replace(ISO, compression=False))]
    assert [iso9660.default_output("a-1", each) for each in options] == ["a-1.iso", "a-1-uncompressed.iso"]


def test_an_image_may_have_a_name() -> None:
    assert iso9660.default_output("a-1", Options("iso9660", replace(ISO, name="b"))) == "b.iso"


def test_it_needs_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="standard output"):
        written(tmp_path / "image.iso", ENTRIES, output=STANDARD_OUTPUT)
