import pytest

from layers.entry import Data, File, Slice
from layers.errors import InputError, PackError
from layers.reader import Reader
from layers.tree import Tree
from packer.boot.grub_files import GrubFiles

FOLDER = b"usr/lib/grub/i386-pc"


def tree(**files: bytes) -> Tree:
    """GRUB's files; of names, `_` is a dot."""
    paths = {FOLDER + b"/" + name.replace("_", ".").encode(): data for name, data in files.items()}
    return Tree({path: File(path, Data(data)) for path, data in paths.items()})


def with_needed(lines: bytes, *modules: str) -> list[str]:
    with Reader() as reader:
        return GrubFiles(tree(moddep_lst=lines), FOLDER, reader).with_needed(modules)


def test_modules_come_after_what_they_need() -> None:
    lines = b"a: b c\nb: d\nc: d a\nd:\ne:\n"
    assert with_needed(lines, "a", "e", "d") == ["d", "c", "b", "a", "e"]


def test_any_list_of_what_is_needed_ends() -> None:
    chain = b"".join(b"m%d: m%d\n" % (number, number + 1) for number in range(5000))
    assert with_needed(chain, "m0")[:2] == ["m5000", "m4999"]
    assert with_needed(b"a: b\nb: a\n\xff\xfe: :\n", "a", "a") == ["b", "a"]
    assert with_needed(b"") == []


def test_a_missing_file_is_named() -> None:
    with Reader() as reader, pytest.raises(InputError, match=r"/usr/lib/grub/i386-pc has no b\.mod"):
        GrubFiles(tree(moddep_lst=b"a: b\nb:\n"), FOLDER, reader).module_list(["a"], "", "", 3, 32)


def test_a_file_that_is_too_large_is_not_read() -> None:
    path = FOLDER + b"/moddep.lst"
    huge = Tree({path: File(path, Slice("/nowhere", 0, 1 << 40))})
    with Reader() as reader, pytest.raises(PackError, match=r"GRUB's moddep\.lst has 1099511627776 bytes"):
        GrubFiles(huge, FOLDER, reader).with_needed(["a"])


def test_too_many_modules_are_refused() -> None:
    whole = b"\x7fELF\x01\x01".ljust(16, b"\0") + b"\x01\0\x03\0".ljust(16, b"\0")
    header = whole + (52).to_bytes(4, "little") + bytes(10) + b"\x28\0\x01\0\0\0"
    module = header.ljust(9 << 20, b"\0")
    with Reader() as reader, pytest.raises(PackError, match="GRUB's modules have more than 16777216 bytes"):
        files = GrubFiles(tree(moddep_lst=b"a: b\n", a_mod=module, b_mod=module), FOLDER, reader)
        files.module_list(["a"], "", "", 3, 32)


def test_the_list_has_all_that_it_should() -> None:
    for bits, info, config in (
        (32, "6d696d67 0c000000 24000000", "02000000 0c000000 78000000"),
        (64, "6d696d67 00000000 1800000000000000 3800000000000000", "02000000 10000000 7800000000000000"),
    ):
        prefix = "03000000 0c000000 2f626f00" if bits == 32 else "03000000 10000000 2f626f0000000000"
        with Reader() as reader:
            found = GrubFiles(tree(moddep_lst=b""), FOLDER, reader).module_list([], "x", "/bo", 3, bits)
        assert found == bytes.fromhex(info + config + prefix)
