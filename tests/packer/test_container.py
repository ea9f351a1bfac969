"""What a container starts is in the image."""

from dataclasses import replace

import pytest

from formats.system import Healthcheck, RunConfiguration
from layers.entry import PROGRAM, Data, Entry, File, Symlink
from layers.tree import Tree
from packer.container import findings
from tests.support.systems import system

ENTRIES: list[Entry] = [
    File(b"usr/bin/sh", Data(b"#!"), PROGRAM),
    Symlink(b"bin", b"usr/bin"),
    File(b"opt/run", Data(b"#!"), PROGRAM),
    File(b"opt/data", Data(b"")),
    File(b"etc/passwd", Data(b"root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534:::\n")),
    File(b"etc/group", Data(b"root:x:0:\nnogroup:x:65534:\n")),
]


def found(run: RunConfiguration) -> list[str]:
    tree = Tree({entry.path: entry for entry in ENTRIES})
    return list(findings(replace(system(run=run), tree=tree)))


@pytest.mark.parametrize(
    "run",
    [
        RunConfiguration(),
        RunConfiguration(entrypoint=("/bin/sh", "missing"), cmd=("missing",)),
        RunConfiguration(cmd=("sh",)),
        RunConfiguration(cmd=("run",), env={"PATH": "/none:/opt"}),
        RunConfiguration(cmd=("./run",), workdir="/opt"),
        RunConfiguration(cmd=("opt/run",)),
        RunConfiguration(user="nobody:nogroup"),
        RunConfiguration(user="root"),
        RunConfiguration(user="7:8"),
        RunConfiguration(healthcheck=Healthcheck(("NONE",))),
        RunConfiguration(healthcheck=Healthcheck(("CMD-SHELL", "missing"))),
        RunConfiguration(healthcheck=Healthcheck(("CMD", "/opt/run"))),
    ],
)
def test_nothing_is_said_of_what_starts(run: RunConfiguration) -> None:
    assert found(run) == []


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (RunConfiguration(entrypoint=("/bin/nope",)), ["container.entrypoint: there is no program '/bin/nope' in the"]),
        (RunConfiguration(cmd=("/opt/data",)), ["container.cmd: there is no program '/opt/data'"]),
        (RunConfiguration(cmd=("/opt",)), ["container.cmd: there is no program '/opt'"]),
        (RunConfiguration(cmd=("run",)), ["there is no program 'run' in the image in /usr/local/sbin:"]),
        (RunConfiguration(cmd=("./run",)), ["there is no program './run'"]),
        (RunConfiguration(healthcheck=Healthcheck(("CMD", "x"))), ["container.healthcheck: there is no program 'x'"]),
        (RunConfiguration(user="nobdy"), ["container.user: there is no user 'nobdy' in the image: containers do not"]),
        (RunConfiguration(user="0:staff"), ["container.user: there is no group 'staff'"]),
        (RunConfiguration(cmd=("x",), user="a:b"), ["no program 'x'", "no user 'a'", "no group 'b'"]),
    ],
)
def test_what_is_missing_is_said(run: RunConfiguration, said: list[str]) -> None:
    for one, expected in zip(found(run), said, strict=True):
        assert expected in one
