from pathlib import Path
from uuid import UUID

import pytest

from formats.filesystem.ext4 import name_hash
from formats.filesystem.ext4.name_hash import half_md4
from tests.oracle.ext4 import debugfs
from tests.support.volumes import MIB, write_ext4

SEED = UUID("12345678-1234-5678-9abc-def012345678")
NAMES = [b"a", b"ab", b"abc", b"abcd", b"abcde", b"x" * 31, b"x" * 32, b"x" * 33, b"y" * 63, b"y" * 64, b"y" * 255]


def test_the_hashes_are_those_of_e2fsprogs(tmp_path: Path) -> None:
    volume = write_ext4(tmp_path / "volume", [], MIB)
    for name, (first, second) in zip(NAMES, half_md4(NAMES, SEED.bytes), strict=True):
        said = debugfs(volume, f"dx_hash -h half_md4 -s {SEED} {name.decode()}")
        assert said == f"Hash of {name.decode()} is {first:#x} (minor {second:#x})\n"


def test_names_do_not_disturb_each_other() -> None:
    names = [b"%d" % number * (1 + number % 40) for number in range(500)]
    assert half_md4(names, SEED.bytes) == [half_md4([name], SEED.bytes)[0] for name in names]
    assert half_md4([], SEED.bytes) == []


@pytest.mark.parametrize(("value", "stored"), [(5, 4), (0xFFFFFFFF, 0xFFFFFFFC), (0xFFFFFFFE, 0xFFFFFFFC)])
def test_the_hash_that_ends_a_directory_is_no_names(value: int, stored: int) -> None:
    assert name_hash._without_end(value) == stored
