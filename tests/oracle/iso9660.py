"""ISO 9660 as others read it: xorriso, libarchive's tar, genisoimage's isoinfo, blkid and GRUB."""

import re
import subprocess
from pathlib import Path

from tests.oracle.ext4 import run


def is_sound(volume: Path) -> bool:
    """Whether all checksums in a volume are right: of all of it, of its directories, and of each file."""
    command = ["xorriso", "-return_with", "SORRY", "32", "-md5", "on", "-indev", str(volume)]  # it warns of boot images
    checks = ["-check_media", "--", "-check_md5_r", "sorry", "/", "--"]
    done = subprocess.run([*command, *checks], capture_output=True, check=False)
    said = done.stdout + done.stderr
    return done.returncode == 0 and b"md5_match" in said and b"mismatch" not in said


def extracted_by_xorriso(volume: Path, folder: Path) -> Path:
    """The volume's tree in a folder, with owners, links and attributes."""
    options = ["-osirrox", "device_files:sort_lba_on:o_excl_off", "-hardlinks", "on", "-acl", "on", "-xattr", "any"]
    command = ["xorriso", "-abort_on", "NEVER", "-return_with", "WARNING", "32", *options, "-indev", str(volume)]
    run(*command, "-extract", "/", folder)
    return folder


def extracted_by_tar(volume: Path, folder: Path) -> Path:
    """The same by libarchive, which does not know of extended attributes in such volumes."""
    folder.mkdir()
    run("timeout", "60", "bsdtar", "--numeric-owner", "-xpf", volume, "-C", folder)
    return folder


def paths_by_isoinfo(volume: Path) -> bytes:
    """All paths, as isoinfo lists them by their Rock Ridge names."""
    return subprocess.run(["isoinfo", "-R", "-f", "-i", volume], capture_output=True, check=True).stdout


def identifiers(volume: Path) -> list[str]:
    """All paths, as a system without Rock Ridge sees them."""
    return run("isoinfo", "-f", "-i", volume).split()


def header(volume: Path) -> dict[str, str]:
    """The primary volume descriptor, as isoinfo shows it."""
    return dict(re.findall(r"^([^:\n]+): ?(.*)$", run("isoinfo", "-d", "-i", volume), re.MULTILINE))


def identity(volume: Path) -> dict[str, str]:
    """What blkid says of it."""
    return dict(re.findall(r'([A-Z_]+)="([^"]*)"', run("blkid", "-p", volume)))


def by_grub(volume: Path, path: str) -> bytes:
    """The content of a file, as GRUB reads it."""
    return subprocess.run(["grub-fstest", volume, "cat", path], capture_output=True, check=True).stdout
