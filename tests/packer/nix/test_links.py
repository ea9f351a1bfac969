"""Links below a root: chroot(1) and readlink(1) are the oracle."""

import os
import subprocess
from pathlib import Path

import pytest

from packer.nix.layout import NIX
from packer.nix.links import LinkError, Root
from tests.support.processes import needs_root

ITEM = "/nix/store/00000000000000000000000000000000-item"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with busybox, files and links of all kinds."""
    folder = tmp_path / "root"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "file").write_text("")
    (folder / "bin").mkdir()
    (folder / "bin" / "busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (folder / "bin" / "busybox").chmod(0o755)
    (tmp_path / "outside").mkdir()
    for name, target in {
        "absolute": "/a/b/file", "relative": "a/b/file", "folder": "/a", "twice": "folder/b", "up": "../../../a",
        "a/up": "..", "a/b/absolute": "/a/b/file",
        "a/b/far": "../../../../a/./b//file", "slash": "/a/b/", "root": "/", "circle": "circle2",
        "circle2": "circle", "itself": "itself", "dangling": "a/missing", "out": str(tmp_path / "outside"),
        "through": "a/b/file/x", "host": "/etc/hostname",
    }.items():  # fmt: skip
        (folder / name).symlink_to(target)
    return folder


PATHS = [
    "/", "/a", "/a/b/file", "//a///b/", "/a/./b", "/a/../a/b", "/../../a", "/absolute", "/relative", "/folder/b/file",
    "/twice", "/twice/file", "/up/b", "/a/up/a/b", "/a/b/far", "/slash/file", "/root/root/a", "/folder/../a",
    "/twice/..", "/folder/up", "/a/b/absolute",
]  # fmt: skip


@needs_root
@pytest.mark.parametrize("path", PATHS)
def test_where_paths_lead(root: Path, path: str) -> None:
    command: list[str | Path] = ["chroot", root, "/bin/busybox", "readlink", "-f", path]
    expected = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    assert Root(str(root)).resolve(path) == expected


@pytest.mark.parametrize(
    "path",
    ["/missing", "/missing/..", "/a/b/file/x", "/dangling", "/out", "/through", "/host", "/a/\udcff"],
)
def test_paths_that_lead_nowhere(root: Path, path: str) -> None:
    with pytest.raises(LinkError, match="cannot be found below"):
        Root(str(root)).resolve(path)


@pytest.mark.parametrize("path", ["/circle", "/itself", "/circle2/x"])
def test_circles(root: Path, path: str) -> None:
    with pytest.raises(LinkError, match="lead in a circle"):
        Root(str(root)).resolve(path)


def test_a_name_that_no_file_can_have(root: Path) -> None:
    with pytest.raises(LinkError, match="File name too long"):
        Root(str(root)).resolve(f"/{'x' * 300}")


def test_it_stops_at_what_is_looked_for(root: Path) -> None:
    """Neither the item nor its parents need be there, and an item that is a link is not followed."""
    (root / "profile").symlink_to("profile-1-link")
    (root / "profile-1-link").symlink_to(ITEM)
    (root / "below").symlink_to(f"{ITEM}/bin/x")

    def is_item(path: str) -> bool:
        return NIX.item_of(path) is not None

    assert Root(str(root)).resolve("/profile", is_item) == ITEM
    assert Root(str(root)).resolve("/below", is_item) == f"{ITEM}/bin/x"
    assert Root(str(root)).resolve(ITEM, is_item) == ITEM
    with pytest.raises(LinkError):
        Root(str(root)).resolve(f"{ITEM}/../../x", is_item)


@pytest.mark.parametrize(("folder", "path", "place"), [("/", "/a", "/a"), ("/x", "/a/b", "/x/a/b"), ("/x", "/", "/x")])
def test_where_the_host_has_them(folder: str, path: str, place: str) -> None:
    assert os.path.normpath(Root(folder).on_host(path)) == place
