"""The base of a root: what belongs to no package, though a system of packages needs it.

On a machine maintainer scripts make it. Here one module for each thing reads it from the packages' data, or from
their scripts as text; no script is run, so that the result is a function of the packages alone.

What wins, at one path: what a package ships stays as it is, but for owners and modes that a package gives its own file
in a script (`attributes`, `handwritten`) or in tmpfiles.d. Of two things made here the first wins, in the order of
`_parts`.

There is no ld.so.cache: without one the dynamic linker looks into its default folders, ld.so(8), which saves a file
whose format changes with the C library, at the price of some failed lookups a program start.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from layers.entry import Entry
from layers.item import Closure
from layers.reader import Reader
from layers.tree import Tree, overlay
from packer.account_files import AccountFiles
from packer.accounts import Accounts, Ids
from packer.databases import dpkg
from packer.debian import (
    adduser,
    alternatives,
    apparmor,
    attributes,
    base_passwd,
    certificates,
    diversions,
    documents,
    folders,
    handwritten,
    host_keys,
    locales,
    name_service,
    nginx_modules,
    pam,
    review,
    services,
    shells,
    sysusers,
    ucf,
)
from packer.debian.package import DebianItem
from packer.debian.unpacked import Unpacked
from packer.skipped import Skipped
from packer.systemd import tmpfiles


@dataclass(frozen=True, slots=True)
class Base:
    """What belongs to no package.

    Attributes:
        entries: sorted by path; parents that the packages have are left out.
        accounts: of /etc/passwd and /etc/group.
        skipped: what maintainer scripts would have done besides, as far as it was seen; sorted.
    """

    entries: tuple[Entry, ...]
    accounts: Accounts
    skipped: tuple[Skipped, ...]


_NEW = Ids()


def entries(
    closure: Closure, tree: Tree, omitted: Mapping[str, frozenset[bytes]], frozen: Ids = _NEW
) -> Iterator[Entry]:
    """The entries that belong to no package; see `base`."""
    yield from base(closure, tree, omitted, frozen).entries


def base(closure: Closure, tree: Tree, omitted: Mapping[str, frozenset[bytes]], frozen: Ids = _NEW) -> Base:
    """Make the base of a root.

    Args:
        closure: the packages; items that are no Debian packages are left out.
        tree: their merged entries.
        omitted: item's path -> placed paths of its files that another package's have replaced.
        frozen: numbers that accounts had before, and keep.

    Raises:
        PackError: a package's file cannot be read, or its database of accounts is malformed.
    """
    packages = [item for item in closure if isinstance(item, DebianItem)]
    with Reader() as reader:
        unpacked = Unpacked(packages, tree, reader)
        made = adduser.add_accounts(unpacked, replace(_first_accounts(unpacked), frozen=frozen))
        known = sysusers.add_accounts(unpacked, made.accounts)
        overrides = attributes.overrides(unpacked, known)
        diverted = diversions.diversions(unpacked)
        chosen: dict[bytes, Entry] = {}
        for entry in (
            *_parts(unpacked, known),
            *made.homes,
            *diversions.folders(unpacked, diverted),
            *dpkg.entries(packages, omitted, diverted, overrides, reader),
        ):
            path = unpacked.real(entry.path)
            if path not in chosen and path not in tree:
                chosen[path] = replace(entry, path=path)
        ids = Ids({user.name: user.uid for user in known.users}, {group.name: group.gid for group in known.groups})
        skipped = review.skipped(unpacked)
        temporary = tmpfiles.entries(overlay(unpacked.tree, chosen.values()), reader, ids)
    for changes in (temporary, handwritten.changes(unpacked, known), attributes.entries(unpacked, known, overrides)):
        chosen.update((entry.path, entry) for entry in changes)
    return Base(tuple(chosen[path] for path in sorted(chosen)), known, skipped)


def _parts(unpacked: Unpacked, known: Accounts) -> Iterator[Entry]:
    """Everything that is made here but the packages' database, what wins before what loses."""
    yield from folders.entries(unpacked)
    yield from AccountFiles().entries(known)
    yield from certificates.entries(unpacked)
    yield from name_service.entries(unpacked)
    yield from shells.entries(unpacked)
    yield from alternatives.entries(unpacked)
    yield from pam.entries(unpacked)
    yield from services.entries(unpacked)
    yield from host_keys.entries(unpacked)
    yield from apparmor.entries(unpacked)
    yield from locales.entries(unpacked)
    yield from ucf.entries(unpacked)
    yield from nginx_modules.entries(unpacked)
    yield from handwritten.entries(unpacked, known)
    yield from documents.entries(unpacked)


def _first_accounts(unpacked: Unpacked) -> Accounts:
    passwd = unpacked.text("/usr/share/base-passwd/passwd.master")
    group = unpacked.text("/usr/share/base-passwd/group.master")
    return base_passwd.accounts(passwd, group) if passwd and group else base_passwd.DEBIAN
