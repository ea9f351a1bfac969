"""Layers of a base, made by Python's tarfile: kept, and laid over each other."""

import gzip
import hashlib
import io
import lzma
import subprocess
import tarfile
from pathlib import Path

import pytest

from formats.reading.artefact import ArtefactError, DataBlob, StoredLayer
from layers.base import BaseLayer
from layers.digest import Digest
from layers.entry import Directory, Entry, File, Hardlink, Symlink
from layers.errors import PackError
from layers.item import StoreItem
from layers.output import OutputError
from layers.reader import Reader
from layers.tree import Merged
from packer.base.layer_cache import KeptLayer, LayerCache
from packer.base.merging import merged
from tests.support.processes import needs_root


def tar(*members: str) -> bytes:
    """A layer: `a=text` is a file, `a/` a folder, `a->b` a symbolic link, `a=>b` a hard link."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for member in members:
            if "=>" in member or "->" in member:
                name, _, target = member.replace("=>", "->").partition("->")
                info = tarfile.TarInfo(name)
                info.type = tarfile.LNKTYPE if "=>" in member else tarfile.SYMTYPE
                info.linkname = target
                archive.addfile(info)
            elif member.endswith("/"):
                info = tarfile.TarInfo(member)
                info.type, info.mode = tarfile.DIRTYPE, 0o700
                archive.addfile(info)
            else:
                name, _, text = member.partition("=")
                info = tarfile.TarInfo(name)
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
    return data.getvalue()


def stored(data: bytes, blob: bytes = b"", **more: Digest | None) -> StoredLayer:
    blob = blob or data
    layer = StoredLayer("layer 1", DataBlob(blob), Digest.of(blob), Digest.of(data))
    return StoredLayer(layer.title, layer.blob, more.get("digest", layer.digest), more.get("diff_id", layer.diff_id))


def cache(folder: Path) -> LayerCache:
    return LayerCache(str(folder), str(folder / "base"))


def laid(folder: Path, *layers: bytes, told: list[str] | None = None) -> tuple[list[BaseLayer], Merged[StoreItem]]:
    kept = [cache(folder).keep(stored(layer)) for layer in layers]
    items = [layer.item(f"#{rank}", f"layer {rank}", ()) for rank, layer in enumerate(kept)]
    pairs = [(item, layer.contents) for item, layer in zip(items, kept, strict=True)]
    return items, merged(pairs, "base", ([] if told is None else told).append)


def text(entry: Entry | None) -> str:
    with Reader() as reader:
        return reader.read(entry.content).decode() if isinstance(entry, File) else repr(entry)


@pytest.mark.parametrize(
    ("upper", "there", "hidden"),
    [
        (("new=1",), {"d", "d/a", "d/b", "f", "new"}, set()),
        (("f=upper",), {"d", "d/a", "d/b", "f"}, {"f"}),
        (("d/.wh.a=",), {"d", "d/b", "f"}, {"d/a"}),
        ((".wh.d=",), {"f"}, {"d", "d/a", "d/b"}),
        ((".wh.d=", "d/", "d/a=new"), {"d", "d/a", "f"}, {"d", "d/a", "d/b"}),
        (("d/", "d/new=1", "d/.wh..wh..opq="), {"d", "d/new", "f"}, {"d", "d/a", "d/b"}),
        (("d->f",), {"d", "f"}, {"d", "d/a", "d/b"}),
        (("f/", "f/in=1"), {"d", "d/a", "d/b", "f", "f/in"}, {"f"}),
        ((".wh.nothing=", ".wh..wh.plnk=", ".wh.="), {"d", "d/a", "d/b", "f"}, set()),
    ],
)
def test_an_upper_layer_hides_what_is_below(
    tmp_path: Path, upper: tuple[str, ...], there: set[str], hidden: set[str]
) -> None:
    (lower_item, upper_item), found = laid(tmp_path, tar("d/", "d/a=a", "d/b=b", "f=f"), tar(*upper))
    assert {entry.path.decode() for entry in found.tree} == there
    assert {path.decode() for path in found.omitted[lower_item]} == hidden
    assert all(b".wh." in path for path in found.omitted[upper_item])


def test_names_of_one_file_stay_together_wherever_they_are(tmp_path: Path) -> None:
    _, found = laid(tmp_path, tar("a=old", "b=>a", "c=>a"), tar("a=new", "d=>b", "z=>a"))
    assert [text(found.tree.get(name)) for name in (b"a", b"b")] == ["new", "old"]
    assert [found.tree.get(name) for name in (b"c", b"d", b"z")] == [
        Hardlink(b"c", b"b"), Hardlink(b"d", b"b"), Hardlink(b"z", b"a"),
    ]  # fmt: skip


def test_a_hard_link_to_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="base: /b is a hard link to what is no earlier file, /a"):
        laid(tmp_path, tar("a=1"), tar(".wh.a=", "b=>a"))


def test_what_programs_differ_in_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    _, found = laid(tmp_path, tar("usr/", "bin->usr"), tar("bin/x=1"), told=told)
    assert isinstance(found.tree.get(b"bin"), Directory)
    assert told == ["base: /bin is no folder, and something lies below it; programs differ in what they make of that"]
    _, found = laid(tmp_path / "twice", tar("a=1", "a=2"), told=told)
    assert text(found.tree.get(b"a")) == "2"
    assert told[1:] == ["base: /a is in one layer twice; the last one counts"]


@pytest.mark.parametrize("packed", [lambda data: data, lambda data: gzip.compress(data, mtime=0)])
def test_a_layer_is_kept_byte_for_byte(tmp_path: Path, packed: "type[bytes]") -> None:
    data = tar("a=text", "s->a")
    layer = stored(data, packed(data))
    assert cache(tmp_path).find(layer) is None
    for kept in (cache(tmp_path).keep(layer), cache(tmp_path).find(layer)):
        assert isinstance(kept, KeptLayer)
        blob = kept.verbatim.blob
        assert Path(blob.path).read_bytes() == packed(data)
        assert hashlib.sha256(packed(data)).hexdigest() == kept.verbatim.layer.digest.hex
        entries = list(kept.contents.entries())
        assert text(entries[0]) == "text"
        assert isinstance(entries[1], Symlink)
        assert (entries[1].path, entries[1].target) == (b"s", b"a")


_OTHER = Digest.of(b"other")


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (stored(tar("a=1"), digest=_OTHER), "layer 1 is damaged: its digest is sha256:"),
        (stored(tar("a=1"), diff_id=_OTHER), "layer 1 is damaged: its diff_id is sha256:"),
        (stored(tar("a=1"), lzma.compress(tar("a=1"))), "layer 1 is compressed with xz, as no layer is"),
        (stored(tar("a=1"), gzip.compress(tar("a=1"))[:-9]), "it ends before its end"),
        (stored(tar("a=1")[:700]), "it ends within a file|the end of the archive is missing"),
        (stored(tar("../a=1")), "leads outside of its folder"),
    ],
)
def test_a_layer_that_is_not_what_it_should_be_leaves_nothing(tmp_path: Path, layer: StoredLayer, said: str) -> None:
    with pytest.raises(PackError, match=said):
        cache(tmp_path).keep(layer)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_layer_without_a_digest_has_that_of_its_bytes(tmp_path: Path) -> None:
    data = tar("a=1")
    kept = cache(tmp_path).keep(stored(data, digest=None))
    assert kept.verbatim.layer.digest == Digest.of(data)
    assert cache(tmp_path).find(stored(data, digest=None)) is not None


@needs_root  # mounts
def test_a_full_disk_is_no_damage_of_a_layer(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], check=True)
    try:
        with pytest.raises(OutputError, match=f"cannot write into {tmp_path}/blobs/sha256: No space left on device"):
            cache(tmp_path).keep(stored(tar(f"file={'x' * 100_000}")))
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)
