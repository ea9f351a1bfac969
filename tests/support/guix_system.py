"""A system of Guix that boots: items with Debian's kernel, GRUB's modules, an initrd, and what boots of our own."""

from importlib import resources
from pathlib import Path

from formats.system import System
from layers.entry import PROGRAM, Data, Directory, Entry, File, Meta, Symlink
from layers.item import NarItem
from layers.reader import Reader
from packer.boot.cpio import archive
from tests.support.guix_store import folder_item, write_store
from tests.support.small_debian import boot_files, init, produced

_FOLDER, _FILE, _PROGRAM = Meta(0o555), Meta(0o444), Meta(0o555)

BUSYBOX, LINUX, INITRD, GRUB, SYSTEM = (
    f"/gnu/store/{digit * 32}-{name}"
    for digit, name in zip("01234", ("busybox-1.35", "linux-libre-6.1", "initrd", "grub-2.06", "system"), strict=True)
)

_PARAMETERS = f"""\
(boot-parameters (version 0) (label "GNU with Linux-Libre 6.1") (root-device (file-system-label "Guix_image"))
 (kernel "{LINUX}/bzImage") (kernel-arguments ("quiet" "console=ttyS0"))
 (initrd "{INITRD}/initrd.cpio") (bootloader-name grub) (bootloader-menu-entries ()) (locale "en_US.utf8")
 (multiboot-modules ()) (store (device (file-system-label "Guix_image")) (mount-point "/") (directory-prefix #f)
 (crypto-devices ())))
"""

#: What Guix's initrd does in place of what ours does: it knows a UUID by its looks, and what to load; and it mounts a
#: store that is on another disk.
_AS_GUIX = {
    "/dev/disk/by-uuid/*) root=UUID=${root##*/} ;;": "????????-????-*) root=UUID=$root ;;",
    "init=*) init=$value ;;": "gnu.load=*) init=$value ;;",
    "mount_root\nstart": "mount_root\n[ ! -b /dev/vdb ] || mount -t ext4 -o ro /dev/vdb /root/gnu/store\nstart",
}

_DECLARATION = """\
name = "small"
platform = "x86_64-linux"
[store]
type = "guix"
root = "{root}"
roots = ["{top}"]
"""


def guix_items(debian: System, firmware: str = "i386-pc") -> list[NarItem]:
    """The items, each after those that it needs.

    Args:
        debian: a system with a kernel and its modules, busybox, and GRUB.
        firmware: for which GRUB is, as that calls it.
    """
    files = boot_files(debian)
    script = init(f"#!{BUSYBOX}/bin/busybox sh", f"b={BUSYBOX}/bin/busybox")
    folder = f"lib/grub/{firmware}"
    grub = [_file(f"lib/grub/{path}", files.grub[path]) for path in sorted(files.grub) if path.startswith(firmware)]
    return [
        folder_item(BUSYBOX, _folder("bin"), _file("bin/busybox", files.busybox, _PROGRAM)),
        folder_item(LINUX, _file("bzImage", files.kernel)),
        folder_item(INITRD, _file("initrd.cpio", files.initrd + _init())),
        folder_item(GRUB, *map(_folder, ("lib", "lib/grub", folder)), *grub),
        folder_item(
            SYSTEM,
            _file("boot", script.encode(), _PROGRAM),
            Symlink(b"initrd", f"{INITRD}/initrd.cpio".encode()),
            Symlink(b"kernel", LINUX.encode()),
            _file("parameters", _PARAMETERS.encode()),
            Symlink(b"profile", GRUB.encode()),
            references=[BUSYBOX, GRUB, INITRD, LINUX],
            deriver=f"{SYSTEM}.drv",
        ),
    ]


def _init() -> bytes:
    """An archive with another init, which the kernel unpacks over that of the initrd."""
    script = resources.files("packer.boot").joinpath("init.sh").read_text()
    for ours, theirs in _AS_GUIX.items():
        assert ours in script
        script = script.replace(ours, theirs)
    with Reader() as reader:
        return b"".join(archive([File(b"init", Data(script.encode()), PROGRAM)], reader, 1))


def _folder(path: str) -> Entry:
    return Directory(path.encode(), _FOLDER)


def _file(path: str, content: bytes, meta: Meta = _FILE) -> Entry:
    return File(path.encode(), Data(content), meta)


def guix_system(folder: Path, items: list[NarItem]) -> System:
    """Assemble it from a store with these items."""
    write_store(folder / "root", items)
    return produced(_DECLARATION.format(root=folder / "root", top=SYSTEM), folder)
