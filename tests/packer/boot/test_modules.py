import lzma
import zlib
from collections.abc import Callable, Iterable

import pytest
import zstandard

from layers.entry import Data, Entry, File
from layers.errors import PackError
from layers.reader import Reader
from layers.tree import Tree
from packer.boot.modules import Modules, read_modules
from tests.support.kernel_modules import module
from tests.support.operating_systems import tree

FOLDER = "lib/modules/6.1"


def modules(files: dict[str, bytes], built_in: Iterable[str] = ()) -> Modules:
    lines = "".join(f"{path}\n" for path in built_in)
    contents: dict[str, str | bytes | Entry] = {f"{FOLDER}/{path}": data for path, data in files.items()}
    with Reader() as reader:
        return read_modules(tree({**contents, f"{FOLDER}/modules.builtin": lines}), "6.1", reader)


def test_what_a_module_says_of_itself() -> None:
    info = ["license=GPL", "alias=fs-x", "alias=x-y", "depends=a-b,c", "softdep=pre: d e post: f", "softdep=g", "odd"]
    (found,) = modules({"kernel/fs/my-x.ko": module(info, ["x_open", "x_close"])}).all
    assert (found.name, found.path) == ("my_x", "kernel/fs/my-x.ko")
    assert list(found.values("alias")) == ["fs-x", "x-y"]
    assert found.depends == ("a_b", "c")
    assert (list(found.softly_depends("pre")), list(found.softly_depends("post"))) == (["d", "e"], ["f"])
    assert found.symbols == ("x_close", "x_open")


@pytest.mark.parametrize(
    ("extension", "compress"),
    [
        (".ko", bytes),
        (".ko.gz", lambda data: zlib.compress(data, wbits=31)),
        (".ko.xz", lzma.compress),
        (".ko.zst", lambda data: zstandard.ZstdCompressor().compress(data)),
    ],
)
def test_compressed_modules_are_read(extension: str, compress: Callable[[bytes], bytes]) -> None:
    plain = module(["license=GPL"])
    (found,) = modules({f"kernel/x{extension}": compress(plain)}).all
    assert found.name == "x"
    with Reader() as reader:
        assert reader.read(found.content(reader)) == plain


def test_other_files_are_left_alone() -> None:
    assert modules({"build/x.o": b"", "kernel/x.ko.sig": b"", "x.kompressed": b""}).all == ()


def test_a_module_that_is_none_is_named() -> None:
    with pytest.raises(PackError, match=r"the module kernel/x\.ko is no ELF file"):
        modules({"kernel/x.ko": b"text"})


def test_built_in_modules_have_names() -> None:
    assert modules({}, ["kernel/fs/ext4/ext4.ko", "kernel/crypto/crc32c-intel.ko"]).built_in == {"ext4", "crc32c_intel"}


SOME = {
    "disk": ["depends=bus,library"],
    "bus": ["depends=library"],
    "library": [],
    "fs": ["softdep=pre: crc32c post: late", "depends=journal"],
    "journal": [],
    "late": [],
    "crc-generic": ["alias=crc32c", "alias=crypto-crc32c"],
    "crc-intel": ["alias=crc32c"],
    "one": ["depends=other"],
    "other": ["depends=one"],
}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["disk"], ["library", "bus", "disk"]),
        (["library", "disk"], ["library", "bus", "disk"]),
        (["fs"], ["crc_generic", "crc_intel", "journal", "fs", "late"]),
        (["crypto-crc32c"], ["crc_generic"]),
        (["crc-intel"], ["crc_intel"]),
        (["one"], ["other", "one"]),
        (["nothing"], []),
    ],
)
def test_each_comes_after_what_it_needs(names: list[str], expected: list[str]) -> None:
    found = modules({f"kernel/{name}.ko": module(info) for name, info in SOME.items()})
    assert [each.name for each in found.needed(names)] == expected


def test_the_order_of_the_host_does_not_matter() -> None:
    files = {f"kernel/{name}.ko": module([]) for name in "bac"}
    entries = {f"{FOLDER}/{path}".encode(): data for path, data in files.items()}
    backwards = Tree({path: File(path, Data(data)) for path, data in reversed(entries.items())})
    with Reader() as reader:
        assert [each.name for each in read_modules(backwards, "6.1", reader).all] == ["a", "b", "c"]
