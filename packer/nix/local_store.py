"""Stores of Nix and Guix on this machine: what both share, options and all."""

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from pydantic_core import InitErrorDetails

from layers.entry import Entry
from layers.errors import InputError
from layers.item import Closure, NarItem
from layers.tree import Tree
from packer import forms
from packer.document import Location, quoted
from packer.forms import Form
from packer.nix import roots as image
from packer.nix.contents import StoreContents
from packer.nix.database import StoreDatabase, ask
from packer.nix.item import nar_item
from packer.nix.layout import GUIX, NIX, Layout
from packer.nix.links import LinkError, Root
from packer.nix.registration import read_registration
from packer.nix.valid_path import ValidPath, closure
from packer.record import Record, failure, mistake, settings
from packer.stores import StoreContext

_PART = r"[0-9A-Za-z_][0-9A-Za-z+._-]*"
_INNER = r"(?!\.{1,2}(?:/|$))[^/\x00-\x1f\x7f]+"

#: Below the folder of profiles.
Profile = Annotated[
    str,
    Form(rf"(?:{_PART}(?:/{_PART})*)?", "the name of a profile, such as system or per-user/root/profile"),
    Field(description="The profile whose first generation the first root is; without one it is a plain root."),
]

#: Path in the image -> path in the roots.
Symlinks = Annotated[
    Mapping[
        Annotated[str, forms.PATH],
        Annotated[str, Form(rf"\.|{_INNER}(?:/{_INNER})*", "a path in the roots, such as bin, or . for all of a root")],
    ],
    Field(
        description="Links in the image: path of the link = path in the roots. Where several roots have that folder,"
        " it becomes a folder of links to what is in all of them; of files at one path, the first root's is linked."
        ' `"/" = "."` links all that roots have at their tops.'
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True, config=settings())
class LocalOptions(Record):
    """Items of a store on this machine with all that they need."""

    LOCKED: ClassVar[tuple[str, ...]] = ("roots",)
    ONE_PLATFORM: ClassVar[str] = "its roots were built for one"
    LAYOUT: ClassVar[Layout]

    roots: Annotated[
        tuple[Annotated[str, forms.NOT_EMPTY], ...],
        Field(
            min_length=1,
            description="Items to have, or links that lead to some, such as profiles. The first one is the system."
            " Absolute paths are below `root`, relative ones are links in os.toml's folder, such as `result`.",
        ),
    ]
    root: Annotated[
        str,
        forms.NOT_EMPTY,
        forms.HOST_FOLDER,
        Field(description="The folder below which the store and its database are; links do not lead out of it."),
    ] = "/"
    registration: Annotated[
        str,
        forms.HOST_FILE,
        Field(
            description="A file that says what the store has, relative to os.toml's folder, in place of the database:"
            " what nix-store --dump-db, closureInfo or a references graph writes."
        ),
    ] = ""
    register: Annotated[
        bool, Field(description="Whether the image has the store's database, for the package manager in it.")
    ] = True
    profile: Profile = "system"
    symlinks: Symlinks = Field(default_factory=dict)

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """Links have places where they can be."""
        return misplaced_symlinks(table.get("symlinks"))

    def below(self, folder: str) -> Root:
        """The root of the paths that are absolute.

        Args:
            folder: of os.toml, absolute.
        """
        return Root(os.path.normpath(os.path.join(folder, self.root)))

    def refusals(self, folder: str) -> Iterator[tuple[Location, InputError]]:
        """What is wrong with roots, by key: with all of them, if there is no store.

        Args:
            folder: of os.toml, absolute.
        """
        below = self.below(folder)
        if not os.path.isdir(below.folder):  # what names it says so
            return
        if not _has_store(below, self.LAYOUT):
            message = f"there is no store {self.LAYOUT.store} below {below.folder}"
            yield (
                ("root",),
                InputError(message, hint="It is the folder below which the store is; `/` without this key."),
            )
            return
        for place, given in enumerate(self.roots):
            try:
                _require(below, self.LAYOUT, _item_of(given, below, self.LAYOUT, folder))
            except InputError as error:
                yield ("roots", place), error


def _has_store(below: Root, layout: Layout) -> bool:
    """Whether the store's folder is there; or may be: who may not look cannot tell."""
    try:
        below.resolve(layout.store)
    except LinkError as error:
        return not isinstance(error.__cause__, FileNotFoundError | NotADirectoryError)
    return True


def _item_of(given: str, below: Root, layout: Layout, folder: str) -> str:
    """The item that a root is, or leads to."""
    path = given if given.startswith("/") else _linked(os.path.join(folder, given))
    leads = below.resolve(path, lambda path: layout.item_of(path) is not None)
    item = layout.item_of(leads)
    if item is None:
        what = "is" if leads == given else f"leads to {leads}, which is"
        raise LinkError(f"{given} {what} no item of {layout.store}")
    return item


def _linked(link: str) -> str:
    try:
        target = os.readlink(link)
    except OSError as error:
        raise LinkError(
            f"{link} is no link to an item", hint="Only links, such as nix-build's `result`, have relative paths."
        ) from error
    if not target.startswith("/"):
        raise LinkError(f"{link} leads to {target}, which is no absolute path")
    return target


def _require(below: Root, layout: Layout, item: str) -> None:
    """See that an item is there; whether it is registered is for its database to say."""
    store = below.on_host(below.resolve(layout.store))
    try:
        os.lstat(os.path.join(store, os.path.basename(item)))
    except (FileNotFoundError, NotADirectoryError):
        raise LinkError(f"there is no {item} in {store}") from None
    except OSError:
        return  # who may not look cannot tell; who reads it can


def misplaced_symlinks(symlinks: object) -> Iterable[InitErrorDetails]:
    """What is wrong with links that would change an item, or are to be in what a link leads to."""
    paths = dict.fromkeys(path for path in symlinks if isinstance(path, str)) if isinstance(symlinks, Mapping) else {}
    for path in paths:
        for store in (NIX.store, GUIX.store):
            if path == store or path.startswith(f"{store}/"):
                message = f"{quoted(path)} is in the store, where nothing but items can be"
                yield failure(mistake(message, hint="put the link somewhere else"), "symlinks", path)
        parts = path.split("/")
        above = next((link for end in range(2, len(parts)) if (link := "/".join(parts[:end])) in paths), None)
        if above:
            message = f"{quoted(path)} is below {quoted(above)}, which is a link itself"
            hint = f"keep one of them: what is below {above} is what that link leads to"
            yield failure(mistake(message, hint=hint), "symlinks", path)


class LocalStore:
    """A store on this machine.

    Args:
        layout: whose it is.
        options: what is wanted.
        context: what may be used.
    """

    def __init__(self, layout: Layout, options: LocalOptions, context: StoreContext) -> None:
        self._layout = layout
        self._options = options
        self._context = context
        self._root = options.below(context.folder)

    def closure(self) -> Closure:
        """The roots and all that they refer to.

        Raises:
            LinkError: a root leads nowhere, or not to an item.
            UnknownRootError: a root is not registered.
            NoDatabaseError: there is no store.
            PackError: the store cannot be read, or cannot be as it says.
        """
        folder = os.fsencode(self._root.on_host(self._root.resolve(self._layout.store)))
        return Closure((self._item(valid, folder) for valid in self._valid_paths()), self._roots)

    def system_entries(
        self,
        closure: Closure,
        tree: Tree,
        omitted: Mapping[str, frozenset[bytes]],  # noqa: ARG002  # items of a store never overlap
    ) -> Iterable[Entry]:
        """The store's folder, its database, and the roots.

        Raises:
            SymlinkError: links cannot be made.
            PackError: a derivation cannot be read.
        """
        context = self._context
        return image.entries(
            self._layout, closure, self._roots, tree, self._options, context.epoch, context.progress.warn
        )

    def base_entries(self) -> Iterable[Entry]:
        """Accounts and folders: items bring none."""
        return image.base(self._layout)

    @cached_property
    def _roots(self) -> tuple[str, ...]:
        """Items, without doubles; looked up once, because profiles change."""
        return tuple(dict.fromkeys(self._found(place, root) for place, root in enumerate(self._options.roots)))

    def _found(self, place: int, given: str) -> str:
        try:
            return _item_of(given, self._root, self._layout, self._context.folder)
        except InputError as error:
            raise LinkError(f"store.roots[{place}]: {error.args[0]}", hint=error.hint) from error

    def _valid_paths(self) -> list[ValidPath]:
        if self._options.registration:
            file = os.path.join(self._context.folder, self._options.registration)
            return closure(read_registration(file, self._layout).get, self._roots, file)
        database = self._root.on_host(self._resolved_database())

        def question(answering: StoreDatabase) -> list[ValidPath]:
            return closure(answering.find, self._roots, database)

        return ask(database, self._layout, self._context.cache, question)

    def _resolved_database(self) -> str:
        folder, _, name = self._layout.database.rpartition("/")
        return f"{self._root.resolve(folder)}/{name}"

    def _item(self, valid: ValidPath, folder: bytes) -> NarItem:
        base = os.fsencode(os.path.basename(valid.path))
        contents = StoreContents(os.fsencode(valid.path.strip("/")), os.path.join(folder, base))
        nar_hash, nar_size = (valid.nar_hash, valid.nar_size) if valid.nar_hash else contents.nar_hash()
        return nar_item(valid, contents, nar_hash, nar_size)
