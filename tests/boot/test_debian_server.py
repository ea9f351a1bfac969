"""A server of Debian packages, no script of which was run: it boots, and people get in."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.oracle.machines import Machine, nspawn, podman_machine
from tests.support.server import Server

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="containers that run an init need root")


@pytest.fixture(scope="module", params=["nspawn", "podman"])
def machine(request: pytest.FixtureRequest, server: Server) -> Iterator[Machine]:
    """The server, started."""
    with tempfile.TemporaryDirectory(prefix="boot-") as folder, server.copy() as root:
        start = nspawn if request.param == "nspawn" else podman_machine
        with start(root, Path(folder)) as machine:
            assert machine.wait() == "running", machine.run("systemctl", "--failed", "--no-pager")
            yield machine


def test_no_unit_has_failed(machine: Machine) -> None:
    assert machine.run("systemctl", "--failed", "--no-legend", "--plain") == ""


@pytest.mark.parametrize("unit", ["ssh", "cron", "dbus", "rsyslog", "systemd-logind", "systemd-resolved"])
def test_services_run(machine: Machine, unit: str) -> None:
    assert machine.run("systemctl", "show", "--property=ActiveState,NRestarts", unit) in (
        "NRestarts=0\nActiveState=active\n",
        "ActiveState=active\nNRestarts=0\n",
    )


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("id -un; pwd; echo $LANG", "ada\n/home/ada\nC.UTF-8\n"),
        ("sudo -n id -un", "root\n"),
        ("sudo -n -l | tail -n 1", "    (ALL : ALL) NOPASSWD: ALL\n"),
        ("systemctl --user is-system-running", "running\n"),
        ("loginctl show-user ada --property=State", "State=active\n"),
    ],
)
def test_ssh_lets_the_key_in(machine: Machine, server: Server, command: str, expected: str) -> None:
    assert machine.ssh("ada", server.key, command) == expected


def test_host_keys_are_its_own(machine: Machine, server: Server) -> None:
    assert not list((server.root / "etc/ssh").glob("ssh_host_*"))
    names = machine.run("sh", "-c", "ls /etc/ssh/ssh_host_*_key").split()
    assert "/etc/ssh/ssh_host_ed25519_key" in names


def test_it_has_an_id_of_its_own(machine: Machine, server: Server) -> None:
    assert (server.root / "etc/machine-id").read_bytes() == b""
    number = machine.run("cat", "/etc/machine-id")
    assert len(number) == 33
    assert machine.run("cat", "/var/lib/dbus/machine-id") == number


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("getent", "passwd", "messagebus"), "messagebus:x:100:"),
        (("getent", "hosts", "localhost"), "localhost"),
        (("su", "-", "ada", "-c", "id -un; echo $LANG"), "ada\nC.UTF-8\n"),
        (("sudo", "-n", "-u", "games", "id", "-un"), "games\n"),
        (("sudo", "-n", "-l"), "User root may run the following commands"),
        (("readlink", "/etc/localtime"), "/usr/share/zoneinfo/Europe/Paris\n"),
        (("date", "--date=@0", "+%F %R %Z"), "1970-01-01 01:00 CET\n"),
        (("ssh", "-V"), ""),
        (("locale", "-a"), "C\nC.utf8\nPOSIX\n"),
        (("readlink", "-f", "/usr/bin/vi"), "/usr/bin/vim.tiny\n"),
        (("systemctl", "get-default"), "graphical.target\n"),
        (("cat", "/etc/resolv.conf"), "# This is /run/systemd/resolve/stub-resolv.conf"),
        (("loginctl", "list-seats", "--no-legend"), ""),
        (("dpkg", "--audit"), ""),
        (("dpkg", "--verify"), ""),
    ],
)
def test_programs_find_what_they_need(machine: Machine, command: tuple[str, ...], expected: str) -> None:
    answer = machine.run(*command)
    assert expected in answer
    assert bool(answer) == bool(expected) or command[0] == "loginctl"


def test_enabled_units_are_sound(machine: Machine) -> None:
    lines = machine.run("systemctl", "list-unit-files", "--state=enabled", "--no-legend", "--plain").splitlines()
    units = [line.split()[0].replace("@.", "@x.") for line in lines]
    assert {"ssh.service", "cron.service", "ssh-host-keys.service", "systemd-networkd.service", "fstrim.timer"} <= set(
        units
    )
    assert machine.run("systemd-analyze", "verify", "--man=no", *units) == ""


def test_there_is_a_prompt_to_log_in(machine: Machine) -> None:
    getty = machine.run("systemctl", "list-units", "--no-legend", "--plain", "--state=running", "*getty*").split()[:1]
    assert getty in (["console-getty.service"], [])
    assert not getty or "login: " in machine.console.read_text(errors="replace")
