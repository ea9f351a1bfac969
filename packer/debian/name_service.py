"""/etc/nsswitch.conf: libc-bin's, with the services that packages add (nsswitch.conf(5)).

debhelper's dh_installnss leaves in each postinst what it does: `# Installing hosts/mymachines from libnss-mymachines
in position before=resolve,dns`, with an action (`resolve [!UNAVAIL=return]`) in brackets behind the service.
"""

import re
from collections.abc import Iterator

from layers.entry import Data, Entry, File
from packer.debian.unpacked import Unpacked

SOURCE = "/usr/share/libc-bin/nsswitch.conf"

#: For roots that have a C library and no libc-bin; hosts must say `files`, or /etc/hosts is asked last.
DEFAULT = """\
passwd:         files
group:          files
shadow:         files
gshadow:        files

hosts:          files dns
networks:       files

protocols:      db files
services:       db files
ethers:         db files
rpc:            db files

netgroup:       nis
"""

_INSTALLING = re.compile(r"# Installing (\w+)/(\w+)[ \t]*(\[[^\]\n]*\])? from \S+ in position (\S+)")
_SERVICE = re.compile(r"[^\s\[\]]+(?:\s+\[[^\]]*\])?")


def entries(unpacked: Unpacked) -> Iterator[Entry]:
    """The file."""
    text = unpacked.text(SOURCE) or DEFAULT
    for script in unpacked.scripts("postinst"):
        for database, service, action, position in _INSTALLING.findall(script.text):
            changed = insert(text, database, f"{service} {action}".strip(), position)
            if changed == text:
                unpacked.skip(script, f"{database}/{service}", f"/etc/nsswitch.conf has no place {position}")
            text = changed
    yield File(b"etc/nsswitch.conf", Data(text.encode(errors="surrogateescape")))


def insert(text: str, database: str, service: str, position: str) -> str:
    """The file with one more service.

    Args:
        text: the file.
        database: whose line.
        service: name, with its action.
        position: `first`, `last`, or `before=A,B` and `after=A,B`: at the first of these that is there.
    """
    line = re.search(rf"(?m)^{re.escape(database)}:[ \t]+([^#\n]*?)[ \t]*(?=#|$)", text)
    if line is None:
        return text
    services = _SERVICE.findall(line.group(1))
    place = _place([found.split()[0] for found in services], position)
    if place is None or service.split()[0] in (found.split()[0] for found in services):
        return text
    services.insert(place, service)
    return text[: line.start(1)] + " ".join(services) + text[line.end(1) :]


def _place(names: list[str], position: str) -> int | None:
    where, _, others = position.partition("=")
    if where in ("first", "last"):
        return 0 if where == "first" else len(names)
    present = [name for name in others.split(",") if name in names]
    return names.index(present[0]) + (where == "after") if present else None
