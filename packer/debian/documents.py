"""Files in /etc that postinsts write from here-documents: `cat > /etc/networks <<EOF`."""

import re
from collections.abc import Iterator

from layers.entry import Data, Entry, File
from packer.debian.scripts import heredocs
from packer.debian.unpacked import Unpacked

_TARGET = r">[ \t]*['\"]?(?P<{}>/etc/[^\s'\"<>;|&]+)['\"]?"
_DOCUMENT = r"<<-?[ \t]*['\"]?\w+['\"]?"
_WRITES = re.compile(
    rf"[ \t]*cat[ \t]*(?:{_TARGET.format('before')}[ \t]*{_DOCUMENT}|{_DOCUMENT}[ \t]*{_TARGET.format('behind')})[ \t]*"
)


def entries(unpacked: Unpacked) -> Iterator[Entry]:
    """The files, of those whose text needs no shell."""
    for script in unpacked.scripts("postinst"):
        for document in heredocs(script):
            target = _WRITES.fullmatch(document.line)
            if target is None:
                continue
            path = target["before"] or target["behind"]
            if unpacked.get(path):
                continue
            if not document.literal or set(path) & set("$`*?") or "/../" in path:
                unpacked.skip(script, document.line.strip(), "its text depends on what only a shell knows")
            else:
                yield File(unpacked.real(path), Data(document.body.encode(errors="surrogateescape")))
