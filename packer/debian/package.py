"""A Debian package as a store item."""

from collections.abc import Mapping
from dataclasses import dataclass

from layers.entry import Content
from layers.item import StoreItem


@dataclass(frozen=True, slots=True, eq=False)
class DebianItem(StoreItem):
    """A binary package: its `path` is `NAME_VERSION_ARCHITECTURE`, its `identity` the digest of the .deb.

    Attributes:
        architecture: Debian's name, or `all`.
        multi_arch: the field Multi-Arch: `same`, `foreign`, `allowed` or empty.
        source: name of the source package.
        stanza: the control file to the letter, without an empty line at its end.
        members: the other files of control.tar by name: `postinst`, `conffiles`, `md5sums`, `triggers`, …
        paths: every path of data.tar in its order, as packages have them: `/.`, `/bin`, `/bin/bash`.
        digests: MD5 in hexadecimal by path (as in `paths`): of conffiles; of all files if there is no `md5sums`.
    """

    architecture: str
    multi_arch: str
    source: str
    stanza: str
    members: Mapping[str, Content]
    paths: tuple[bytes, ...]
    digests: Mapping[bytes, str]
