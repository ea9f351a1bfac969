"""Debian packages for tests: items made in memory, and items made of .debs by dpkg-deb and tarfile alone."""

import contextlib
import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from layers.digest import Digest
from layers.entry import Content, Data, Device, DeviceKind, Directory, Entry, File, Hardlink, Meta, Slice, Symlink
from layers.item import Closure, StoreItem
from layers.tree import Merged, Part, merge
from packer.debian.package import DebianItem
from packer.debian.placement import PLACEMENT


@dataclass(frozen=True, slots=True)
class Fixed:
    """Contents that are at hand."""

    all: tuple[Entry, ...]

    def entries(self) -> Iterator[Entry]:
        yield from self.all


@dataclass(frozen=True, slots=True, eq=False)
class Package(DebianItem):
    """A package that says itself which others it replaces."""

    replaced: tuple[str, ...] = ()

    def replaces(self, other: StoreItem) -> bool:
        return other.name in self.replaced


def package(
    name: str,
    files: Mapping[str, str | bytes | Entry] | None = None,
    members: Mapping[str, str] | None = None,
    *,
    version: str = "1",
    architecture: str = "amd64",
    multi_arch: str = "",
    stanza: str = "",
    replaces: Iterable[str] = (),
    references: Iterable[str] = (),
) -> Package:
    """A package of files (path without a slash at its start -> content or entry) with members of control.tar."""
    entries = [_entry(path, content) for path, content in sorted((files or {}).items())]
    fields = {"Package": name, "Version": version, "Architecture": architecture, "Multi-Arch": multi_arch}
    fields |= {"Maintainer": "Nobody <nobody@localhost>", "Description": "a test"}
    return Package(
        f"{name}_{version}_{architecture}", name, version, Digest.of(name.encode()), 0, tuple(sorted(references)),
        Fixed(tuple(entries)), architecture, multi_arch,
        stanza or "\n".join(f"{field}: {value}" for field, value in fields.items() if value),
        {member: Data(text.encode(errors="surrogateescape")) for member, text in (members or {}).items()},
        (b"/.", *_with_parents(entry.path for entry in entries)),
        {
            b"/" + entry.path: hashlib.md5(entry.content.data).hexdigest()
            for entry in entries
            if isinstance(entry, File) and isinstance(entry.content, Data)
        },
        tuple(replaces),
        placement=PLACEMENT,
        source=name,
    )  # fmt: skip


def _entry(path: str, content: str | bytes | Entry) -> Entry:
    if isinstance(content, str | bytes):
        return File(
            path.encode(errors="surrogateescape"), Data(content.encode() if isinstance(content, str) else content)
        )
    return content


def _with_parents(paths: Iterable[bytes]) -> list[bytes]:
    found: dict[bytes, None] = {}
    for path in paths:
        parts = path.split(b"/")
        found.update((b"/" + b"/".join(parts[: count + 1]), None) for count in range(len(parts)))
    return list(found)


def merged(packages: Iterable[DebianItem]) -> tuple[Closure, Merged[DebianItem]]:
    """The closure of packages, and the tree of their entries, placed."""
    closure = Closure(packages)
    items = [item for item in closure if isinstance(item, DebianItem)]
    parts = (Part(item, item.placed_entries()) for item in items)
    return closure, merge(parts, lambda new, old: new.replaces(old))


def unpacked_deb(deb: str, folder: str) -> Package:
    """The item of a .deb: its two tars are written into the folder, and read by tarfile."""
    control, data = (os.path.join(folder, os.path.basename(deb) + suffix) for suffix in (".control", ".data"))
    for option, path in (("--ctrl-tarfile", control), ("--fsys-tarfile", data)):
        with open(path, "wb") as output:
            subprocess.run(["dpkg-deb", option, deb], stdout=output, check=True)
    members: dict[str, Content] = {
        entry.path.decode(): entry.content for entry, _ in _tar_entries(control) if isinstance(entry, File)
    }
    with open(control, "rb") as file:
        stanza = _read(file, members["control"]).decode().rstrip("\n")
    fields = dict(line.split(": ", 1) for line in stanza.split("\n") if ": " in line and line[0] not in " \t")
    found = list(_tar_entries(data))
    digests = {b"/" + entry.path: digest for entry, digest in found if digest}
    return Package(
        f"{fields['Package']}_{fields['Version']}_{fields['Architecture']}", fields["Package"], fields["Version"],
        Digest.of(deb.encode()), sum(entry.content.size for entry, _ in found if isinstance(entry, File)), (),
        Fixed(tuple(entry for entry, _ in found)), fields["Architecture"], fields.get("Multi-Arch", ""),
        stanza, members,
        tuple(b"/" + (entry.path or b".") for entry, _ in found), digests,
        tuple(relation.split()[0] for relation in fields.get("Replaces", "").split(",") if relation.strip()),
        placement=PLACEMENT,
        source=fields.get("Source", fields["Package"]).split()[0],
    )  # fmt: skip


def _read(file: io.BufferedReader, content: Content) -> bytes:
    assert isinstance(content, Slice)
    file.seek(content.offset)
    return file.read(content.size)


def _tar_entries(path: str) -> Iterator[tuple[Entry, str]]:
    with contextlib.closing(tarfile.open(path, encoding="utf-8", errors="surrogateescape")) as archive:
        digests: dict[str, str] = {}
        for member in archive:
            name = os.fsencode(member.name.removeprefix("./").strip("/"))
            name = b"" if name == b"." else name
            meta = Meta(member.mode, member.uid, member.gid)
            if member.isreg():
                data = archive.extractfile(member)
                assert data
                digests[member.name] = hashlib.md5(data.read()).hexdigest()
                yield File(name, Slice(path, member.offset_data, member.size), meta), digests[member.name]
            elif member.islnk():
                target = os.fsencode(member.linkname.removeprefix("./"))
                yield Hardlink(name, target), digests[member.linkname]
            elif member.issym():
                yield Symlink(name, os.fsencode(member.linkname)), ""
            elif member.isdir():
                yield Directory(name, meta), ""
            else:
                yield Device(name, DeviceKind.CHARACTER, member.devmajor, member.devminor, meta), ""
