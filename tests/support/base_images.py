"""Images that others are put on: made by umoci, which writes whiteouts, without ocipack."""

import hashlib
import os
import shutil
import stat
from pathlib import Path
from typing import Any

from tests.oracle.runtimes import output, skopeo_copy

#: How a container of the base is run, as arguments of `umoci config`.
CONFIGURATION = (
    *("--config.env", "PATH=/usr/bin", "--config.env", "COLOUR=red"),
    *("--config.entrypoint", "/usr/bin/sh", "--config.cmd", "-c", "--config.cmd", "echo base"),
    *("--config.workingdir", "/srv", "--config.label", "team=base", "--config.exposedports", "80/tcp"),
    *("--config.volume", "/data", "--config.stopsignal", "SIGQUIT"),
)


def base_layout(folder: Path) -> Path:
    """A layout of one image, `1`, whose upper layers change, hide and replace what the lowest one has.

    Args:
        folder: an existing one, in which it is made.
    """
    layout, bundle = folder / "base", folder / "bundle"
    output("umoci", "init", "--layout", layout)
    output("umoci", "new", "--image", f"{layout}:1")
    output("umoci", "unpack", "--image", f"{layout}:1", bundle)
    _lowest(bundle / "rootfs")
    output("umoci", "repack", "--refresh-bundle", "--image", f"{layout}:1", bundle)
    _changed(bundle / "rootfs")
    output("umoci", "repack", "--image", f"{layout}:1", bundle)
    shutil.rmtree(bundle)
    new = folder / "new"
    (new / "opaque/below").mkdir(parents=True)
    (new / "opaque/below/new").write_text("new\n")
    (new / "was-folder").write_text("a file by now\n")
    for name in ("opaque/.wh..wh..opq", ".wh.gone", "opaque/below/.wh.nothing"):
        (new / name).touch()
    output("tar", "-cf", folder / "new.tar", "-C", new, ".wh.gone", "opaque", "was-folder")
    output("umoci", "raw", "add-layer", "--image", f"{layout}:1", folder / "new.tar")
    output("umoci", "config", "--image", f"{layout}:1", *CONFIGURATION)
    output("umoci", "gc", "--layout", layout)
    return layout


def _lowest(root: Path) -> None:
    for name in ("usr/bin", "etc", "srv", "data", "gone/below", "opaque/old", "twins", "was-folder", "private"):
        (root / name).mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    shutil.copy("/bin/busybox", root / "usr/bin/busybox")
    for name in ("sh", "id", "cat", "ls"):
        os.link(root / "usr/bin/busybox", root / "usr/bin" / name)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nweb:x:33:33:web:/srv:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nweb:x:33:\n")
    (root / "etc/shells").write_text("/bin/sh\n")
    for name in ("gone/below/file", "opaque/old/file", "was-folder/file", "was-file", "etc/changed", "etc/removed"):
        (root / name).write_text(f"{name} of the lowest layer\n")
    for name in ("a", "b", "c"):
        (root / "twins/a").touch() if name == "a" else os.link(root / "twins/a", root / "twins" / name)
    (root / "twins/a").write_text("twins\n")
    os.chown(root / "private", 33, 33)
    os.chmod(root / "private", 0o750)
    shutil.copy("/bin/busybox", root / "private/su")
    os.chmod(root / "private/su", 0o4755)
    os.mkfifo(root / "private/pipe")
    os.mknod(root / "private/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.setxattr(root / "private/su", "user.note", b"kept")


def _changed(root: Path) -> None:
    (root / "etc/changed").write_text("changed\n")
    (root / "etc/removed").unlink()
    (root / "was-file").unlink()
    (root / "was-file").mkdir()
    (root / "was-file/inside").write_text("inside\n")
    (root / "twins/a").unlink()
    (root / "twins/a").write_text("alone\n")
    os.chmod(root / "private", 0o700)


def docker_archive(layout: Path, archive: Path, name: str = "base:1") -> Path:
    """The image of a layout in docker's archive format, which has no manifest."""
    skopeo_copy(f"oci:{layout}:1", f"docker-archive:{archive}:{name}")
    return archive


def seen(root: Path) -> dict[str, tuple[Any, ...]]:
    """What is below a folder: all but times, and with which names a file is shared."""
    found: dict[str, tuple[Any, ...]] = {}
    names: dict[int, list[str]] = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            status, shown = path.lstat(), str(path.relative_to(root))
            names.setdefault(status.st_ino, []).append(shown)
            content: Any = os.readlink(path) if path.is_symlink() else ""
            if stat.S_ISREG(status.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            xattrs = (
                ()
                if path.is_symlink()
                else tuple(
                    (key, os.getxattr(path, key))
                    for key in sorted(os.listxattr(path))
                    if not key.startswith("security.")
                )
            )
            found[shown] = (status.st_mode, status.st_uid, status.st_gid, status.st_rdev, content, xattrs)
    shared = {name: tuple(sorted(same)) for same in names.values() for name in same}
    return {name: (*facts, shared[name]) for name, facts in sorted(found.items())}
