"""Modules of nginx that their packages switch on: links in /etc/nginx/modules-enabled, which nginx.conf includes.

debhelper's dh_nginx has postinsts make them of pairs, each the name of a file and that of the link to it.
"""

import re
from collections.abc import Iterator

from layers.entry import Entry, Symlink
from packer.debian.unpacked import Unpacked

_ENABLED = "/etc/nginx/modules-enabled"
_AVAILABLE = "/usr/share/nginx/modules-available"
_PAIRS = re.compile(r"^for confpair in ([\w.: -]+);", re.MULTILINE)


def entries(unpacked: Unpacked) -> Iterator[Entry]:
    """The links to files that are there."""
    for script in unpacked.scripts("postinst"):
        for pairs in _PAIRS.findall(script.text) if f"{_ENABLED}/$to" in script.text else ():
            for source, _, name in (pair.partition(":") for pair in pairs.split()):
                if name and unpacked.follow(f"{_AVAILABLE}/{source}"):
                    yield Symlink(f"{_ENABLED}/{name}".strip("/").encode(), f"{_AVAILABLE}/{source}".encode())
