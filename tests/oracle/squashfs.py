"""squashfs as others read and write it: squashfs-tools."""

import re
from pathlib import Path

from tests.oracle.ext4 import run


def extracted(image: Path, folder: Path) -> Path:
    """The image's tree in a folder, with owners, links and attributes."""
    run("unsquashfs", "-no-progress", "-quiet", "-strict-errors", "-xattrs", "-d", folder, image)
    return folder


def listed(image: Path) -> int:
    """How many objects unsquashfs lists, the root among them."""
    said = run("unsquashfs", "-no-progress", "-lln", "-UTC", image)
    return len(re.findall(r"^\S{10} \d+/\d+ .* squashfs-root(?:/|$)", said, re.MULTILINE))


def facts(image: Path) -> dict[str, str]:
    """The superblock, as unsquashfs shows it."""
    said = run("unsquashfs", "-s", "-UTC", image)
    lines = re.findall(
        r"^(Creation or last append time|Compression|Block size|Number of [\w ]+) (.*)$", said, re.MULTILINE
    )
    return dict(lines)


def made(tree: Path, image: Path, *options: str) -> Path:
    """What mksquashfs makes of a folder."""
    run("mksquashfs", tree, image, "-no-progress", "-quiet", "-noappend", *options)
    return image
