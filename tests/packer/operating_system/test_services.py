"""Services: links that are made and removed; systemctl is the oracle on copies of the same folders."""

import os
import subprocess
from pathlib import Path

import pytest

from layers.entry import Entry, Symlink
from packer.assemble import assemble
from packer.config import parse
from tests.packer.test_assemble import Shelf, supplies
from tests.support.operating_systems import declared, mistakes, tree, written

_UNIT = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
UNITS: dict[str, str | bytes | Entry] = {
    "usr/lib/systemd/system/ssh.service": _UNIT + "Alias=sshd.service\n",
    "usr/lib/systemd/system/getty@.service": "[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n",
    "usr/lib/systemd/system/old.timer": "[Install]\nWantedBy=timers.target\n",
    "usr/lib/systemd/system/plain.service": "[Service]\nExecStart=/bin/true\n",
    "usr/lib/systemd/system/multi-user.target": "",
    "lib": Symlink(b"lib", b"usr/lib"),
}
ENABLED: dict[str, str | bytes | Entry] = {
    path: Symlink(path.encode(), target.encode())
    for path, target in (
        ("etc/systemd/system/timers.target.wants/old.timer", "/lib/systemd/system/old.timer"),
        ("etc/systemd/system/sshd.service", "/lib/systemd/system/ssh.service"),
        ("etc/systemd/system/multi-user.target.wants/ssh.service", "/lib/systemd/system/ssh.service"),
    )
}


@pytest.mark.parametrize(
    ("services", "links"),
    [
        (
            '["ssh.service"]',
            {"multi-user.target.wants/ssh.service": "ssh.service", "sshd.service": "ssh.service"},
        ),
        ('{ enable = ["getty@ttyS0.service"] }', {"getty.target.wants/getty@ttyS0.service": "getty@.service"}),
        ('{ mask = ["plain.service"] }', {"plain.service": "/dev/null"}),
        ("[]", {}),
    ],
)
def test_links(services: str, links: dict[str, str]) -> None:
    found = written(f"services = {services}", UNITS)
    assert found == {
        f"etc/systemd/system/{path}": f"-> {target if '/' in target else f'/lib/systemd/system/{target}'}"
        for path, target in links.items()
    }


def test_disabled_units_lose_their_links() -> None:
    found = declared('services = { disable = ["ssh.service"], enable = ["old.timer"] }', UNITS, made=ENABLED)
    assert sorted(found.removed) == sorted(path.encode() for path in ENABLED if "ssh" in path)


def test_what_is_removed_is_not_in_the_image() -> None:
    text = 'name = "x"\nplatform = "x86_64-linux"\n[store]\ntype = "debian"\npackages = ["bash"]\n'
    shelf = Shelf(items=(tuple(tree(UNITS)),), made=tuple(tree(ENABLED)))
    declaration = parse(text + '[os.services]\ndisable = ["ssh.service"]\n', "os.toml")
    platform = declaration.target_platforms[0]
    system = assemble(declaration, platform, supplies(shelf), shelf.closure(), epoch=1, folder="/")
    links = [path for path in map(str.encode, ENABLED) if path in system.tree]
    assert links == [b"etc/systemd/system/timers.target.wants/old.timer"]
    assert [entry.path for entry in system.customization if isinstance(entry, Symlink)] == links


def test_declared_units_can_be_enabled() -> None:
    table = f'''
    services = ["app.service"]
    files = [{{ target = "/etc/systemd/system/app.service", text = """{_UNIT}""" }}]
    '''
    link = "etc/systemd/system/multi-user.target.wants/app.service"
    assert written(table, UNITS)[link] == "-> /etc/systemd/system/app.service"


@pytest.mark.parametrize(
    ("services", "line"),
    [
        (
            '["shh.service"]',
            "os.services.enable[0]: there is no unit 'shh.service' in the image (did you mean ssh.service?)",
        ),
        (
            '["plain.service"]',
            (
                "os.services.enable[0]: the unit plain.service has no [Install] section: it cannot be enabled"
                " (other units start it when they need it)"
            ),
        ),
        (
            '{ mask = ["gone.socket"] }',
            "os.services.mask[0]: there is no unit 'gone.socket' in the image (add the package that it belongs to)",
        ),
        (
            '{ disable = ["gone.socket"] }',
            "os.services.disable[0]: there is no unit 'gone.socket' in the image (add the package that it belongs to)",
        ),
        (
            '{ disable = ["shipped.service"] }',
            (
                "os.services.disable[0]: a package ships /etc/systemd/system/multi-user.target.wants/shipped.service,"
                " which cannot be removed (mask the unit)"
            ),
        ),
        (
            '{ mask = ["mine.service"] }',
            (
                "os.services.mask[0]: /etc/systemd/system/mine.service is a file, whose place a link to /dev/null would"
                " take (disable it, or leave the file out)"
            ),
        ),
    ],
)
def test_what_cannot_be_done(services: str, line: str) -> None:
    shipped = "etc/systemd/system/multi-user.target.wants/shipped.service"
    files = {
        **UNITS,
        "usr/lib/systemd/system/shipped.service": _UNIT,
        shipped: Symlink(shipped.encode(), b"/lib/systemd/system/shipped.service"),
        "etc/systemd/system/mine.service": _UNIT,
    }
    assert mistakes(f"services = {services}", files) == [line]


@pytest.mark.parametrize(
    "services",
    [
        {"enable": ["ssh.service"]},
        {"enable": ["getty@.service"]},
        {"enable": ["getty@tty7.service", "old.timer"]},
        {"mask": ["plain.service", "old.timer"]},
        {"disable": ["ssh.service"]},
        {"disable": ["old.timer"], "enable": ["ssh.service"], "mask": ["plain.service"]},
    ],
)
def test_systemctl_makes_the_same(tmp_path: Path, services: dict[str, list[str]]) -> None:
    for path, content in {**UNITS, **ENABLED}.items():
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Symlink):
            place.symlink_to(os.fsdecode(content.target))
        else:
            place.write_text(str(content))
    for verb, units in services.items():
        subprocess.run(["systemctl", f"--root={tmp_path}", verb, *units], check=True, capture_output=True)
    configuration = tmp_path / "etc/systemd/system"
    theirs = {
        str(path.relative_to(tmp_path)): os.readlink(path) for path in configuration.rglob("*") if path.is_symlink()
    }
    listed = ", ".join(f"{verb} = {units}" for verb, units in services.items())
    found = declared(f"services = {{ {listed} }}", UNITS, made=ENABLED)
    ours = {path: os.fsdecode(link.target) for path, link in ENABLED.items()
            if isinstance(link, Symlink) and path.encode() not in found.removed}  # fmt: skip
    ours |= {entry.path.decode(): os.fsdecode(entry.target) for entry in found.entries if isinstance(entry, Symlink)}
    assert {path: os.path.basename(target) for path, target in ours.items()} == {
        path: os.path.basename(target) for path, target in theirs.items()
    }
