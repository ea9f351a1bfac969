"""The host's name, in /etc/hostname (hostname(5)) and /etc/hosts (hosts(5)).

127.0.1.1 is the address that Debian gives a machine's own name, so that it is known without a network.
"""

from collections.abc import Iterator

from layers.entry import Data, Entry, File

_HOSTS = "127.0.0.1\tlocalhost\n127.0.1.1\t{names}\n::1\t\tlocalhost ip6-localhost ip6-loopback\n"


def entries(name: str | None) -> Iterator[Entry]:
    """Both files; nothing without a name."""
    if name:
        names = name if "." not in name else f"{name} {name.partition('.')[0]}"
        yield File(b"etc/hostname", Data(f"{name}\n".encode()))
        yield File(b"etc/hosts", Data(_HOSTS.format(names=names).encode()))
