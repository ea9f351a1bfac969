"""Places of partitions, and what is refused in any table."""

from types import ModuleType

import pytest

from formats.partition import Disk, Partition, Wanted, gpt, mbr, place
from formats.partition.types import ESP, LINUX
from layers.errors import InputError
from tests.support.disks import IDENTITY
from tests.support.volumes import MIB


@pytest.mark.parametrize(
    ("wanted", "starts"),
    [
        ([Wanted("a", 40 * MIB), Wanted("b", 5)], [MIB, 41 * MIB]),
        ([Wanted("a", MIB + 1), Wanted("b", 5)], [MIB, 3 * MIB]),
        ([Wanted("a", MIB, 9 * MIB), Wanted("b", 5)], [9 * MIB, 10 * MIB]),
        ([Wanted("bios", 2014 * 512, 34 * 512), Wanted("b", 5)], [34 * 512, MIB]),
        ([Wanted("a", MIB, 24 * 512 + 9 * MIB), Wanted("b", 5)], [24 * 512 + 9 * MIB, 11 * MIB]),
    ],
)
def test_partitions_find_places_at_whole_mebibytes(wanted: list[Wanted], starts: list[int]) -> None:
    assert place(wanted) == starts


def test_partitions_that_overlap_are_named() -> None:
    wanted = [Wanted("big", 9 * MIB, MIB), Wanted("one", MIB, 2 * MIB), Wanted("two", MIB, 5 * MIB), Wanted("ok", 1)]
    with pytest.raises(InputError) as caught:
        place(wanted)
    for other in ("one", "two"):
        assert f"the partitions 'big' and '{other}' overlap by 1048576 bytes" in str(caught.value)


A = Partition("a", MIB, MIB, LINUX)


@pytest.mark.parametrize("table", [mbr, gpt])
@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Partition("b", 2 * MIB - 512, MIB, ESP), "the partitions 'a' and 'b' overlap by 512 bytes"),
        (Partition("b", 2 * MIB + 1, MIB, ESP), "the partition 'b' does not begin and end at multiples of 512 bytes"),
        (Partition("b", 2 * MIB, 513, ESP), "the partition 'b' does not begin and end at multiples of 512 bytes"),
        (Partition("b", 2 * MIB, 0, ESP), "the partition 'b' is empty"),
        (Partition("b", 0, 512, ESP), "the partition 'b' begins at 0, and the table ends at"),
        (Partition("b", 4 * MIB, 4 * MIB + 512, ESP), "the partition 'b' ends"),
    ],
)  # fmt: skip
def test_what_no_table_can_say_is_refused(table: ModuleType, other: Partition, message: str) -> None:
    with pytest.raises(InputError) as caught:
        list(table.pieces(Disk(IDENTITY, 8 * MIB, (A, other))))
    assert message in str(caught.value)
