"""`ocipack inspect` and `ocipack diff` as people run them, with other people's tools as a second opinion."""

import gzip
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from layers.entry import Data, Device, DeviceKind, Directory, Entry, File, Meta
from tests.oracle.runtimes import Docker, output, skopeo_copy, umoci_unpack
from tests.oracle.tar_listing import by_bsdtar
from tests.support.command_line import OCIPACK, Answer, Workplace, workplace
from tests.support.debian_archive import Program
from tests.support.entries import ALL_KINDS, CAPABILITY, noise, tar_of
from tests.support.layers import layout
from tests.support.processes import REPOSITORY, python

_MORE = """
[container]
entrypoint = ["/bin/sh"]
cmd = ["-c", "true"]
env = { A = "b c" }
labels = { "org.example.a" = "b" }
user = "nobody"
workdir = "/srv"
ports = ["80/tcp"]
stop-signal = "SIGQUIT"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A workplace with an archive."""
    made = workplace(tmp_path_factory.mktemp("inspect"))
    made.declare(_MORE)
    assert made.run("docker", "-q", "-o", "it.tar").code == 0
    assert made.run("oci", "-q", "-o", "it.oci").code == 0
    return made


def _json(answer: Answer) -> Any:
    assert not answer.err
    return json.loads(answer.out)


def test_skopeo_says_the_same(place: Workplace) -> None:
    found = _json(place.run("inspect", "--json", "it.oci"))
    seen = json.loads(output("skopeo", "inspect", f"oci:{place.folder}/it.oci"))
    assert found["image"]["digest"] == seen["Digest"]
    assert [layer["digest"] for layer in found["layers"]] == seen["Layers"]
    raw = json.loads(output("skopeo", "inspect", "--raw", f"oci:{place.folder}/it.oci"))
    assert [layer["size"] for layer in found["layers"]] == [layer["size"] for layer in raw["layers"]]
    assert found["image"]["platform"] == f"{seen['Os']}/{seen['Architecture']}"
    assert (found["image"]["created"], found["image"]["config"]["Env"]) == (seen["Created"], seen["Env"])


def test_docker_says_the_same(place: Workplace, docker: Docker) -> None:
    found = _json(place.run("inspect", "--json", "it.tar"))
    seen = docker.inspect(docker.load(place.folder / "it.tar"))
    assert found["image"]["image-id"] == seen["Id"]
    assert [layer["diff-id"] for layer in found["layers"]] == seen["RootFS"]["Layers"]
    assert {key: seen["Config"][key] for key in found["image"]["config"]} == found["image"]["config"]
    assert sum(layer["file-size"] for layer in found["layers"]) == seen["Size"]


def test_umoci_unpacks_what_is_listed(place: Workplace, tmp_path: Path) -> None:
    found = _json(place.run("inspect", "--json", "--files", "it.oci"))
    root = umoci_unpack(place.folder / "it.oci", "1.0", tmp_path / "bundle")
    assert sorted(file["path"][1:] for file in found["files"]) == sorted(
        str(p.relative_to(root)) for p in root.rglob("*")
    )
    assert found["entries"] == len(found["files"])
    sizes = {
        path: path.stat(follow_symlinks=False) for path in root.rglob("*") if path.is_file() and not path.is_symlink()
    }
    assert found["file-size"] == sum({status.st_ino: status.st_size for status in sizes.values()}.values())
    for file in found["files"]:
        status = (root / file["path"][1:]).stat(follow_symlinks=False)
        expected = (f"{status.st_mode & 0o7777:04o}", status.st_uid, status.st_gid)
        assert (file["mode"], file["uid"], file["gid"]) == expected
        if "digest" in file:
            assert file["digest"][7:] == output("sha256sum", root / file["path"][1:]).split()[0].lstrip("\\")


def test_items_and_what_they_own(place: Workplace) -> None:
    found = _json(place.run("inspect", "--json", "--files", "it.tar"))
    assert [(item["name"], item["version"], item["layer"]) for item in found["items"]] == [
        ("library", "2.0", 2), ("tiny", "1.36-1", 1), ("tool", "1:3.1-2", 3),
    ]  # fmt: skip
    owners = {file["path"]: file["item"] for file in found["files"]}
    assert owners["/usr/bin/tool"] == "tool_1:3.1-2_all"
    assert owners["/var/lib/dpkg/info/tool.list"] == "tool_1:3.1-2_all"
    assert owners["/var/lib/dpkg/status"] is None


def test_text_for_people(place: Workplace) -> None:
    answer = place.run("inspect", "it.tar")
    assert (answer.code, answer.err) == (0, "")
    assert re.search(r"^it\.tar +docker archive, ", answer.out)
    for line in ("name ", "platform +linux/amd64", "digest +sha256:", 'env +\\["A=b c"\\]', "layers: 4", "items: 3"):
        assert re.search(f"^{line}", answer.out, re.MULTILINE), line
    assert re.search(r"^1 .* tiny 1\.36-1$", answer.out, re.MULTILINE)
    assert re.search(r"^ *97\.7 KiB +library +2\.0$", answer.out, re.MULTILINE)


def test_files_are_listed_as_bsdtar_does(place: Workplace, tmp_path: Path) -> None:
    (tmp_path / "it.tar").write_bytes(tar_of(ALL_KINDS))
    found = _json(place.run("inspect", "--json", "--files", tmp_path / "it.tar"))["files"]
    listed = {member.path: member for member in by_bsdtar(tmp_path / "it.tar")}
    for file in found:
        member = listed.pop(file["path"][1:].encode(errors="surrogateescape"))
        assert (int(file["mode"], 8), file["uid"], file["gid"]) == (member.mode, member.uid, member.gid)
        if member.kind == "h":
            assert file["hard-link"][1:].encode() == member.target
        else:
            assert (file["size"], file.get("target", "").encode(errors="surrogateescape")) == (
                member.size,
                member.target,
            )
    assert not listed
    answer = place.run("inspect", "--files", tmp_path / "it.tar")
    assert len(answer.out.splitlines()) == len(found)
    assert "-rwsr-xr-x 0/0         1 /metas/setuid" in answer.out.splitlines()
    assert "crw-rw-rw- 0/0       1,3 /devices/null" in answer.out.splitlines()
    assert "lrwxrwxrwx 0/0         0 /links/absolute -> /usr/bin/env" in answer.out.splitlines()


def test_what_deserves_a_look(place: Workplace, tmp_path: Path) -> None:
    entries: list[Entry] = [
        Device(b"dev/null", DeviceKind.CHARACTER, 1, 3, Meta(0o666)),
        File(b"etc/passwd", Data(b"root::0:0:root:/root:/bin/sh\nbin:*:2:2:bin:/bin:/usr/sbin/nologin\n")),
        File(b"ping", Data(b"x"), Meta(0o755, xattrs=((b"security.capability", CAPABILITY),))),
        File(b"shared", meta=Meta(0o666)),
        File(b"su", Data(b"x"), Meta(0o6755)),
        Directory(b"tmp", Meta(0o1777)),
        Directory(b"upload", Meta(0o777)),
    ]
    (tmp_path / "it.tar").write_bytes(tar_of(entries))
    found = _json(place.run("inspect", "--json", tmp_path / "it.tar"))
    assert {(each["reason"], each["path"]) for each in found["special"]} == {
        ("character device", "/dev/null"), ("capabilities", "/ping"), ("world-writable", "/shared"),
        ("setuid", "/su"), ("setgid", "/su"), ("world-writable", "/upload"),
    }  # fmt: skip
    assert [(user["name"], user["password"], user["can-log-in"]) for user in found["users"]] == [
        ("root", "empty", True), ("bin", "locked", False),
    ]  # fmt: skip
    assert "anybody can log in" in place.run("inspect", tmp_path / "it.tar").out


@pytest.fixture(scope="module")
def changed(place: Workplace) -> Iterator[Path]:
    """The same image with a newer package and one file more."""
    folder = place.folder.parent / "changed"
    shutil.copytree(place.archive.folder, folder / "archive")
    newer = replace(place, folder=folder)
    archive = type(place.archive)(folder / "archive")
    archive.add("tool", "1:3.2-1", depends="library (>= 1.5)",
                files={"/usr/bin/tool": Program(b"#!/bin/sh\necho newer tool\n"), "/etc/tool.conf": "verbose = yes\n"},
                scripts={"conffiles": "/etc/tool.conf\n", "postinst": "#!/bin/sh\nset -e\n"})  # fmt: skip
    archive.publish()
    replace(newer, archive=archive).declare(_MORE + '\n[os]\nfiles = [{ target = "/srv/new", text = "new\\n" }]\n')
    answer = newer.run("docker", "-q", "--refresh", "-o", "it.tar")
    assert answer.code == 0, answer.err
    yield folder / "it.tar"


def test_a_package_and_a_file_are_all_that_differs(place: Workplace, changed: Path) -> None:
    answer = place.run("diff", "--json", "it.tar", changed)
    assert answer.code == 1
    found = _json(answer)
    [item] = found["items"]
    assert (item["before"]["version"], item["after"]["version"]) == ("1:3.1-2", "1:3.2-1")
    causes = {entry["path"]: (entry["cause"], entry["attributes"]) for entry in found["entries"]}
    assert causes == {
        "/srv/new": ("customization", []),
        "/usr/bin/tool": ("tool 1:3.2-1", ["size", "content"]),
        "/var/lib/dpkg/info/tool.md5sums": ("tool 1:3.2-1", ["content"]),
        "/var/lib/dpkg/status": ("customization", ["content"]),
    }
    assert found["layers-gone"] == len(found["layers"]) == 2
    assert found["pull-size"] == sum(layer["size"] for layer in found["layers"])
    assert not found["configuration"]


def test_the_difference_as_text(place: Workplace, changed: Path) -> None:
    answer = place.run("diff", "it.tar", changed)
    assert answer.code == 1
    assert re.search(r"^~  tool  1:3\.1-2 -> 1:3\.2-1 ", answer.out, re.MULTILINE)
    assert re.search(r"^\+  /srv/new +\+4  customization$", answer.out, re.MULTILINE)
    assert re.search(r"^~  /usr/bin/tool +size, content +\+6  tool 1:3\.2-1$", answer.out, re.MULTILINE)
    assert re.search(r"^layers: 2 new, 2 gone; a pull moves ", answer.out, re.MULTILINE)


def test_nothing_differs_between_the_forms_of_one_image(place: Workplace, tmp_path: Path) -> None:
    answer = place.run("diff", "it.tar", "it.oci")
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    assert _json(place.run("diff", "--json", "it.tar", "it.oci"))["equal"] is True
    skopeo_copy(f"oci:{place.folder}/it.oci", f"docker-archive:{tmp_path}/copy.tar:it:1")
    found = _json(place.run("diff", "--json", "it.tar", tmp_path / "copy.tar"))
    assert (found["entries"], found["items"], found["configuration"]) == ([], [], {})


@pytest.mark.parametrize("codec", ["none", "gzip", "xz", "zstd", "lzip", "bzip2"])
def test_nothing_differs_between_an_image_and_a_tarball(place: Workplace, codec: str) -> None:
    assert place.run("tarball", "-q", "--compression", codec, "-o", f"it.{codec}").code == 0
    answer = place.run("diff", "it.tar", f"it.{codec}")
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_a_distribution_for_wsl_is_known_by_what_is_in_it(place: Workplace, tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(gzip.compress(tar_of([File(b"etc/wsl-distribution.conf", Data(b"[oobe]\n"))])))
    assert _json(place.run("inspect", "--json", tmp_path / "it"))["kind"] == "wsl2"


@pytest.mark.parametrize("form", ["docker-archive", "oci"])
def test_the_platform_of_an_image_that_its_configuration_alone_says(
    place: Workplace, tmp_path: Path, form: str
) -> None:
    """skopeo writes no platform into either of them."""
    skopeo_copy(f"oci:{place.folder}/it.oci", f"{form}:{tmp_path}/copy:it:1")
    assert _json(place.run("inspect", "--json", "--platform", "x86_64-linux", tmp_path / "copy"))
    assert place.run("diff", "--platform", "x86_64-linux", "it.tar", tmp_path / "copy").code in (0, 1)
    answer = place.run("inspect", "--platform", "aarch64-linux", tmp_path / "copy")
    assert answer.code == 2
    assert "has no image 'linux/arm64/v8'" in answer.err


def test_an_image_archive_that_is_compressed_as_a_whole_is_told(place: Workplace, tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(gzip.compress((place.folder / "it.tar").read_bytes(), 1))
    answer = place.run("inspect", tmp_path / "it")
    assert answer.code == 2
    assert "an image archive that is compressed as a whole\n  Undo gzip's compression first." in answer.err


def test_a_root_file_system_and_its_image(place: Workplace, tmp_path: Path) -> None:
    root = umoci_unpack(place.folder / "it.oci", "1.0", tmp_path / "bundle")
    subprocess.run(["tar", "-C", root, "-cf", tmp_path / "root.tar", "."], check=True)
    found = _json(place.run("diff", "--json", "it.tar", tmp_path / "root.tar"))
    assert (found["entries"], found["items"]) == ([], [])


@pytest.mark.parametrize("command", [["inspect", "{}"], ["diff", "{}", "it.tar"], ["diff", "it.tar", "{}"]])
@pytest.mark.parametrize("what", ["missing", "noise", "cut"])
def test_what_cannot_be_read_is_wrong_input(place: Workplace, tmp_path: Path, command: list[str], what: str) -> None:
    path = tmp_path / what
    if what == "noise":
        path.write_bytes(noise(5000))
    elif what == "cut":
        path.write_bytes((place.folder / "it.tar").read_bytes()[:20_000])
    answer = place.run(*(word.format(path) for word in command))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("ocipack: error: ")
    assert len(answer.err.splitlines()) <= 2


def test_terminals_are_safe(place: Workplace, tmp_path: Path) -> None:
    nasty = "\x1b]0;gotcha\x07\u202e\n"
    made = layout()
    tag = {"org.opencontainers.image.ref.name": nasty, "io.containerd.image.name": nasty}
    config = {"config": {"Env": [nasty], "Cmd": nasty, nasty: nasty, "User": "\ud800"}, "created": nasty,
              "history": [{"created_by": nasty, "comment": nasty}]}  # fmt: skip
    entries = [File(b"\x1b[2Ja\nb\xff", meta=Meta(0o4755)),
               File(b"etc/passwd", Data(f"{nasty[:-1]}::0:0::/:\x1b\n".encode()))]  # fmt: skip
    made.index(made.image([tar_of(entries)], config, annotations=tag))
    made.folder(tmp_path / "it")
    for arguments in (
        ["inspect"],
        ["inspect", "-v"],
        ["inspect", "--files"],
        ["inspect", "--json"],
        ["diff", "it.tar"],
    ):
        answer = place.run(*arguments, tmp_path / "it")
        assert answer.err == ""
        assert "gotcha" in answer.out or "[2J" in answer.out
        assert not set(answer.out) & {"\x1b", "\x07", "\u202e", "\r"}


def tar_with_a_link_to_nothing(path: Path, name: str) -> None:
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo(name)
        link.type, link.linkname = tarfile.LNKTYPE, "nothing"
        archive.addfile(link)


def archive_of_two(path: Path, name: str) -> None:
    """An image archive of two images with one configuration, whose name ends in the digest of something else."""
    config = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"history":[]}'
    place = f"{name}{0:064}.json"
    images = [{"Config": place, "RepoTags": [f"{name}:{number}"], "Layers": []} for number in range(2)]
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for member, data in ((place, config), ("manifest.json", json.dumps(images).encode())):
            header = tarfile.TarInfo(member)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))


@pytest.mark.parametrize("locale", ["C.UTF-8", "en_US.UTF-8", "en_US.ISO-8859-1"])
@pytest.mark.parametrize("make", [tar_with_a_link_to_nothing, archive_of_two])
@pytest.mark.parametrize("command", [["inspect"], ["diff", "it.tar"], ["verify"], ["verify", "--json"]])
def test_terminals_are_safe_from_errors(
    place: Workplace, tmp_path: Path, command: list[str], make: Callable[[Path, str], None], locale: str
) -> None:
    make(tmp_path / "nasty", "\x1b]0;gotcha\x07\u202e\x9b31m\r\n\udc80")
    arguments: list[str | Path] = [OCIPACK, *command, tmp_path / "nasty"]
    environment = place.environment({"LC_ALL": locale})
    answer = subprocess.run(arguments, cwd=place.folder, env=environment, capture_output=True, check=False)
    texts = [data.decode(locale.partition(".")[2]) for data in (answer.stdout, answer.stderr)]
    if (command[0], make) == ("verify", tar_with_a_link_to_nothing):
        assert answer.returncode == 0  # it has no digests: its entries are not looked at
    else:
        assert answer.returncode in (1, 2)
        assert "gotcha" in "".join(texts)
    for text in texts:
        assert "Traceback" not in text
        assert text.replace("\n", "").isprintable()


def test_every_key_is_documented(place: Workplace, changed: Path) -> None:
    documented = set(re.findall(r"`([a-z-]+)`", (REPOSITORY / "docs" / "inspect.md").read_text()))
    for arguments in (["inspect", "--files", "it.tar"], ["diff", "it.tar", changed]):
        found = _json(place.run(*arguments, "--json"))
        assert set(_keys(found)) <= documented


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for each in value:
            yield from _keys(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            if key not in ("config", "annotations", "xattrs", "configuration"):
                yield from _keys(each)


def test_a_large_image_is_read_in_little_memory(tmp_path: Path) -> None:
    """300 MiB, one file of 200 MiB among it; what is measured is the high-water mark of the process's own memory."""
    make = "yes 0123456789 | head -c 200M >large && head -c 100M large | split -b 100K - small. && tar -czf ../it *"
    (tmp_path / "root").mkdir()
    subprocess.run(["sh", "-c", make], cwd=tmp_path / "root", env={**os.environ, "GZIP": "-1"}, check=True)
    code = (
        "import sys; from packer.cli import run; assert run(['inspect', sys.argv[1]]) == 0;"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    said, complaint = python(code, tmp_path / "it").communicate()
    assert int(said.splitlines()[-1]) < 100 << 10, complaint
