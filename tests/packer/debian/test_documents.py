import pytest

from layers.entry import Data, File
from layers.reader import Reader
from packer.debian import documents
from packer.debian.unpacked import Unpacked
from tests.support.debian_packages import merged, package


def made(script: str) -> tuple[dict[str, str], list[str]]:
    packages = [package("p", {"etc/there": "x"}, {"postinst": script})]
    with Reader() as reader:
        unpacked = Unpacked(packages, merged(packages)[1].tree, reader)
        found = list(documents.entries(unpacked))
    texts = {
        e.path.decode(): e.content.data.decode() for e in found if isinstance(e, File) if isinstance(e.content, Data)
    }
    return texts, [skipped.reason for skipped in unpacked.skipped]


@pytest.mark.parametrize(
    ("script", "files"),
    [
        ("cat > /etc/x <<EOF\na\nEOF\n", {"etc/x": "a\n"}),
        ("  cat >/etc/x <<-EOF\n\ta\n\tEOF\n", {"etc/x": "a\n"}),
        ("cat <<EOF > /etc/d/x\na\nEOF\n", {"etc/d/x": "a\n"}),
        ("cat > \"$DPKG_ROOT/etc/x\" <<'EOF'\n$a\nEOF\n", {"etc/x": "$a\n"}),
        ("cat > /etc/there <<EOF\na\nEOF\n", {}),
        ("cat >> /etc/x <<EOF\na\nEOF\n", {}),
        ("cat - /etc/y <<EOF > /etc/x\na\nEOF\n", {}),
        ("concat > /etc/x <<EOF\na\nEOF\n", {}),
        ("cat > /var/x <<EOF\na\nEOF\n", {}),
        ("cat <<EOF\na > /etc/x\nEOF\n", {}),
        ("sed s/a/b/ > /etc/x <<EOF\na\nEOF\n", {}),
    ],
)
def test_files(script: str, files: dict[str, str]) -> None:
    assert made(script) == (files, [])


@pytest.mark.parametrize(
    "script",
    ["cat > /etc/x <<EOF\n$a\nEOF\n", "cat > /etc/$x <<EOF\na\nEOF\n", "cat > /etc/../x <<EOF\na\nEOF\n"],
)
def test_what_is_left_undone_is_said(script: str) -> None:
    files, skipped = made(script)
    assert files == {}
    assert ["only a shell knows" in said for said in skipped] == [True]
