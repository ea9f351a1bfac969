"""Items, what the store makes, and what os.toml declares, become one system."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pytest

from formats.system import Boot, Healthcheck, System
from layers.digest import Digest
from layers.entry import Data, Directory, Entry, File, Meta, Symlink
from layers.errors import ConflictError
from layers.item import Closure, StoreItem
from layers.placement import Placement
from layers.tree import Tree
from packer.assemble import assemble
from packer.config import parse
from packer.supply import OpenStore, OverlapError, Supply, joined
from tests.support.entries import Listed, make_item


@dataclass(frozen=True)
class Shelf:
    """A store of given items, that makes given entries for a system."""

    items: tuple[tuple[Entry, ...], ...]
    made: tuple[Entry, ...] = ()
    base: tuple[Entry, ...] = ()
    name: str = "item"
    placement: Placement = field(default_factory=Placement)

    def closure(self) -> Closure:
        return Closure(
            make_item(f"{self.name}{rank}", *entries, placement=self.placement)
            for rank, entries in enumerate(self.items)
        )

    def system_entries(self, closure: Closure, tree: Tree, omitted: Mapping[str, frozenset[bytes]]) -> Iterable[Entry]:
        return self.made

    def base_entries(self) -> Iterable[Entry]:
        return self.base


def supplies(*shelves: Shelf) -> list[Supply]:
    return [OpenStore(f"store[{place}]", "shelf", shelf).supply() for place, shelf in enumerate(shelves)]


def _system(*shelves: Shelf, table: str = "") -> System:
    text = f'name = "x"\nplatform = "x86_64-linux"\n[store]\ntype = "debian"\npackages = ["bash"]\n{table}'
    given = supplies(*shelves)
    declaration = parse(text, "os.toml")
    return assemble(declaration, declaration.target_platforms[0], given, joined(given), epoch=1, folder="/")


def _file(path: bytes, data: bytes = b"") -> File:
    return File(path, Data(data))


def test_the_declaration_wins_over_the_store_and_the_store_over_items() -> None:
    shelf = Shelf(
        items=((_file(b"a", b"item"), _file(b"b", b"item"), _file(b"c", b"item")),),
        made=(_file(b"b", b"store"), _file(b"c", b"store")),
    )
    system = _system(shelf, table='[os]\nfiles = [{ target = "/c", text = "declared" }]')
    contents = {entry.path: entry.content for entry in system.tree if isinstance(entry, File)}
    assert contents == {b"a": Data(b"item"), b"b": Data(b"store"), b"c": Data(b"declared")}
    assert [entry.path for entry in system.customization] == [b"b", b"c"]


def test_declared_files_go_where_links_lead() -> None:
    shelf = Shelf(items=((_file(b"usr/bin/sh"),),), made=(Symlink(b"bin", b"usr/bin"),))
    system = _system(shelf, table='[os]\nfiles = [{ target = "/bin/tool", text = "" }]')
    assert [entry.path for entry in system.customization] == [b"bin", b"usr", b"usr/bin", b"usr/bin/tool"]


def test_parents_are_restated_as_the_items_have_them() -> None:
    shelf = Shelf(items=((Directory(b"tmp", Meta(0o1777)), _file(b"tmp/a")),))
    system = _system(shelf, table='[os]\nfiles = [{ target = "/tmp/b", text = "" }]')
    assert system.customization[0] == Directory(b"tmp", Meta(0o1777))


def test_folders_that_items_disagree_about_are_settled_on_top() -> None:
    first, second = (Directory(b"d", Meta(0o700)), _file(b"d/a")), (Directory(b"d", Meta(0o755)), _file(b"d/b"))
    system = _system(Shelf(items=(first, second)))
    assert system.customization == (Directory(b"d", Meta(0o700)),)
    assert system.tree.get(b"d") == Directory(b"d", Meta(0o700))


def test_a_folder_cannot_take_the_place_of_a_file() -> None:
    with pytest.raises(ConflictError, match="/a would be both a folder and something else"):
        _system(Shelf(items=((_file(b"a"),),)), table='[os]\nfiles = [{ target = "/a", directory = true }]')


def test_the_way_a_machine_starts_comes_along() -> None:
    init = File(b"sbin/init", Data(b""), Meta(0o755))
    table = '[os]\ninit = "/sbin/init"\nkernel-arguments = ["quiet", "console=ttyS0"]'
    assert _system(Shelf(items=((init,),)), table=table).boot == Boot("/sbin/init", ("quiet", "console=ttyS0"))


def test_annotations_and_the_way_it_runs_come_along() -> None:
    table = '[container]\ncmd = ["sh"]\nports = [80]\nannotations = { "a.b" = "c" }\n'
    system = _system(Shelf(items=((_file(b"a"),),)), table=table)
    assert (system.run.cmd, system.run.ports) == (("sh",), ("80",))
    assert system.annotations == {"a.b": "c"}


def test_placement_reaches_the_layers_of_items() -> None:
    shelf = Shelf(items=((_file(b"bin/sh"),),), placement=Placement(((b"bin", b"usr/bin"),)))
    system = _system(shelf)
    assert [entry.path for entry in system.group_tree(system.closure.items)] == [b"usr", b"usr/bin", b"usr/bin/sh"]


def test_items_of_several_stores_land_where_each_store_has_them_in_a_common_layer() -> None:
    merged = Shelf(items=((_file(b"bin/sh"),),), placement=Placement(((b"bin", b"usr/bin"),)))
    plain = Shelf(items=((_file(b"bin2/x"), _file(b"usr/lib/bin")),), name="plain")
    system = _system(merged, plain)
    paths = [b"bin2", b"bin2/x", b"usr", b"usr/bin", b"usr/bin/sh", b"usr/lib", b"usr/lib/bin"]
    assert [entry.path for entry in system.group_tree(system.closure.items)] == paths
    assert [entry.path for entry in system.tree] == paths
    assert system.customization == ()


def test_a_store_sees_the_tree_of_its_own_items_and_the_items_of_all() -> None:
    seen: list[tuple[list[str], list[bytes]]] = []

    class Watching(Shelf):
        def system_entries(
            self, closure: Closure, tree: Tree, omitted: Mapping[str, frozenset[bytes]]
        ) -> Iterable[Entry]:
            seen.append(([item.path for item in closure], [entry.path for entry in tree]))
            return ()

    _system(Watching(items=((_file(b"x"),),), name="a"), Watching(items=((_file(b"y"),),), name="b"))
    assert seen == [(["a0", "b0"], [b"x"]), (["a0", "b0"], [b"y"])]


def test_one_store_replaces_nothing_of_another() -> None:
    class Greedy(StoreItem):
        def replaces(self, other: StoreItem) -> bool:
            return True

    def greedy(path: str) -> StoreItem:
        return Greedy(path, path, "", Digest.of(path.encode()), 1, (), Listed((_file(b"same"),)))

    class Replacing(Shelf):
        def closure(self) -> Closure:
            return Closure(greedy(f"{self.name}{number}") for number in range(len(self.items)))

    assert _system(Replacing(items=((), ()))).omitted == {"item0": {b"same"}}
    with pytest.raises(OverlapError, match="/same: a file of a0 in "):
        _system(Replacing(items=((),), name="a"), Replacing(items=((),), name="b"))


@pytest.mark.parametrize(
    ("base", "entries", "expected"),
    [
        (_file(b"etc/passwd"), (), [b"etc", b"etc/passwd"]),
        (_file(b"etc/passwd"), (_file(b"etc/passwd", b"mine"),), []),
        (_file(b"etc/passwd"), (Symlink(b"etc", b"usr/etc"), _file(b"usr/etc/x")), []),
        (Symlink(b"tmp", b"var/tmp"), (Directory(b"tmp"),), []),
        (Directory(b"root", Meta(0o700)), (_file(b"root/x"),), [b"root"]),
        (Directory(b"root", Meta(0o700)), (Directory(b"root", Meta(0o755)),), []),
    ],
)
def test_what_a_root_is_to_have_is_made_where_nothing_is(
    base: Entry, entries: tuple[Entry, ...], expected: list[bytes]
) -> None:
    with_base = Shelf(items=(), base=(base,), name="a")
    for shelves in ((with_base, Shelf(items=(entries,))), (Shelf(items=(entries,), base=(base,)),)):
        assert [entry.path for entry in _system(*shelves).customization] == expected


def test_a_folder_that_is_only_above_something_does_not_decide_how_it_is() -> None:
    above, stated = Shelf(items=((_file(b"d/x"),),), name="a"), Shelf(items=((Directory(b"d", Meta(0o700)),),))
    for shelves in ((above, stated), (stated, above)):
        system = _system(*shelves)
        assert system.customization == (Directory(b"d", Meta(0o700)),)
        assert system.tree.get(b"d") == Directory(b"d", Meta(0o700))


def test_the_very_same_thing_may_be_made_by_two_stores() -> None:
    made = (_file(b"db", b"items of both"), Symlink(b"l", b"db"))
    assert _system(Shelf(items=(), made=made), Shelf(items=(), made=made)).customization == made
    with pytest.raises(OverlapError, match=r"/db: a file that store\[0\] \(shelf\) makes and a file that store\[1\]"):
        _system(Shelf(items=(), made=made), Shelf(items=(), made=(_file(b"db", b"items of one"),)))
    with pytest.raises(OverlapError, match=r"/db: a file that store\[0\] \(shelf\) makes and a file of item0 in"):
        _system(Shelf(items=(), made=made), Shelf(items=((_file(b"db", b"items of both"),),)))


def test_two_stores_with_one_item() -> None:
    with pytest.raises(OverlapError, match=r"item0 is in store\[0\] \(shelf\) and in store\[1\] \(shelf\)"):
        _system(Shelf(items=((_file(b"a"),),)), Shelf(items=((_file(b"b"),),)))


def test_a_healthcheck_is_told_in_nanoseconds() -> None:
    table = "[container.healthcheck]\ntest = 'true'\ntimeout = '1.5s'\nstart-period = '2m'\nretries = 4"
    checked, plain = (_system(Shelf(items=()), table=of).run.healthcheck for of in (table, ""))
    assert checked == Healthcheck(("CMD-SHELL", "true"), timeout=1_500_000_000, start_period=120 * 10**9, retries=4)
    assert plain is None
