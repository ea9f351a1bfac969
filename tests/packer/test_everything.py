"""A root with every kind of entry and name, and a file of more than 4 GiB, in every artefact, byte for byte."""

import hashlib
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from layers.entry import Data, Device, Directory, Entry, File, Hardlink, Symlink
from tests.support.command_line import OCIPACK
from tests.support.entries import ALL_KINDS
from tests.support.processes import needs_root
from tests.support.wsl import ROOT

_LARGE = (4 << 30) + 1

#: (kind, owner, mode, size, link's target, device, attributes, digest of the content)
Facts = tuple[object, ...]


def unpack(root: Path, entries: tuple[Entry, ...]) -> None:
    """The entries on disk, as root."""
    for entry in entries:
        path = os.fsencode(root) + b"/" + entry.path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if isinstance(entry, Hardlink):
            os.link(os.fsencode(root) + b"/" + entry.target, path)
            continue
        if isinstance(entry, Symlink):
            os.symlink(entry.target, path)
            continue
        if isinstance(entry, Directory):
            os.makedirs(path, exist_ok=True)
        elif isinstance(entry, Device):
            os.mknod(path, entry.kind.value, os.makedev(entry.major, entry.minor))
        else:
            assert isinstance(entry.content, Data)
            Path(os.fsdecode(path)).write_bytes(entry.content.data)
        os.chown(path, entry.meta.uid, entry.meta.gid)
        os.chmod(path, entry.meta.mode)
        for name, value in entry.meta.xattrs:
            os.setxattr(path, name, value)


def digest(content: IO[bytes]) -> str:
    return hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]


def facts(archive: tarfile.TarFile) -> Iterator[tuple[str, Facts]]:
    for member in archive:
        content = archive.extractfile(member) if member.isfile() else None
        xattrs = sorted((key, value) for key, value in member.pax_headers.items() if key.startswith("SCHILY"))
        yield member.name, (
            member.type, member.uid, member.gid, member.mode, member.size, member.linkname,
            (member.devmajor, member.devminor) if member.isdev() else (), tuple(xattrs),
            digest(content) if content else "",
        )  # fmt: skip


def of_stream(tool: list[str], compressed: IO[bytes]) -> dict[str, Facts]:
    """What is in a compressed tar, read as a stream: its content is longer than a disk should have to hold."""
    with subprocess.Popen(tool, stdin=compressed, stdout=subprocess.PIPE) as process:
        assert process.stdout
        with tarfile.open(
            fileobj=process.stdout, mode="r|", bufsize=1 << 20, encoding="utf-8", errors="surrogateescape"
        ) as archive:
            return dict(facts(archive))


@needs_root
def test_every_artefact_holds_the_same_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    unpack(root, (*ALL_KINDS, *ROOT))
    (root / "sparse").touch()
    os.truncate(root / "sparse", _LARGE)
    with (root / "sparse").open("r+b") as file:
        file.seek(3 << 30)
        file.write(b"in the middle")
    (tmp_path / "os.toml").write_text(
        'name = "all"\nplatform = "x86_64-linux"\noutputs = ["docker", "oci", "tarball", "wsl2"]\n'
        '[store]\ntype = "folder"\npath = "root"\n[layers.compression]\nlevel = 1\n[tarball]\ncompression = "zstd"\n'
        '[wsl2]\ndefault-user = "root"\n'
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    command: list[str | Path] = [OCIPACK, "build", "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    paths = {made["format"]: Path(made["path"]) for made in json.loads(done.stdout)["artefacts"]}

    with paths["tarball"].open("rb") as file:
        expected = of_stream(["zstd", "-dcq"], file)
    assert {os.fsencode(name) for name in expected} >= {entry.path for entry in (*ALL_KINDS, *ROOT)}
    sparse = expected["sparse"]
    with (root / "sparse").open("rb") as file:
        assert (sparse[4], sparse[-1]) == (_LARGE, digest(file))
    for entry in ALL_KINDS:
        if isinstance(entry, File):
            assert isinstance(entry.content, Data)
            assert expected[os.fsdecode(entry.path)][-1] == hashlib.sha256(entry.content.data).hexdigest()

    own = {"etc/wsl.conf", "etc/wsl-distribution.conf"}
    with paths["wsl2"].open("rb") as file:
        found = of_stream(["gzip", "-dc"], file)
    assert {name: seen for name, seen in found.items() if name not in own} == expected
    with tarfile.open(paths["docker"]) as archive:
        manifest = json.load(archive.extractfile("manifest.json") or pytest.fail("no manifest.json"))
        digests = {
            name.rpartition("/")[2]: digest(archive.extractfile(name) or pytest.fail(name))
            for name in manifest[0]["Layers"]
        }
    found = {}
    for name, in_docker in digests.items():
        with (paths["oci"] / "blobs/sha256" / name).open("rb") as blob:
            assert digest(blob) == name == in_docker
            blob.seek(0)
            found |= of_stream(["gzip", "-dc"], blob)
    assert found == expected
