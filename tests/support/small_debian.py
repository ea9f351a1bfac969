"""A small system of Debian's packages that boots: a kernel, busybox, boot loaders, and an init that tells of itself."""

import os
from dataclasses import dataclass
from pathlib import Path

from formats.system import System
from layers.entry import File
from layers.progress import NoProgress
from layers.reader import Reader
from layers.tree import Tree
from packer.boot.initrd import initrd
from packer.boot.modules import read_modules
from packer.build import Settings, produce
from packer.config import parse

#: What the init prints before all else, and after it.
MARKER, END = "the system has started", "the system ends"

_PACKAGES = (
    "busybox-static", "e2fsprogs", "grub-efi-amd64-bin", "grub-efi-ia32-bin", "grub-pc-bin", "linux-image-cloud-amd64",
    "systemd-boot-efi",
)  # fmt: skip

# Counts its starts in a file of the root, as far as that can be written to.
# On other disks, file systems are mounted and grown.
_INIT = f"""\
$b mount -o remount,rw / 2>/dev/null
echo x >>/starts
$b sync
echo "{MARKER}"
echo "arguments: $($b cat /proc/cmdline)"
echo "root: $($b awk '$2 == "/" {{ kind = $3 }} END {{ print kind }}' /proc/mounts)"
echo "starts: $($b wc -l </starts)"
efi=/sys/firmware/efi
echo "firmware: $([ -d $efi ] && echo UEFI $($b cat $efi/fw_platform_size) || echo BIOS)"
echo "checked: $([ -e /run/initramfs/fsck-root ] && echo yes || echo no)"
echo "driver: $($b modprobe virtio_net && echo loaded)"
for disk in vdb vdc vdd vde vdf; do
    [ -b /dev/$disk ] || break
    $b mkdir -p /mnt
    $b mount -t ext4 /dev/$disk /mnt
    resize2fs /dev/$disk
    echo "$disk: $($b sha256sum /mnt/file)"
    echo more >/mnt/more
    $b umount /mnt
done
"""


def init(*before: str, more: str = "") -> str:
    """A script that tells of the system and powers it off, with `$b` for busybox.

    Args:
        before: its first lines.
        more: lines that tell more.
    """
    return "".join(f"{line}\n" for line in before) + _INIT + more + f'echo "{END}"\n$b poweroff -f\n'


_DECLARATION = f"""\
name = "small"
platform = "x86_64-linux"
[store]
type = "debian"
essential = false
packages = {list(_PACKAGES)!r}
[os]
kernel-arguments = ["console=ttyS0", "quiet"]
files = [{{ target = "/usr/sbin/init", text = '''{init("#!/bin/busybox sh", "b=/bin/busybox")}''', mode = "0755" }}]
"""


def small_debian(folder: Path) -> System:
    """Assemble it; packages come from the host's sources."""
    return produced(_DECLARATION, folder)


def produced(declaration: str, folder: Path) -> System:
    """The system that an os.toml declares."""
    settings = Settings(
        folder=str(folder),
        cache=str(folder / "cache"),
        epoch=1_000_000_000,
        jobs=2,
        refresh=False,
        verify=True,
        environment={"PATH": os.environ["PATH"]},
        progress=NoProgress(),
    )
    (production,) = produce(parse(declaration, "os.toml"), settings)
    return production.system


@dataclass(frozen=True, slots=True)
class BootFiles:
    """What a system of another store starts with.

    Attributes:
        kernel, initrd, busybox, systemd_boot: contents of files.
        grub: those of GRUB without a program that could be copied, by their paths below `lib/grub`.
    """

    kernel: bytes
    initrd: bytes
    busybox: bytes
    systemd_boot: bytes
    grub: dict[str, bytes]


def grub_files(tree: Tree) -> list[File]:
    """GRUB's modules, kernels and lists, as a package has them that is no Debian's."""
    below = (entry for entry in tree.below(b"usr/lib/grub") if isinstance(entry, File))
    return [entry for entry in below if b"/monolithic/" not in entry.path]


def boot_files(debian: System) -> BootFiles:
    """Files of the small system, and an initrd for a root of ext4."""
    tree = debian.tree
    (kernel,) = (entry for entry in tree.below(b"boot") if b"vmlinuz-" in entry.path)
    with Reader() as reader:

        def content(path: bytes) -> bytes:
            entry = tree.follow(path)
            assert isinstance(entry, File)
            return reader.read(entry.content)

        modules = read_modules(tree, kernel.path.partition(b"-")[2].decode(), reader)
        return BootFiles(
            kernel=content(kernel.path),
            initrd=initrd(modules, tree, reader, file_system="ext4", volatile=False, epoch=1),
            busybox=content(b"usr/bin/busybox"),
            systemd_boot=content(b"usr/lib/systemd/boot/efi/systemd-bootx64.efi"),
            grub={
                entry.path.removeprefix(b"usr/lib/grub/").decode(): content(entry.path) for entry in grub_files(tree)
            },
        )
