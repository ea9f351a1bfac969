import re
from pathlib import Path

import pytest

from layers.reader import Reader
from packer.debian import review
from packer.debian.scripts import Script, programs
from packer.debian.unpacked import Unpacked
from packer.skipped import Skipped
from tests.support.debian_packages import merged, package

BLOCK = """\
# Automatically added by {tool}/13.11.4
if [ "$1" = "configure" ]; then
	do-something
fi
# End automatically added section
"""

CASE = """\
#!/bin/sh
set -e
case "$1" in
  configure)
  ;;
  abort-upgrade|abort-remove)
  ;;
  *)
    echo "postinst called with unknown argument \\`$1'" >&2
    exit 1
  ;;
esac
"""


def script(text: str) -> Script:
    return Script("p", "postinst", text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#!/bin/sh\nset -e\n\nexit 0\n",
        "#!/bin/sh -e\n" + BLOCK.format(tool="dh_installsystemd"),
        CASE,
        'if [ "$1" = configure ]; then\n  :\nfi\n',
    ],
)
def test_scripts_without_anything_of_their_own(text: str) -> None:
    assert review.residue(script(text)) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#!/bin/sh\n\nset -e\n# why\n  chmod   700 /a\n", "set -e\nchmod 700 /a\n"),
        ("chmod 700 /a\n" + BLOCK.format(tool="dh_installtmpfiles"), "chmod 700 /a\n"),
        (BLOCK.format(tool="dh_unheard_of"), 'if [ "$1" = "configure" ]; then\ndo-something\nfi\n'),
    ],
)
def test_residues(text: str, expected: str) -> None:
    assert review.residue(script(text)) == expected


@pytest.mark.parametrize("version", ["6.1.0-56-amd64", "6.1.0-57-cloud-amd64", "6.12.9-arm64-unsigned"])
def test_kernels_of_all_versions_have_one_residue(version: str) -> None:
    text = f"depmod {version.removesuffix('-unsigned')}\n"
    assert review.residue(Script(f"linux-image-{version}", "postinst", text)) == "depmod VERSION\n"


@pytest.mark.parametrize("package", ["linux-modules-6.8.0-31-generic", "linux-modules-extra-6.8.0-31-generic"])
def test_modules_that_are_packages_of_their_own_have_one_residue(package: str) -> None:
    assert review.residue(Script(package, "postinst", "depmod 6.8.0-31-generic\n")) == "depmod VERSION\n"


def test_a_new_version_has_the_same_residue() -> None:
    old, new = (f"# {n}\nchmod 700 /a\n" + BLOCK.format(tool="dh_installinit").replace("13", n) for n in ("12", "13"))
    assert old != new
    assert review.digest(review.residue(script(old))) == review.digest(review.residue(script(new)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chmod 700 /a\nif test -e /b; then /usr/sbin/foo x; fi\n", ["chmod", "foo"]),
        ("own() {\n  mkdir /a\n}\nown || true\nexport A=b\n", ["mkdir"]),
        ("A=1 bar | baz >/dev/null && ! qux\n", ["bar", "baz", "qux"]),
        ("case x in\nabort-upgrade|configure)\n;;\nesac\n", []),
    ],
)
def test_programs_that_a_script_calls(text: str, expected: list[str]) -> None:
    assert programs(script(text)) == expected


def test_what_nobody_has_reviewed(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "a": "chmod 700 /a\n",
        "b": "set -e\nadduser --system $x\nchown b /b\n",
        "c": "add-shell $c\n",
        "d": "set -e\n",
    }
    packages = [package(name, {}, {"postinst": text}) for name, text in texts.items()]
    known = frozenset(review.digest(review.residue(script(texts[name]))) for name in ("a", "c"))
    monkeypatch.setattr(review, "reviewed", lambda: known)
    with Reader() as reader:
        unpacked = Unpacked(packages, merged(packages)[1].tree, reader)
        unpacked.skip(Script("b", "postinst", ""), "adduser --system $x", "why")
        unpacked.skip(Script("c", "postinst", ""), "add-shell $c", "why")
        found = review.skipped(unpacked)
    assert found == (
        Skipped("b", "postinst", "adduser --system $x", "why", is_reviewed=False),
        Skipped("b", "postinst", "adduser, chown", "nobody has reviewed it", is_reviewed=False),
        Skipped("c", "postinst", "add-shell $c", "why", is_reviewed=True),
    )


def test_the_table_is_sound() -> None:
    text = Path(review.__file__).with_name(review.TABLE).read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[0-9a-f]{64} [a-z0-9.+-]+\.(preinst|postinst)", line) for line in lines)
    assert lines == sorted(set(lines), key=lambda line: line.split()[::-1])
    assert len(review.reviewed()) == len({line.split()[0] for line in lines})
