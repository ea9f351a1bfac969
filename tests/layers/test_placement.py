import pytest

from layers.entry import Directory, Entry, File, Hardlink, Symlink
from layers.placement import Placement

MERGED_USR = Placement(((b"bin", b"usr/bin"), (b"lib", b"usr/lib"), (b"lib64", b"usr/lib64")))
NESTED = Placement(((b"a", b"x"), (b"a/b", b"y"), (b"a/b/c", b"")))
STORE = Placement(((b"gnu/store/abc-profile", b""),))


@pytest.mark.parametrize(
    ("placement", "path", "placed"),
    [
        (Placement(), b"bin/sh", b"bin/sh"),
        (MERGED_USR, b"bin/sh", b"usr/bin/sh"),
        (MERGED_USR, b"bin", b"usr/bin"),
        (MERGED_USR, b"usr/bin/sh", b"usr/bin/sh"),
        (MERGED_USR, b"lib64/ld.so", b"usr/lib64/ld.so"),
        (MERGED_USR, b"lib/ld.so", b"usr/lib/ld.so"),
        (MERGED_USR, b"libexec/x", b"libexec/x"),
        (MERGED_USR, b"etc/bin/x", b"etc/bin/x"),
        (MERGED_USR, b"", b""),
        (NESTED, b"a/z", b"x/z"),
        (NESTED, b"a/b/z", b"y/z"),
        (NESTED, b"a/b/c/z", b"z"),
        (NESTED, b"a/b/c", b""),
        (NESTED, b"a/bb", b"x/bb"),
        (NESTED, b"x/z", b"x/z"),
        (STORE, b"gnu/store/abc-profile/bin/sh", b"bin/sh"),
        (STORE, b"gnu/store/abc-profile-2/bin/sh", b"gnu/store/abc-profile-2/bin/sh"),
    ],
)
def test_the_longest_prefix_of_whole_names_wins(placement: Placement, path: bytes, placed: bytes) -> None:
    assert placement.path(path) == placed


def test_the_order_of_rules_does_not_matter() -> None:
    for path in (b"a/z", b"a/b/z", b"a/b/c/z"):
        assert Placement(NESTED.rules[::-1]).path(path) == NESTED.path(path)


@pytest.mark.parametrize(
    ("entry", "placed"),
    [
        (File(b"bin/sh"), File(b"usr/bin/sh")),
        (Directory(b"bin"), Directory(b"usr/bin")),
        (Directory(b"etc"), Directory(b"etc")),
        # a link's target is text, often of an absolute path: it stays
        (Symlink(b"bin/sh", b"/bin/dash"), Symlink(b"usr/bin/sh", b"/bin/dash")),
        (Hardlink(b"bin/b", b"bin/a"), Hardlink(b"usr/bin/b", b"usr/bin/a")),
        (Hardlink(b"usr/bin/b", b"bin/a"), Hardlink(b"usr/bin/b", b"usr/bin/a")),
        (Hardlink(b"bin/b", b"usr/bin/a"), Hardlink(b"usr/bin/b", b"usr/bin/a")),
        # what the rule stands for
        (Symlink(b"bin", b"usr/bin"), Symlink(b"bin", b"usr/bin")),
        (File(b"lib"), File(b"lib")),
    ],
)
def test_entries_land_with_what_they_hold(entry: Entry, placed: Entry) -> None:
    assert list(MERGED_USR.entries([entry])) == [placed]


def test_without_rules_entries_are_as_they_were() -> None:
    entries: list[Entry] = [File(b"a"), Hardlink(b"b", b"a")]
    assert list(Placement().entries(entries)) == entries


def test_the_root_is_no_prefix() -> None:
    with pytest.raises(ValueError, match="rewrites the root"):
        Placement(((b"a", b"b"), (b"", b"opt")))


def test_equal_rules_are_equal_placements() -> None:
    assert Placement(((b"a", b"b"),)) == Placement(((b"a", b"b"),))
    assert Placement(((b"a", b"b"),)) != Placement(((b"a", b"c"),))
