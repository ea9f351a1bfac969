"""Items, what the store makes, and what os.toml declares, become one system."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pytest

from formats.system import System
from layers.entry import Data, Directory, Entry, File, Meta, Symlink
from layers.errors import ConflictError
from layers.item import Closure
from layers.placement import Placement
from layers.tree import Tree
from packer.assemble import assemble
from packer.config import parse
from tests.support.entries import make_item


@dataclass(frozen=True)
class Shelf:
    """A store of given items, that makes given entries for a system."""

    items: tuple[tuple[Entry, ...], ...]
    made: tuple[Entry, ...] = ()
    placement: Placement = field(default_factory=Placement)

    def closure(self) -> Closure:
        return Closure(make_item(f"item{rank}", *entries) for rank, entries in enumerate(self.items))

    def system_entries(self, closure: Closure, tree: Tree, omitted: Mapping[str, frozenset[bytes]]) -> Iterable[Entry]:
        return self.made


def _system(shelf: Shelf, table: str = "") -> System:
    text = f'name = "x"\nplatform = "x86_64-linux"\n[store]\ntype = "debian"\npackages = ["bash"]\n{table}'
    return assemble(parse(text, "os.toml"), shelf, shelf.closure(), epoch=1, folder="/")


def _file(path: bytes, data: bytes = b"") -> File:
    return File(path, Data(data))


def test_the_declaration_wins_over_the_store_and_the_store_over_items() -> None:
    shelf = Shelf(
        items=((_file(b"a", b"item"), _file(b"b", b"item"), _file(b"c", b"item")),),
        made=(_file(b"b", b"store"), _file(b"c", b"store")),
    )
    system = _system(shelf, '[os]\nfiles = [{ target = "/c", text = "declared" }]')
    contents = {entry.path: entry.content for entry in system.tree if isinstance(entry, File)}
    assert contents == {b"a": Data(b"item"), b"b": Data(b"store"), b"c": Data(b"declared")}
    assert [entry.path for entry in system.customization] == [b"b", b"c"]


def test_declared_files_go_where_links_lead() -> None:
    shelf = Shelf(items=((_file(b"usr/bin/sh"),),), made=(Symlink(b"bin", b"usr/bin"),))
    system = _system(shelf, '[os]\nfiles = [{ target = "/bin/tool", text = "" }]')
    assert [entry.path for entry in system.customization] == [b"bin", b"usr", b"usr/bin", b"usr/bin/tool"]


def test_parents_are_restated_as_the_items_have_them() -> None:
    shelf = Shelf(items=((Directory(b"tmp", Meta(0o1777)), _file(b"tmp/a")),))
    system = _system(shelf, '[os]\nfiles = [{ target = "/tmp/b", text = "" }]')
    assert system.customization[0] == Directory(b"tmp", Meta(0o1777))


def test_folders_that_items_disagree_about_are_settled_on_top() -> None:
    first, second = (Directory(b"d", Meta(0o700)), _file(b"d/a")), (Directory(b"d", Meta(0o755)), _file(b"d/b"))
    system = _system(Shelf(items=(first, second)))
    assert system.customization == (Directory(b"d", Meta(0o700)),)
    assert system.tree.get(b"d") == Directory(b"d", Meta(0o700))


def test_a_folder_cannot_take_the_place_of_a_file() -> None:
    with pytest.raises(ConflictError, match="/a would be both a folder and something else"):
        _system(Shelf(items=((_file(b"a"),),)), '[os]\nfiles = [{ target = "/a", directory = true }]')


def test_annotations_and_the_way_it_runs_come_along() -> None:
    table = '[container]\ncmd = ["sh"]\nports = [80]\nannotations = { "a.b" = "c" }\n'
    system = _system(Shelf(items=((_file(b"a"),),)), table)
    assert (system.run.cmd, system.run.ports) == (("sh",), ("80",))
    assert system.annotations == {"a.b": "c"}


def test_placement_reaches_the_layers_of_items() -> None:
    shelf = Shelf(items=((_file(b"bin/sh"),),), placement=Placement(((b"bin", b"usr/bin"),)))
    system = _system(shelf)
    assert [entry.path for entry in system.group_tree(system.closure.items)] == [b"usr", b"usr/bin", b"usr/bin/sh"]
