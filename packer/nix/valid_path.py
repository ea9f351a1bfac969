"""Valid paths: what a store says about its items, in its database or in a registration file; checked here for both.

What is said comes from outside: a path that is not in the store, a hash that is none, or a number where a text should
be stops the build and names the row.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from layers.digest import Digest, DigestError
from layers.errors import InputError, PackError
from packer.nix.base32 import parse_sha256
from packer.nix.layout import Layout

_LARGEST = 1 << 62  # bytes: no file system has more
_MOST_SHOWN = 200  # characters of something wrong
_SIGNATURE = re.compile(r"[!-9;-~]{1,255}:[0-9A-Za-z+/]{1,1024}={0,2}")
_CONTENT_ADDRESS = re.compile(r"(?:text|fixed(?::[a-z]+)?):[a-z0-9]+[:-][0-9A-Za-z+/=]+")


class RegistrationError(PackError):
    """What is said about an item cannot be true.

    Attributes:
        origin: the database or file that says it.
        item: the item, as the row calls it.
    """

    def __init__(self, origin: str, item: object, what: str, *, hint: str = "") -> None:
        super().__init__(f"{origin}: {shown(item)}: {what}", hint=hint)
        self.origin = origin
        self.item = item


class UnknownRootError(InputError):
    """A root that the store does not have."""


@dataclass(frozen=True, slots=True)
class ValidPath:
    """What a store says about an item.

    Attributes:
        path: of the item.
        nar_hash: of its NAR; None if its store does not say.
        nar_size: bytes of its NAR; 0 if its store does not say.
        references: paths of the items that it refers to, which may have the item itself; sorted.
        deriver: path of the derivation that built it, or empty.
        signatures: `KEY:BASE64`, sorted.
        content_address: for items that are named by their contents, or empty.
        ultimate: whether this store built it.
    """

    path: str
    nar_hash: Digest | None
    nar_size: int
    references: tuple[str, ...]
    deriver: str = ""
    signatures: tuple[str, ...] = ()
    content_address: str = ""
    ultimate: bool = False


def shown(value: object) -> str:
    """Something from outside, as a message can have it."""
    text = value if isinstance(value, str) and value.isascii() and value.isprintable() and value else ascii(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def checked(layout: Layout, origin: str, row: Mapping[str, object], references: Iterable[object]) -> ValidPath:
    """What a row says.

    Args:
        layout: of the store.
        origin: what the row is from, for the message.
        row: the columns of ValidPaths by their names, None where nothing is known; without `hash` and `narSize`
            where nobody was to know them.
        references: of the item.

    Raises:
        RegistrationError: it cannot be true.
    """
    check = _Row(layout, origin, row)
    path = check.item("path", row.get("path"))
    return ValidPath(
        path=path,
        nar_hash=check.digest(),
        nar_size=check.size(),
        references=tuple(sorted({check.item("a reference", reference) for reference in references})),
        deriver=check.item("deriver", row["deriver"]) if check.text("deriver") else "",
        signatures=check.signatures(),
        content_address=check.content_address(),
        ultimate=check.number("ultimate") != 0,
    )


def closure(find: Callable[[str], ValidPath | None], roots: Iterable[str], origin: str) -> list[ValidPath]:
    """The roots and all that they refer to.

    Args:
        find: what is said about a path.
        roots: paths of items.
        origin: what says it, for the message.

    Raises:
        UnknownRootError: nothing is said about a root.
        RegistrationError: nothing is said about an item that another one refers to.
    """
    found: dict[str, ValidPath] = {}
    wanted = dict.fromkeys(sorted(roots, reverse=True), "")
    while wanted:
        path, referrer = wanted.popitem()
        valid = find(path)
        if valid is None and referrer:
            raise RegistrationError(origin, referrer, f"it refers to {path}, which is not registered")
        if valid is None:
            raise UnknownRootError(f"{origin}: {path} is not registered", hint="Is it a path of this store?")
        found[path] = valid
        wanted.update((reference, path) for reference in valid.references if reference not in found)
    return [found[path] for path in sorted(found)]


@dataclass(frozen=True, slots=True)
class _Row:
    layout: Layout
    origin: str
    row: Mapping[str, object]

    def item(self, column: str, value: object) -> str:
        if not isinstance(value, str) or not self.layout.is_item(value):
            raise self.wrong(f"{column} is {shown(value)}, which is no path of an item of {self.layout.store}")
        return value

    def text(self, column: str) -> str:
        value = self.row.get(column)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.wrong(f"{column} is {shown(value)}, which is no text")
        return value

    def number(self, column: str) -> int:
        value = self.row.get(column)
        if value is None:
            return 0
        if not isinstance(value, int) or not 0 <= value <= _LARGEST:
            raise self.wrong(f"{column} is {shown(value)}, which is no number from 0 to {_LARGEST}")
        return value

    def digest(self) -> Digest | None:
        if "hash" not in self.row:
            return None
        text = self.text("hash")
        try:
            return parse_sha256(text)
        except DigestError:
            raise self.wrong(f"hash is {shown(text)}, which is no SHA-256") from None

    def size(self) -> int:
        size = self.number("narSize")
        if "hash" in self.row and not size:
            hint = "nix-store --verify --check-contents fills in what old stores did not write."
            raise self.wrong("narSize is not known", hint=hint)
        return size

    def signatures(self) -> tuple[str, ...]:
        signatures = self.text("sigs").split()
        for signature in signatures:
            if not _SIGNATURE.fullmatch(signature):
                raise self.wrong(f"sigs has {shown(signature)}, which is not of the form KEY:BASE64")
        return tuple(sorted(set(signatures)))

    def content_address(self) -> str:
        text = self.text("ca")
        if text and not _CONTENT_ADDRESS.fullmatch(text):
            raise self.wrong(f"ca is {shown(text)}, which is no content address")
        return text

    def wrong(self, what: str, *, hint: str = "") -> RegistrationError:
        return RegistrationError(self.origin, self.row.get("path"), what, hint=hint)
