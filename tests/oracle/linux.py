"""Linux in QEMU: it mounts volumes, for hosts whose kernel does not know their file system.

The kernel is the one of Debian's cloud images, unpacked from its package; busybox is all that runs on it.
"""

import lzma
import re
import stat
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.oracle.ext4 import Seen, run

_PATIENCE = 300  # seconds
_MODULES = (
    "virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk", "cdrom",
    "isofs", "squashfs",
)  # fmt: skip
_INIT = """#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install /bin
mount -t devtmpfs none /dev
for module in {modules}; do insmod /modules/$module.ko; done
{script}
tar -C /answers -cf /dev/vda .
poweroff -f
"""
_LOOK = """
mount -t {kind} -o ro /dev/{device} /mnt && cd /mnt
find . >/answers/{name}.names
find . {which} -print0 | xargs -0 stat -c '%f %u %g %h %s %t %T %X %Y %Z %N' >/answers/{name}.stat
find . {which} -type f -size -131072 -print0 | xargs -0 sha256sum >/answers/{name}.sums
({more}) >/answers/{name}.more
cd / && umount /mnt
"""
_MOST_ANSWERS = 64 << 20  # bytes
_STATUS = re.compile(
    rb"^([0-9a-f]{4}) (\d+) (\d+) (\d+) (\d+) ([0-9a-f]+) ([0-9a-f]+) (\d+) (\d+) (\d+) (?='?\.)", re.MULTILINE
)
_SUM = re.compile(rb"^([0-9a-f]{64})  (?=\./)", re.MULTILINE)


@dataclass(frozen=True)
class Volume:
    """What Linux looks at.

    Attributes:
        path: of the volume.
        which: for `find`: of which files all is told, not the name alone.
        more: what else to do in it; its output is an answer, too.
        kind: of its file system.
    """

    path: Path
    which: str = ""
    more: str = "true"
    kind: str = "iso9660"


@dataclass(frozen=True)
class Linux:
    """A kernel, and the modules that it needs for looking at volumes.

    Attributes:
        kernel: its file.
        initrd: a folder for the first file system.
    """

    kernel: Path
    initrd: Path

    def look_at(self, volumes: Mapping[str, Volume], folder: Path) -> dict[str, bytes]:
        """Mount volumes and look at everything in them.

        Args:
            volumes: by name.
            folder: for files.

        Returns:
            Answers: `<name>.names`, `<name>.stat`, `<name>.sums`, `<name>.more`.
        """
        looks = [
            _LOOK.format(
                device=f"vd{chr(ord('b') + number)}", name=name, which=volume.which, more=volume.more, kind=volume.kind
            )
            for number, (name, volume) in enumerate(volumes.items())
        ]
        init = self.initrd / "init"
        there = [name for name in _MODULES if (self.initrd / f"modules/{name}.ko").exists()]  # others are built in
        init.write_text(_INIT.format(modules=" ".join(there), script="".join(looks)))
        init.chmod(0o755)
        initrd, answers = folder / "initrd", folder / "answers"
        run("bsdtar", "--format=newc", "-cf", initrd, "-C", self.initrd, ".")
        with open(answers, "wb") as file:
            file.truncate(_MOST_ANSWERS)
        drives = [
            option
            for path, mode in [(answers, "off"), *((volume.path, "on") for volume in volumes.values())]
            for option in ("-drive", f"file={path},format=raw,if=virtio,read-only={mode}")
        ]
        self._boot("-initrd", str(initrd), *drives)
        run("bsdtar", "-xf", answers, "-C", folder)
        return {
            path.name: path.read_bytes()
            for suffix in ("names", "stat", "sums", "more")
            for path in folder.glob(f"*.{suffix}")
        }

    def _boot(self, *options: str) -> None:
        machine = ["qemu-system-x86_64", "-accel", "tcg", "-m", "512", "-nodefaults", "-display", "none", "-no-reboot"]
        console = ["-serial", "stdio", "-append", "console=ttyS0 quiet panic=-1"]
        done = subprocess.run(
            [*machine, "-kernel", str(self.kernel), *console, *options],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")


def unpacked_linux(folder: Path) -> Linux:
    """The kernel of Debian's cloud images, from its package."""
    depends = run("apt-cache", "depends", "linux-image-cloud-amd64")
    (package,) = re.findall(r"Depends: (linux-image-\S+)", depends)[:1]
    subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True, capture_output=True)
    (deb,) = folder.glob("*.deb")
    run("dpkg-deb", "-x", deb, folder / "package")
    (kernel,) = (folder / "package/boot").glob("vmlinuz-*")
    initrd = folder / "initrd-root"
    for name in ("bin", "dev", "mnt", "answers", "modules"):
        (initrd / name).mkdir(parents=True)
    (initrd / "bin/busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (initrd / "bin/busybox").chmod(0o755)
    for name in _MODULES:
        for module in (folder / "package").rglob(f"{name}.ko*"):
            unpack = lzma.decompress if module.suffix == ".xz" else bytes
            (initrd / f"modules/{name}.ko").write_bytes(unpack(module.read_bytes()))
    return Linux(kernel, initrd)


def seen(answers: Mapping[str, bytes], name: str) -> dict[bytes, Seen]:
    """What Linux has seen of a volume, but for extended attributes."""
    sums = {path[2:]: bytes.fromhex(found[1].decode()) for found, path in _records(_SUM, answers[f"{name}.sums"])}
    statuses = dict(_status(found, shown, sums) for found, shown in _records(_STATUS, answers[f"{name}.stat"]))
    statuses.pop(b"", None)
    return statuses


def _records(pattern: re.Pattern[bytes], text: bytes) -> Iterator[tuple[re.Match[bytes], bytes]]:
    """Lines that begin so, with what comes after; names may have ends of lines in them."""
    found = list(pattern.finditer(text))
    ends = [*(one.start() for one in found[1:]), len(text)]
    for one, end in zip(found, ends, strict=False):
        yield one, text[one.end() : end - 1]


def _status(found: re.Match[bytes], shown: bytes, sums: Mapping[bytes, bytes]) -> tuple[bytes, Seen]:
    mode, major, minor = (int(found[number], 16) for number in (1, 6, 7))
    uid, gid, links, size, *times = (int(found[number]) for number in (2, 3, 4, 5, 8, 9, 10))
    path, target = shown, b""
    if stat.S_ISLNK(mode):
        path, target = shown[1:-1].split(b"' -> '")
    path, is_file = path[2:], stat.S_ISREG(mode)
    content = sums.get(path, b"") if is_file else target
    links, size = (links, size) if is_file else (0, 0)
    access, modify, change = map(float, times)
    return path, Seen(mode, (uid, gid), links, size, content, (major, minor), (), (access, modify, change))
