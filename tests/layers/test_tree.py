from collections.abc import Callable, Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.entry import Data, Directory, Entry, File, Hardlink, Meta, Symlink, parents
from layers.errors import ConflictError, EntryError
from layers.tree import Part, Tree, add_parents, merge, overlay, rooted_hardlinks, side_by_side, without


def tree_of(*entries: Entry) -> Tree:
    return Tree({entry.path: entry for entry in entries})


def paths(tree: Tree) -> list[bytes]:
    return [entry.path for entry in tree]


def newer_replaces_older(new: str, old: str) -> bool:
    return new > old


def everything_of(parts: dict[str, Sequence[Entry]]) -> list[Part[str]]:
    return [Part(owner, entries) for owner, entries in parts.items()]


A, B = File(b"x", Data(b"a")), File(b"x", Data(b"b"))


# --- Tree


def test_entries_come_sorted_with_parents_first() -> None:
    names = [b"a/b", b"a-b", b"a", b"a.b", b"a/b/c", b"\xff", b"B"]
    tree = tree_of(*(Directory(name) for name in names))
    assert paths(tree) == [b"B", b"a", b"a/b", b"a/b/c", b"a-b", b"a.b", b"\xff"]
    assert len(tree) == 7
    assert b"a/b" in tree
    assert b"a/c" not in tree
    assert tree.get(b"a") == Directory(b"a")
    assert tree.get(b"nowhere") is None


@pytest.mark.parametrize(
    ("folder", "found"), [(b"a", [b"a/b", b"a/b/c", b"a/d"]), (b"a/b", [b"a/b/c"]), (b"a/d", []), (b"none", [])]
)
def test_below_is_what_lies_in_a_folder(folder: bytes, found: list[bytes]) -> None:
    tree = tree_of(
        Directory(b"a"), Directory(b"a/b"), File(b"a/b/c"), File(b"a/d"), File(b"a-x"), Directory(b"ab"), File(b"ab/c")
    )
    assert [entry.path for entry in tree.below(folder)] == found


def test_everything_is_below_the_root() -> None:
    tree = tree_of(Directory(b"a"), File(b"a/b"), File(b"a-x"))
    assert list(tree.below(b"")) == list(tree)


LINKED = tree_of(
    Symlink(b"bin", b"usr/bin"),
    Directory(b"etc"),
    Symlink(b"etc/mtab", b"../proc/mounts"),
    Symlink(b"etc/up", b"../../../.."),
    Symlink(b"etc/self", b"./../etc/."),
    Directory(b"usr"),
    Directory(b"usr/bin"),
    File(b"usr/bin/dash"),
    Symlink(b"usr/bin/sh", b"dash"),
    Symlink(b"usr/bin/awk", b"/etc/alternatives/awk"),
    Directory(b"etc/alternatives"),
    Symlink(b"etc/alternatives/awk", b"/usr/bin/mawk"),
    File(b"usr/bin/mawk"),
    Hardlink(b"usr/bin/nawk", b"usr/bin/mawk"),
    Symlink(b"usr/lib", b"/usr/lib64/"),
    Symlink(b"one", b"two"),
    Symlink(b"two", b"one"),
    Symlink(b"me", b"me"),
    Symlink(b"deeper", b"deeper/deeper"),
    *(Symlink(b"chain%02d" % number, b"chain%02d" % (number + 1)) for number in range(39)),
    Directory(b"chain39"),
    File(b"chain39/end"),
)


@pytest.mark.parametrize(
    ("path", "real"),
    [
        (b"", b""),
        (b"usr/bin/sh", b"usr/bin/sh"),
        (b"bin/sh", b"usr/bin/sh"),
        (b"/bin//./sh", b"usr/bin/sh"),
        (b"bin", b"bin"),
        (b"bin/../bin", b"usr/bin"),
        (b"bin/../../../../etc/up", b"etc/up"),
        (b"etc/up/usr", b"usr"),
        (b"etc/self/self/self/passwd", b"etc/passwd"),
        (b"usr/lib/x", b"usr/lib64/x"),
        (b"no/such/path", b"no/such/path"),
        (b"one", b"one"),
        (b"chain00/end", b"chain39/end"),
    ],
)
def test_real_follows_links_among_the_parents(path: bytes, real: bytes) -> None:
    assert LINKED.real(path) == real


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (b"bin/sh", b"usr/bin/dash"),
        (b"bin/awk", b"usr/bin/mawk"),
        (b"bin/nawk", b"usr/bin/mawk"),
        (b"etc/self", b"etc"),
        (b"etc/mtab", None),
        (b"usr/bin", b"usr/bin"),
        (b"usr/none", None),
        (b"chain05/end", b"chain39/end"),
    ],
)
def test_follow_finds_what_a_program_would_find(path: bytes, found: bytes | None) -> None:
    entry = LINKED.follow(path)
    assert (entry and entry.path) == found


@pytest.mark.parametrize("path", [b"one/x", b"me/x", b"deeper/x"])
def test_real_refuses_a_circle(path: bytes) -> None:
    with pytest.raises(EntryError, match="circle"):
        LINKED.real(path)


@pytest.mark.parametrize("path", [b"one", b"two", b"me", b"deeper", b"one/x"])
def test_follow_refuses_a_circle(path: bytes) -> None:
    with pytest.raises(EntryError, match="circle"):
        LINKED.follow(path)


# --- merge


def test_folders_of_several_parts_are_one() -> None:
    merged = merge(
        everything_of({"one": [Directory(b"d"), File(b"d/1")], "two": [Directory(b"d"), File(b"d/2")]}),
    )
    assert paths(merged.tree) == [b"d", b"d/1", b"d/2"]
    assert merged.omitted == {}
    assert merged.settled == ()


def test_the_first_part_settles_what_a_folder_is() -> None:
    first, second = Directory(b"d", Meta(0o700)), Directory(b"d", Meta(0o755))
    other = Directory(b"c", Meta(0o711))
    merged = merge(everything_of({"one": [first, Directory(b"c")], "two": [second, other], "three": [second]}))
    assert merged.tree.get(b"d") == first
    assert merged.settled == (Directory(b"c"), first)


def test_the_root_is_no_entry() -> None:
    assert paths(merge(everything_of({"one": [Directory(b"", Meta(0o700)), File(b"f")]})).tree) == [b"f"]


def test_missing_parents_are_added() -> None:
    tree = merge(everything_of({"one": [File(b"a/b/c")], "two": [File(b"a/d"), Directory(b"a", Meta(0o700))]})).tree
    assert [tree.get(path) for path in (b"a", b"a/b")] == [Directory(b"a", Meta(0o700)), Directory(b"a/b")]


def test_all_conflicts_are_named_at_once() -> None:
    parts: dict[str, Sequence[Entry]] = {
        "bash": [File(b"bin/sh"), File(b"bin/bash"), Directory(b"share")],
        "dash": [Symlink(b"bin/sh", b"dash"), File(b"share")],
        "zsh": [File(b"bin/bash"), File(b"bin/sh")],
    }
    with pytest.raises(ConflictError) as caught:
        merge(everything_of(parts))
    assert str(caught.value).splitlines() == [
        "two items want different things at one path:",
        "  /bin/bash is in bash and in zsh",
        "  /bin/sh is in bash and in dash",
        "  /bin/sh is in bash and in zsh",
        "  /share is in bash and in dash",
        "  Leave one of the items out.",
    ]


def test_equal_files_of_two_parts_are_a_conflict_too() -> None:
    """Which of them is removed, upgraded or verified would be open."""
    with pytest.raises(ConflictError):
        merge(everything_of({"one": [A], "two": [A]}))


def test_one_part_cannot_have_a_path_twice() -> None:
    with pytest.raises(ConflictError, match="/x is in one and in one"):
        merge(everything_of({"one": [A, B]}))


@pytest.mark.parametrize("order", [["old", "new"], ["new", "old"]])
def test_what_replaces_wins_in_any_order(order: list[str]) -> None:
    entries: dict[str, Sequence[Entry]] = {"old": [A, File(b"y")], "new": [B]}
    merged = merge([Part(owner, entries[owner]) for owner in order], lambda new, old: (new, old) == ("new", "old"))
    assert merged.tree.get(b"x") == B
    assert merged.omitted == {"old": {b"x"}}


def test_replacing_goes_on_from_part_to_part() -> None:
    third = File(b"x", Data(b"c"))
    merged = merge(everything_of({"1": [A], "2": [B], "3": [third]}), newer_replaces_older)
    assert merged.tree.get(b"x") == third
    assert merged.omitted == {"1": {b"x"}, "2": {b"x"}}


def test_a_settled_folder_that_is_replaced_is_not_settled() -> None:
    parts: dict[str, Sequence[Entry]] = {
        "1": [Directory(b"x", Meta(0o700))],
        "2": [Directory(b"x")],
        "3": [Symlink(b"x", b"y")],
    }
    assert merge(everything_of(parts), newer_replaces_older).settled == ()


@pytest.mark.parametrize("above", [File(b"a"), Symlink(b"a", b"b")])
def test_nothing_lies_below_what_is_no_folder(above: Entry) -> None:
    with pytest.raises(EntryError, match="/a/b lies below /a, which is not a folder"):
        merge(everything_of({"one": [above], "two": [File(b"a/b")]}))


# --- hard links


@pytest.mark.parametrize(
    "entries",
    [
        [File(b"b", Data(b"1")), Hardlink(b"a", b"b"), Hardlink(b"c", b"b")],
        [Hardlink(b"a", b"b"), Hardlink(b"c", b"a"), File(b"b", Data(b"1"))],
        [Hardlink(b"a", b"c"), Hardlink(b"c", b"b"), File(b"b", Data(b"1"))],
        [File(b"a", Data(b"1")), Hardlink(b"b", b"a"), Hardlink(b"c", b"b")],
    ],
)
def test_the_first_name_in_order_is_the_file(entries: list[Entry]) -> None:
    """A layer is written in the order of paths, and a link has to come after its file."""
    tree = merge([Part("one", entries)]).tree
    assert list(tree) == [File(b"a", Data(b"1")), Hardlink(b"b", b"a"), Hardlink(b"c", b"a")]


def test_the_first_name_is_the_first_in_the_order_of_the_tree() -> None:
    tree = merge([Part("one", [Directory(b"d"), File(b"d-x", Data(b"1")), Hardlink(b"d/x", b"d-x")])]).tree
    assert list(tree) == [Directory(b"d"), File(b"d/x", Data(b"1")), Hardlink(b"d-x", b"d/x")]


@pytest.mark.parametrize(
    "parts",
    [
        {"one": [File(b"a")], "two": [Hardlink(b"b", b"a")]},
        {"one": [Hardlink(b"b", b"a")]},
        {"one": [Hardlink(b"b", b"b/c")]},
        {"1": [File(b"a"), Hardlink(b"b", b"a")], "2": [File(b"a", Data(b"new"))]},
    ],
    ids=["another item", "missing", "below itself", "replaced"],
)
def test_links_whose_file_is_elsewhere_are_refused(parts: dict[str, Sequence[Entry]]) -> None:
    with pytest.raises(EntryError, match="/b is a hard link to"):
        merge(everything_of(parts), newer_replaces_older)


@pytest.mark.parametrize("target", [Directory(b"a"), Symlink(b"a", b"x"), Hardlink(b"a", b"b"), Hardlink(b"a", b"a")])
def test_links_to_what_is_no_file_are_refused(target: Entry) -> None:
    with pytest.raises(EntryError, match="not a file of the same item"):
        rooted_hardlinks({b"a": target, b"b": Hardlink(b"b", b"a")})


# --- add_parents


def test_known_parents_are_taken_as_they_are() -> None:
    entries: dict[bytes, Entry] = {b"a/b/c": File(b"a/b/c")}
    add_parents(entries, tree_of(Directory(b"a", Meta(0o700)), File(b"a/x")))
    assert entries == {b"a": Directory(b"a", Meta(0o700)), b"a/b": Directory(b"a/b"), b"a/b/c": File(b"a/b/c")}


def test_a_known_parent_that_is_no_folder_is_refused() -> None:
    with pytest.raises(EntryError, match="/a/b lies below /a"):
        add_parents({b"a/b": File(b"a/b")}, tree_of(Symlink(b"a", b"c")))


# --- overlay


LOWER = tree_of(Directory(b"d"), File(b"f", Data(b"1"), Meta(0o600)), Hardlink(b"g", b"f"), Hardlink(b"h", b"f"))
NEW_F, NEW_G, NEW_H = (File(name, Data(b"2")) for name in (b"f", b"g", b"h"))
OLD = (Data(b"1"), Meta(0o600))


@pytest.mark.parametrize(
    ("upper", "expected"),
    [
        ([], list(LOWER)),
        ([File(b"d/x")], [Directory(b"d"), File(b"d/x"), *list(LOWER)[1:]]),
        ([Directory(b"d", Meta(0o700))], [Directory(b"d", Meta(0o700)), *list(LOWER)[1:]]),
        ([NEW_F], [Directory(b"d"), NEW_F, File(b"g", *OLD), Hardlink(b"h", b"g")]),
        ([NEW_G], [Directory(b"d"), File(b"f", *OLD), NEW_G, Hardlink(b"h", b"f")]),
        ([NEW_F, NEW_G], [Directory(b"d"), NEW_F, NEW_G, File(b"h", *OLD)]),
        ([NEW_G, NEW_F], [Directory(b"d"), NEW_F, NEW_G, File(b"h", *OLD)]),
        ([NEW_F, NEW_H], [Directory(b"d"), NEW_F, File(b"g", *OLD), NEW_H]),
        ([NEW_F, NEW_G, NEW_H], [Directory(b"d"), NEW_F, NEW_G, NEW_H]),
        ([NEW_H, NEW_G, NEW_F], [Directory(b"d"), NEW_F, NEW_G, NEW_H]),
        ([NEW_F, NEW_F], [Directory(b"d"), NEW_F, File(b"g", *OLD), Hardlink(b"h", b"g")]),
        ([Symlink(b"f", b"d")], [Directory(b"d"), Symlink(b"f", b"d"), File(b"g", *OLD), Hardlink(b"h", b"g")]),
    ],
)
def test_what_is_laid_over_wins_and_other_names_of_a_file_stay(upper: list[Entry], expected: list[Entry]) -> None:
    assert list(overlay(LOWER, upper)) == expected
    assert len(LOWER) == 4


@pytest.mark.parametrize("entry", [File(b"d"), Symlink(b"d", b"f"), Directory(b"f"), Directory(b"g")])
def test_a_folder_is_not_laid_over_anything_else(entry: Entry) -> None:
    with pytest.raises(ConflictError, match="both a folder and something else"):
        overlay(LOWER, [entry])


# --- properties

NAMES = st.sampled_from([b"a", b"b", b"c", b"a-b"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)
MAKERS: list[Callable[[bytes], Entry]] = [File, Directory, lambda path: Symlink(path, b"a/b")]
ENTRIES = st.builds(lambda path, make: make(path), PATHS, st.sampled_from(MAKERS))
PARTS = st.lists(st.lists(ENTRIES, max_size=5), max_size=4)


def outcome(parts: list[Part[int]]) -> object:
    """What comes of merging; the message when it is refused."""
    try:
        merged = merge(parts)
    except ConflictError:
        return ConflictError
    except EntryError:
        return EntryError
    return list(merged.tree)


@given(PARTS, st.randoms(use_true_random=False))
def test_without_replacing_the_order_of_parts_and_entries_does_not_matter(
    entries: list[list[Entry]], random: Random
) -> None:
    parts = [Part(number, part) for number, part in enumerate(entries)]
    shuffled = [Part(part.owner, random.sample(list(part.entries), len(list(part.entries)))) for part in parts]
    random.shuffle(shuffled)
    assert outcome(parts) == outcome(shuffled)


@given(PARTS)
def test_a_merged_tree_has_every_parent_and_every_entry_once(entries: list[list[Entry]]) -> None:
    merged = outcome([Part(number, part) for number, part in enumerate(entries)])
    if isinstance(merged, list):
        by_path = {entry.path: entry for entry in merged}
        assert len(by_path) == len(merged)
        assert {entry.path for part in entries for entry in part} <= by_path.keys()
        assert all(isinstance(by_path[above], Directory) for path in by_path for above in parents(path))
        assert list(by_path) == sorted(by_path, key=lambda path: path.split(b"/"))


@given(st.permutations([b"a", b"b", b"c", b"d/e"]), st.lists(st.integers(0, 3), min_size=3, max_size=3))
def test_hard_links_never_lose_a_name(names: list[bytes], targets: list[int]) -> None:
    """Names that link to earlier names in any shape become one file with links to it."""
    entries: list[Entry] = [File(names[0], Data(b"1"))]
    entries += [Hardlink(names[n], names[min(targets[n - 1], n - 1)]) for n in range(1, 4)]
    tree = [entry for entry in merge([Part("one", entries)]).tree if not isinstance(entry, Directory)]
    assert tree == [File(b"a", Data(b"1")), *(Hardlink(name, b"a") for name in (b"b", b"c", b"d/e"))]


# --- what nobody has looked into


class Shelf:
    """Folders that say when they are read."""

    def __init__(self, *names: bytes) -> None:
        self.read: list[bytes] = []
        tree = side_by_side({b"store/" + name: self._reader(name) for name in names})
        assert tree is not None
        self.tree = tree

    def _reader(self, name: bytes) -> Callable[[], Sequence[Entry]]:
        def entries() -> Sequence[Entry]:
            self.read.append(name)
            return [
                Directory(b"store/" + name),
                File(b"store/" + name + b"/file"),
                Symlink(b"store/" + name + b"/x", b"file"),
            ]

        return entries


@pytest.mark.parametrize(
    ("look", "read"),
    [
        (lambda tree: tree.get(b"store"), []),
        (lambda tree: b"elsewhere" in tree, []),
        (lambda tree: b"store/c" in tree, []),
        (lambda tree: bool(tree), []),
        (lambda tree: tree.units(), []),
        (lambda tree: overlay(tree, [File(b"new"), Directory(b"store/new")]), []),
        (lambda tree: tree.get(b"store/a"), [b"a"]),
        (lambda tree: tree.get(b"store/b/nothing"), [b"b"]),
        (lambda tree: tree.follow(b"store/b/x"), [b"b"]),
        (lambda tree: tree.names(b"store"), []),
        (lambda tree: tree.names(b"store/a"), [b"a"]),
        (lambda tree: overlay(tree, [File(b"store/a/new")]), [b"a"]),
        (lambda tree: len(tree), [b"a", b"b"]),
        (lambda tree: list(tree), [b"a", b"b"]),
        (lambda tree: list(tree.below(b"store")), [b"a", b"b"]),
        (lambda tree: list(tree.below(b"")), [b"a", b"b"]),
        (lambda tree: list(tree.below(b"store/a")), [b"a"]),
        (lambda tree: list(tree.below(b"elsewhere")), []),
        (lambda tree: tree.by_path(), [b"a", b"b"]),
    ],
)
def test_only_what_somebody_looks_into_is_read(look: Callable[[Tree], object], read: list[bytes]) -> None:
    shelf = Shelf(b"b", b"a")
    look(shelf.tree)
    assert sorted(set(shelf.read)) == read


def test_units_are_those_of_the_tree_as_it_is() -> None:
    tree = Shelf(b"b", b"a").tree
    units = tree.units()
    assert list(tree.spread(units)) == list(Shelf(b"b", b"a").tree)
    tree.get(b"store/a/file")
    with pytest.raises(KeyError):
        list(tree.spread(units))
    assert list(tree.spread(tree.units())) == list(Shelf(b"b", b"a").tree)


@pytest.mark.parametrize("before", [b"", b"store", b"store/a", b"store/b/file"])
def test_names_are_those_of_a_folder_alone(before: bytes) -> None:
    tree = Shelf(b"b", b"a-b", b"a").tree
    tree.names(before)
    folders = (b"", b"store", b"store/a", b"store/b", b"store/a/file", b"store/a/x", b"elsewhere")
    inside = [b"file", b"x"]
    assert [tree.names(folder) for folder in folders] == [[b"store"], [b"a", b"a-b", b"b"], inside, inside, [], [], []]
    assert tree.names(b"store") == [b"a", b"a-b", b"b"]


@pytest.mark.parametrize("before", [b"", b"store/a", b"store/b/file"])
def test_what_is_read_later_is_all_the_same(before: bytes) -> None:
    shelf = Shelf(b"b", b"a-b", b"a")
    shelf.tree.get(before)
    tree = overlay(shelf.tree, [File(b"store/a/file", Data(b"mine")), File(b"motd")])
    whole = merge([Part("all", list(Shelf(b"b", b"a-b", b"a").tree))]).tree
    expected = overlay(whole, [File(b"store/a/file", Data(b"mine")), File(b"motd")])
    assert list(tree) == list(expected)
    assert tree.by_path() == expected.by_path()
    assert len(tree) == len(expected)
    assert list(tree) == list(expected)


def test_a_tree_lies_side_by_side_only_if_its_parts_do() -> None:
    assert side_by_side({b"a": list, b"a-b": list, b"b": list}) is not None
    assert side_by_side({b"a": list, b"a-b": list, b"a/b": list}) is None


# --- without

FILE, LINK, OTHER = File(b"a", Data(b"x")), Hardlink(b"b", b"a"), Hardlink(b"c", b"b")


@pytest.mark.parametrize(
    ("gone", "left"),
    [
        (set(), [FILE, LINK, Hardlink(b"c", b"a")]),
        ({b"a"}, [File(b"b", Data(b"x")), Hardlink(b"c", b"b")]),
        ({b"a", b"b"}, [File(b"c", Data(b"x"))]),
        ({b"b"}, [FILE, Hardlink(b"c", b"a")]),
        ({b"a", b"b", b"c"}, []),
        ({b"elsewhere"}, [FILE, LINK, Hardlink(b"c", b"a")]),
    ],
)
def test_a_content_goes_with_its_last_name(gone: set[bytes], left: list[Entry]) -> None:
    assert list(without([FILE, LINK, OTHER], gone)) == left


def test_what_is_no_file_goes_by_itself() -> None:
    entries: list[Entry] = [Directory(b"d"), Symlink(b"d/s", b"x"), File(b"d/f")]
    assert list(without(entries, {b"d/s"})) == [entries[0], entries[2]]


def test_a_link_to_nothing_is_refused() -> None:
    with pytest.raises(EntryError, match="/b is a hard link to /a, which is not a file"):
        list(without([LINK], {b"x"}))
