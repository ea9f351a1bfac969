import pytest

from layers.entry import Data, File
from layers.reader import Reader
from packer.debian import shells
from packer.debian.unpacked import Unpacked
from tests.support.debian_packages import Package, merged, package

TEMPLATE = package("debianutils", {"usr/share/debianutils/shells": "# valid shells\n/bin/sh\n", "bin/sh": ""})
BASH = package("bash", {"usr/share/debianutils/shells.d/bash": "/bin/bash # b\n\n/opt/bash\n"})
TCSH = package("tcsh", {}, {"postinst": "add-shell /bin/tcsh /usr/bin/tcsh\nadd-shell $x\n"})


@pytest.mark.parametrize(
    ("packages", "listed", "state"),
    [
        ((TEMPLATE,), ["/bin/sh", "/usr/bin/sh"], ["/bin/sh", "/usr/bin/sh"]),
        (
            (TEMPLATE, BASH),
            ["/bin/sh", "/usr/bin/sh", "/bin/bash", "/usr/bin/bash", "/opt/bash"],
            ["/bin/sh", "/usr/bin/sh", "/bin/bash", "/usr/bin/bash", "/opt/bash"],
        ),
        ((TEMPLATE, TCSH), ["/bin/sh", "/usr/bin/sh", "/bin/tcsh", "/usr/bin/tcsh"], ["/bin/sh", "/usr/bin/sh"]),
    ],
)
def test_lists(packages: tuple[Package, ...], listed: list[str], state: list[str]) -> None:
    with Reader() as reader:
        found = {entry.path: entry for entry in shells.entries(Unpacked(packages, merged(packages)[1].tree, reader))}
    texts = {
        path: entry.content.data.decode().splitlines()
        for path, entry in found.items()
        if isinstance(entry, File) and isinstance(entry.content, Data)
    }
    assert texts == {b"etc/shells": ["# valid shells", *listed], b"var/lib/shells.state": state}


def test_nothing_without_debianutils() -> None:
    with Reader() as reader:
        assert list(shells.entries(Unpacked([BASH], merged([BASH])[1].tree, reader))) == []
