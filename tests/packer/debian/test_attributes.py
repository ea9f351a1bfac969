import pytest

from layers.entry import Data, Directory, Entry, File, Meta, Symlink
from layers.reader import Reader
from packer.debian import attributes
from packer.debian.attributes import Override, changed
from packer.debian.base_passwd import DEBIAN
from packer.debian.unpacked import Unpacked
from tests.support.debian_packages import merged, package

ADD = "dpkg-statoverride --update --add"


def made(script: str) -> tuple[tuple[Override, ...], list[Entry], list[str]]:
    packages = [package("p", {"bin/tool": "x", "var/spool/p/x": ""}, {"postinst": script})]
    with Reader() as reader:
        unpacked = Unpacked(packages, merged(packages)[1].tree, reader)
        found = attributes.overrides(unpacked, DEBIAN)
        entries = list(attributes.entries(unpacked, DEBIAN, found))
    return found, entries, [skipped.reason for skipped in unpacked.skipped]


@pytest.mark.parametrize(
    ("script", "override"),
    [
        (f"{ADD} root mail 2755 /bin/tool", Override("/bin/tool", "root", "mail", 0o2755)),
        (f"{ADD} --quiet root mail 02755 /bin/tool", Override("/bin/tool", "root", "mail", 0o2755)),
        (f"T=/bin/tool\nif ! dpkg-statoverride --list $T; then\n {ADD} root mail 2755 $T\nfi",
         Override("/bin/tool", "root", "mail", 0o2755)),
        (f"{ADD} root mail 2755 /bin/tool\n{ADD} root root 755 /bin/tool",
         Override("/bin/tool", "root", "mail", 0o2755)),
    ],
)  # fmt: skip
def test_overrides(script: str, override: Override) -> None:
    overrides, entries, skipped = made(script)
    assert overrides == (override,)
    assert entries == [File(b"usr/bin/tool", Data(b"x"), Meta(0o2755, 0, 8))]
    assert not skipped


def test_a_file_that_is_not_there_is_only_registered() -> None:
    overrides, entries, _ = made(f"{ADD} root mail 2755 /bin/none")
    assert [override.path for override in overrides] == ["/bin/none"]
    assert entries == []


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (f"{ADD} root mail 2755 $x", "only a shell"),
        (f"{ADD} root mail /bin/tool", "only a shell"),
        (f"{ADD} root mail u+s /bin/tool", "only a shell"),
        (f"{ADD} root mail 92755 /bin/tool", "only a shell"),
        (f"{ADD} root mail 12755 /bin/tool", "only a shell"),
        (f"{ADD} root nothing 755 /bin/tool", "no such user or group"),
    ],
)
def test_what_is_left_undone_is_said(script: str, reason: str) -> None:
    overrides, entries, skipped = made(script)
    assert (overrides, entries) == ((), [])
    assert [reason in said for said in skipped] == [True]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (File(b"a"), [File(b"a", meta=Meta(0o700))]),
        (Directory(b"a"), [Directory(b"a", Meta(0o700))]),
        (Directory(b"a", Meta(0o700)), []),
        (Symlink(b"a", b"b"), []),
        (None, []),
    ],
)
def test_changes(entry: Entry | None, expected: list[Entry]) -> None:
    assert list(changed(entry, Meta(0o700))) == expected
