import pytest

from layers.entry import File
from layers.reader import Reader
from packer.debian import apparmor
from packer.debian.unpacked import Unpacked
from tests.support.debian_packages import merged, package

# debhelper's dh_apparmor
SCRIPT = """\
if [ "$1" = "configure" ]; then
    APP_PROFILE="/etc/apparmor.d/usr.bin.man"
    if [ -f "$APP_PROFILE" ]; then
        LOCAL_APP_PROFILE="/etc/apparmor.d/local/usr.bin.man"
"""


@pytest.mark.parametrize(
    ("files", "script", "expected"),
    [
        ({"etc/apparmor.d/usr.bin.man": "x"}, SCRIPT, [File(b"etc/apparmor.d/local/usr.bin.man")]),
        ({}, SCRIPT, []),
        ({"etc/apparmor.d/usr.bin.man": "x"}, SCRIPT.replace("usr.bin.man", "../x"), []),
        ({"etc/apparmor.d/usr.bin.man": "x"}, "", []),
    ],
)
def test_places_for_local_rules(files: dict[str, str], script: str, expected: list[File]) -> None:
    packages = [package("p", dict(files), {"postinst": script})]
    with Reader() as reader:
        assert list(apparmor.entries(Unpacked(packages, merged(packages)[1].tree, reader))) == expected
