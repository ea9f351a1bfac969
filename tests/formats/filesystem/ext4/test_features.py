from pathlib import Path

import pytest

from formats.filesystem.ext4.features import EXT2, EXT3, EXT4, Feature, Features
from layers.errors import InputError
from tests.oracle.ext4 import header, run
from tests.support.volumes import MIB, write_ext4

ALONE = [
    feature
    for feature in Feature
    if feature not in (Feature.FILETYPE, Feature.SPARSE_SUPER, Feature.LARGE_FILE, Feature.EXTENT, Feature.UNINIT_BG)
]


@pytest.mark.parametrize("feature", ALONE)
def test_e2fsprogs_know_a_feature_by_the_same_name(tmp_path: Path, feature: Feature) -> None:
    volume = write_ext4(tmp_path / "volume", [], 64 * MIB, EXT4.changed(f"^{feature.title}"))
    assert set(header(volume)["Filesystem features"].split()) == {each.title for each in EXT4.enabled - {feature}}


#: What e2fsprogs give to ext4 since 1.47, unless a distribution has told them not to, as Debian 12 has.
LATER = ("metadata_csum_seed", "orphan_file")


@pytest.mark.parametrize(("kind", "features"), [("ext2", EXT2), ("ext3", EXT3), ("ext4", EXT4)])
def test_the_features_are_those_of_mke2fs(tmp_path: Path, kind: str, features: Features) -> None:
    (tmp_path / "theirs").write_bytes(b"")
    run("mke2fs", "-q", "-F", "-t", kind, "-O", f"^{',^'.join(LATER)}", tmp_path / "theirs", "1G")
    assert (
        header(tmp_path / "theirs")["Filesystem features"]
        == (header(write_ext4(tmp_path / "ours", [], 1 << 30, features))["Filesystem features"])
    )


@pytest.mark.parametrize(
    ("text", "off", "on"),
    [
        ("", set(), set()),
        ("^metadata_csum,^64bit", {Feature.METADATA_CSUM, Feature.WIDE}, set()),
        (" ^metadata_csum , uninit_bg", {Feature.METADATA_CSUM}, {Feature.UNINIT_BG}),
        ("extent", set(), set()),
    ],
)
def test_features_are_changed_as_with_mke2fs(text: str, off: set[Feature], on: set[Feature]) -> None:
    assert EXT4.changed(text).enabled == (EXT4.enabled - off) | on


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("^metadata_csums", "no such feature"),
        ("bigalloc", "bigalloc: no such feature of ext4\n  There are 64bit, dir_index"),
        ("^filetype", "cannot be made without filetype"),
        ("^extent", "the feature 64bit needs extent"),
        ("uninit_bg", "exclude each other"),
    ],
)
def test_what_does_not_go_together_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        EXT4.changed(text)


def test_inodes_have_one_of_two_sizes() -> None:
    with pytest.raises(InputError, match="128 or 256 bytes, not 512"):
        Features(EXT4.enabled, 512).checked()
