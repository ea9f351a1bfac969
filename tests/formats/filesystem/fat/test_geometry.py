"""How volumes are divided, around the sizes where something becomes one more."""

from pathlib import Path

import pytest

from formats.filesystem.fat import Fat
from formats.filesystem.fat.geometry import SECTOR, Shape
from tests.oracle.fat import clusters, complaints, kind
from tests.support.volumes import VOLUME, write_volume


@pytest.mark.parametrize("bits", [12, 16, 32])
@pytest.mark.parametrize("cluster", [1, 4, 64])
def test_a_volume_has_the_clusters_that_it_is_made_for(bits: int, cluster: int) -> None:
    shape = Shape(bits, cluster, 0)
    first = {12: 1, 16: 4087, 32: 65529}[bits]
    for count in range(first, first + 1500):
        assert shape.clusters(shape.sectors(count)) == count
        assert shape.clusters(shape.sectors(count) - 1) == (count - 1 if count > first else 0)
        room = shape.fat_sectors(count) * SECTOR * 8 // bits
        assert room >= count + 2
        assert room - cluster * SECTOR * 8 // bits <= count + 2


@pytest.mark.parametrize(
    ("bits", "count"),
    [
        (12, 1), (12, 339), (12, 340), (12, 4084), (16, 4087), (16, 4350), (16, 4351), (16, 65524),
        (32, 65529), (32, 65534), (32, 65535), (32, 65662), (32, 65663),
    ],
)  # fmt: skip
def test_a_fat_is_as_long_as_others_want_it(tmp_path: Path, bits: int, count: int) -> None:
    size = Shape(bits, 1, 0).sectors(count) * SECTOR
    volume = write_volume(tmp_path / "volume", Fat(VOLUME, bits, SECTOR), [], size)
    assert complaints(volume) == ""
    assert clusters(volume)[1] == count
    assert kind(volume) == (bits, SECTOR)
