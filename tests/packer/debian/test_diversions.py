from dataclasses import replace

import pytest

from layers.entry import Directory
from layers.reader import Reader
from packer.debian.diversions import Diversion, diversions, folders
from packer.debian.unpacked import Unpacked
from tests.support.debian_packages import merged, package

DASH = "claim_binsh() {\n dpkg-divert --package dash --divert $distrib --add $dfile\n}\nclaim_binsh /bin/sh dash\n"
DASH_13 = DASH.replace("--divert $distrib --add", "--remove")
PROTECTIVE = (
    'for l in a b; do\n dpkg-divert --package p --no-rename --divert "/lib/$l.usr-is-merged" --add "/lib/$l"\ndone\n'
)


@pytest.mark.parametrize(
    ("name", "script", "paths", "skipped"),
    [
        ("dash", DASH, ["/usr/share/man/man1/sh.1.gz", "/bin/sh"], 0),
        ("dash", "true\n", [], 0),
        ("dash", DASH_13, [], 0),
        ("other", "dpkg-divert --package other --rename --divert /a.b --add /a\n", [], 1),
        ("other", PROTECTIVE, [], 2),  # on behalf of p
        ("other", "dpkg-divert --list /a\n", [], 0),
    ],
)
def test_diversions(name: str, script: str, paths: list[str], skipped: int) -> None:
    packages = [package(name, {}, {"postinst": script})]
    with Reader() as reader:
        unpacked = Unpacked(packages, merged(packages)[1].tree, reader)
        assert [diversion.path for diversion in diversions(unpacked)] == paths
    assert len(unpacked.skipped) == skipped


def test_names_that_are_protected() -> None:
    scripts = {
        "preinst": PROTECTIVE,
        "postinst": "dpkg-divert --quiet --package p --remove --no-rename --divert /lib/b.usr-is-merged /lib/b\n",
    }
    packages = [package("p", {}, scripts)]
    with Reader() as reader:
        unpacked = Unpacked(packages, merged(packages)[1].tree, reader)
        assert diversions(unpacked) == (Diversion("/lib/a", "/lib/a.usr-is-merged", "p"),)
    assert not unpacked.skipped


LINKS = (
    'names="bin lib sbin"\nfor d in $names; do\n'
    " dpkg-divert --package base --add --no-rename --divert /$d.usr-is-merged /$d\ndone\n"
)


def test_folders_that_are_links_in_the_root() -> None:
    packages = [
        package("base", {"usr/bin/x": "", "usr/lib/x": "", "usr/sbin/x": ""}, {"preinst": LINKS}),
        replace(package("old", {"usr/bin/y": ""}), paths=(b"/.", b"/bin", b"/bin/y")),
    ]
    with Reader() as reader:
        unpacked = Unpacked(packages, merged(packages)[1].tree, reader)
        made = diversions(unpacked)
        assert [diversion.path for diversion in made] == ["/bin", "/lib", "/sbin"]
        assert list(folders(unpacked, made)) == [Directory(b"bin.usr-is-merged")]
