"""Swap spaces, read by blkid, swaplabel and file, and compared with mkswap's."""

import subprocess
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from formats.filesystem import TooSmallError
from formats.filesystem.swap import Swap
from layers.digest import Digest
from layers.entry import File
from layers.errors import EntryError, InputError
from layers.reader import Reader
from tests.oracle.fat import identity, said
from tests.support.disks import damaged
from tests.support.processes import as_nobody, public_folder
from tests.support.volumes import GIB, MIB, VOLUME, tree_of, write_volume

PAGE = 4096


@pytest.mark.parametrize(("size", "label"), [(10 * PAGE, ""), (MIB, "SWAP"), (GIB, "fifteen bytes a"), (MIB, "é")])
def test_it_is_to_the_byte_what_mkswap_writes(tmp_path: Path, size: int, label: str) -> None:
    volume = replace(VOLUME, label=label)
    path = write_volume(tmp_path / "swap", Swap(volume), [], size)
    theirs = tmp_path / "theirs"
    with open(theirs, "wb") as file:
        file.truncate(size)
    theirs.chmod(0o600)
    command: list[str | Path] = ["mkswap", "--pagesize", str(PAGE)]
    command += ["--uuid", str(volume.identifier("swap uuid")), "--label", label, theirs]
    subprocess.run(command, check=True, capture_output=True)
    assert path.stat().st_size == size
    assert path.stat().st_blocks <= 16
    with open(path, "rb") as ours, open(theirs, "rb") as other:
        assert ours.read(2 * PAGE) == other.read(2 * PAGE)


def test_label_and_uuid(tmp_path: Path) -> None:
    given = UUID("12345678-1234-5678-1234-567812345678")
    found = identity(write_volume(tmp_path / "swap", Swap(replace(VOLUME, label="SWAP", uuid=given)), [], MIB))
    assert (found["TYPE"], found["LABEL"], found["UUID"]) == ("swap", "SWAP", str(given))
    assert said("swaplabel", tmp_path / "swap") == f"LABEL: SWAP\nUUID:  {given}\n"


@pytest.mark.parametrize("size", [0, 10 * PAGE - 1])
def test_less_than_ten_pages_are_too_few(size: int) -> None:
    with Reader() as reader, pytest.raises(TooSmallError) as caught:
        Swap(VOLUME).prepare(tree_of([]), reader).plan(size)
    assert caught.value.needed == 10 * PAGE
    with Reader() as reader:
        assert Swap(VOLUME).prepare(tree_of([]), reader).minimum_size() == 10 * PAGE
        assert Swap(VOLUME).prepare(tree_of([]), reader).plan(11 * PAGE - 1).size == 10 * PAGE


def test_what_swap_cannot_have_is_refused() -> None:
    with Reader() as reader:
        with pytest.raises(EntryError, match="cannot hold files"):
            Swap(VOLUME).prepare(tree_of([File(b"a")]), reader)
        with pytest.raises(InputError, match="has 16 bytes, and swap room for 15"):
            Swap(replace(VOLUME, label="x" * 16)).prepare(tree_of([]), reader)
        with pytest.raises(InputError, match="at most 17592186044416 bytes"):
            Swap(VOLUME).prepare(tree_of([]), reader).plan(17592186044416 + PAGE)


def test_an_unprivileged_user_writes_the_same_bytes(tmp_path: Path) -> None:
    mine = write_volume(tmp_path / "swap", Swap(VOLUME), [], MIB).read_bytes()
    with public_folder(0o777) as folder:
        written = as_nobody(lambda: Digest.of(write_volume(folder / "swap", Swap(VOLUME), [], MIB).read_bytes()))
    assert written == str(Digest.of(mine))


@pytest.mark.parametrize("position", [1024, 1028, 1036, 1051, 1052, 4086, 4095])
def test_a_damaged_byte_is_noticed(tmp_path: Path, position: int) -> None:
    path = write_volume(tmp_path / "swap", Swap(VOLUME), [], MIB)

    def shown() -> str:
        return said("blkid", "-p", path) + said("swaplabel", path) + said("file", "-b", path)

    sound = shown()
    with damaged(path, position):
        assert shown() != sound
