"""Features of ext2, ext3 and ext4: bits in the superblock that say how the rest is to be read.

The names are those of `mke2fs -O` and ext4(5); the bits are in the kernel's documentation, filesystems/ext4/super.rst.
One writer makes all of them: ext2 is ext4 without most of its features. The GNU Hurd has an ext2 of its own: two fields
of inodes mean something else, and entries of directories do not say what they name.
"""

from dataclasses import dataclass, replace
from enum import Enum, auto

from layers.errors import InputError


class Word(Enum):
    """What a reader that does not know a feature may still do."""

    COMPATIBLE = auto()  # all
    INCOMPATIBLE = auto()  # nothing
    READ_ONLY = auto()  # read


class Feature(Enum):
    """A feature that this writer can turn on: the word of the superblock that it stands in, and its bit."""

    HAS_JOURNAL = (Word.COMPATIBLE, 0x0004)
    EXT_ATTR = (Word.COMPATIBLE, 0x0008)
    RESIZE_INODE = (Word.COMPATIBLE, 0x0010)
    DIR_INDEX = (Word.COMPATIBLE, 0x0020)
    FILETYPE = (Word.INCOMPATIBLE, 0x0002)
    EXTENT = (Word.INCOMPATIBLE, 0x0040)
    WIDE = (Word.INCOMPATIBLE, 0x0080)
    FLEX_BG = (Word.INCOMPATIBLE, 0x0200)
    SPARSE_SUPER = (Word.READ_ONLY, 0x0001)
    LARGE_FILE = (Word.READ_ONLY, 0x0002)
    HUGE_FILE = (Word.READ_ONLY, 0x0008)
    UNINIT_BG = (Word.READ_ONLY, 0x0010)
    DIR_NLINK = (Word.READ_ONLY, 0x0020)
    EXTRA_ISIZE = (Word.READ_ONLY, 0x0040)
    METADATA_CSUM = (Word.READ_ONLY, 0x0400)

    @property
    def title(self) -> str:
        """As ext4(5) has it."""
        return "64bit" if self is Feature.WIDE else self.name.lower()


_TITLES = {feature.title: feature for feature in Feature}

#: Without these a volume is of another century, and nothing here makes it.
_ALWAYS = frozenset({Feature.FILETYPE, Feature.SPARSE_SUPER, Feature.LARGE_FILE})

#: All that the Hurd's ext2fs understands and mke2fs gives it (`mke2fs -o hurd`).
_HURDS = frozenset(
    {Feature.EXT_ATTR, Feature.RESIZE_INODE, Feature.DIR_INDEX, Feature.SPARSE_SUPER, Feature.LARGE_FILE}
)

_HURD_INODE = 128

_NEEDS = {
    Feature.WIDE: (Feature.EXTENT, "block numbers of more than 32 bits stand in extents only"),
    Feature.HUGE_FILE: (Feature.EXTENT, "a file of such a size has extents"),
}


@dataclass(frozen=True, slots=True)
class Features:
    """What a volume has.

    Attributes:
        enabled: its features.
        inode_size: bytes of an inode: 128, as ext2 had it, or 256.
        hurd: whether it is the GNU Hurd's, and not Linux's: what operating system made it, as the superblock says.
    """

    enabled: frozenset[Feature]
    inode_size: int = 256
    hurd: bool = False

    def __contains__(self, feature: Feature) -> bool:
        return feature in self.enabled

    def word(self, word: Word) -> int:
        """The bits of one word of the superblock."""
        return sum(bit for place, bit in (feature.value for feature in self.enabled) if place is word)

    def changed(self, text: str) -> "Features":
        """With some turned on or off.

        Args:
            text: as `mke2fs -O` takes it: `^metadata_csum,^64bit`.

        Raises:
            InputError: no such feature, or one that the others do not allow.
        """
        enabled = set(self.enabled)
        for name in filter(None, (part.strip() for part in text.split(","))):
            feature = _TITLES.get(name.lstrip("^"))
            if feature is None:
                raise InputError(f"{name}: no such feature of ext4", hint=f"There are {', '.join(sorted(_TITLES))}.")
            if name.startswith("^"):
                enabled.discard(feature)
            else:
                enabled.add(feature)
        return replace(self, enabled=frozenset(enabled)).checked()

    def without(self, feature: Feature) -> "Features":
        """All of them but one."""
        return replace(self, enabled=self.enabled - {feature})

    def checked(self) -> "Features":
        """The features, if they go together.

        Raises:
            InputError: they do not.
        """
        always = _ALWAYS & _HURDS if self.hurd else _ALWAYS
        for feature in sorted(always - self.enabled, key=lambda feature: feature.title):
            raise InputError(f"ext4 cannot be made without {feature.title}")
        for feature in sorted(self.enabled - _HURDS, key=lambda feature: feature.title):
            if self.hurd:
                raise InputError(f"the Hurd's ext2 does not have the feature {feature.title}")
        for feature, (needed, reason) in _NEEDS.items():
            if feature in self.enabled and needed not in self.enabled:
                raise InputError(f"the feature {feature.title} needs {needed.title}: {reason}")
        if {Feature.UNINIT_BG, Feature.METADATA_CSUM} <= self.enabled:
            raise InputError("the features uninit_bg and metadata_csum exclude each other")
        if self.inode_size not in (128, 256):
            raise InputError(f"inodes have 128 or 256 bytes, not {self.inode_size}")
        if self.hurd and self.inode_size != _HURD_INODE:
            raise InputError(f"inodes of the Hurd's ext2 have {_HURD_INODE} bytes, not {self.inode_size}")
        return self


#: As mke2fs makes ext2, but with inodes that hold times after 2038.
EXT2 = Features(_ALWAYS | {Feature.EXT_ATTR, Feature.RESIZE_INODE, Feature.DIR_INDEX})

#: As `mke2fs -t ext2 -o hurd -O ext_attr` makes it: the attributes are where the Hurd keeps its passive translators.
EXT2_HURD = Features(_HURDS, inode_size=_HURD_INODE, hurd=True)

EXT3 = replace(EXT2, enabled=EXT2.enabled | {Feature.HAS_JOURNAL})

#: As mke2fs makes ext4: `features` of ext4 in mke2fs.conf(5), without two that e2fsprogs have added to them in 1.47:
#: `orphan_file`, which no e2fsck before lets pass, and images are checked by their own; and `metadata_csum_seed`, which
#: is for changing the UUID of a mounted volume.
EXT4 = replace(
    EXT3,
    enabled=EXT3.enabled
    | {
        Feature.EXTENT, Feature.WIDE, Feature.FLEX_BG,
        Feature.HUGE_FILE, Feature.DIR_NLINK, Feature.EXTRA_ISIZE, Feature.METADATA_CSUM,
    },
)  # fmt: skip
