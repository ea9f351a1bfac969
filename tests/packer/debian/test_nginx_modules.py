import pytest

from layers.entry import Symlink
from layers.reader import Reader
from packer.debian import nginx_modules
from packer.debian.unpacked import Unpacked
from tests.support.debian_packages import merged, package

# debhelper's dh_nginx
SCRIPT = """\
for confpair in mod-a.conf:50-mod-a.conf mod-b.conf:60-mod-b.conf  ; do
    if [ -z "$2" -o "$removed_link" = "true" ]; then
        ln -sf /usr/share/nginx/modules-available/$from \\
            /etc/nginx/modules-enabled/$to
    fi
done
"""
A, B = ("usr/share/nginx/modules-available/mod-a.conf", "usr/share/nginx/modules-available/mod-b.conf")


@pytest.mark.parametrize(
    ("files", "script", "expected"),
    [
        ([A, B], SCRIPT, {"50-mod-a.conf": f"/{A}", "60-mod-b.conf": f"/{B}"}),
        ([B], SCRIPT, {"60-mod-b.conf": f"/{B}"}),
        ([A], SCRIPT.replace("modules-enabled", "others"), {}),
        ([A], SCRIPT.replace("50-mod-a.conf", "../x"), {}),
        ([A], SCRIPT.replace("mod-a.conf:50-mod-a.conf", "$all"), {}),
        ([A], "", {}),
    ],
)
def test_modules_that_are_switched_on(files: list[str], script: str, expected: dict[str, str]) -> None:
    packages = [package("p", dict.fromkeys(files, "x"), {"postinst": script})]
    with Reader() as reader:
        made = list(nginx_modules.entries(Unpacked(packages, merged(packages)[1].tree, reader)))
    folder = "etc/nginx/modules-enabled"
    assert made == [Symlink(f"{folder}/{name}".encode(), target.encode()) for name, target in expected.items()]
