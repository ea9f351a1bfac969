import pytest

from layers.entry import Directory, Meta
from layers.reader import Reader
from packer.accounts import User
from packer.debian import adduser, base_passwd
from packer.debian.adduser import Made
from packer.debian.unpacked import Unpacked
from tests.support.debian_packages import merged, package

FIRST = base_passwd.accounts("root:*:0:0:root:/root:/bin/bash\n", "root:*:0:\nusers:*:100:\nnogroup:*:65534:\n")


def made(*scripts: str) -> tuple[Made, list[str]]:
    """What postinsts of the packages p0, p1, ... make, and what they leave undone."""
    packages = [package(f"p{number}", {}, {"postinst": text}) for number, text in enumerate(scripts)]
    packages.append(package("data", {"var/lib/there/x": ""}))
    with Reader() as reader:
        unpacked = Unpacked(packages, merged(packages)[1].tree, reader)
        return adduser.add_accounts(unpacked, FIRST), [skipped.reason for skipped in unpacked.skipped]


NEW = {
    "adduser --system a": User("a", 100, 65534),
    "adduser --system --group a": User("a", 100, 101),
    "adduser --system --quiet --home /nonexistent --no-create-home --disabled-password --group a": User("a", 100, 101),
    "adduser --system --ingroup users --uid 70 --shell /bin/false --gecos 'A B' a": User(
        "a", 70, 100, "A B,,,", shell="/bin/false"
    ),
    "adduser --system --gid=33 --comment=A,1,2,3 a": User("a", 100, 33, "A,1,2,3"),
    "adduser --force-badname --system _a": User("_a", 100, 65534),
    "adduser --disabled-login --gecos '' a": User("a", 1000, 1000, home="/home/a", shell="/bin/sh"),
    "useradd -r a": User("a", 999, 999, home="/home/a", shell="/bin/sh"),
    "useradd --system -g users -d /srv/a -s /bin/false -c C a": User("a", 999, 100, "C", "/srv/a", "/bin/false"),
    "useradd -u 50 -g 7 a": User("a", 50, 7, home="/home/a", shell="/bin/sh"),
}


@pytest.mark.parametrize("call", NEW)
def test_users(call: str) -> None:
    result, skipped = made(f"getent passwd a > /dev/null || {call}")
    assert not skipped
    assert result.accounts.users[1:] == (NEW[call],)


@pytest.mark.parametrize(
    ("calls", "groups"),
    [
        ("addgroup --system a", {"a": 101}),
        ("addgroup --system a\naddgroup --system --quiet b", {"a": 101, "b": 102}),
        ("addgroup --system --gid 42 a", {"a": 42}),
        ("adduser --group a", {"a": 1000}),
        ("groupadd -g 42 a || (cat <<EOF\nno\nEOF\n exit 1)", {"a": 42}),
        ("groupadd -r a; groupadd --system b", {"a": 999, "b": 998}),
        ("groupadd a", {"a": 1000}),
        ("addgroup --system users", {}),
    ],
)
def test_groups(calls: str, groups: dict[str, int]) -> None:
    result, skipped = made(calls)
    assert not skipped
    assert {group.name: group.gid for group in result.accounts.groups[3:]} == groups


def test_a_comment_is_set_as_the_roots_own_adduser_does_it() -> None:
    program = package("adduser", {"usr/sbin/adduser": "    systemcall($usermod, '-c', $1, $name);\n"})
    caller = package("p", {}, {"postinst": "adduser --system --gecos 'A B' a"})
    with Reader() as reader:
        unpacked = Unpacked([program, caller], merged([program, caller])[1].tree, reader)
        user = adduser.add_accounts(unpacked, FIRST).accounts.user("a")
    assert user
    assert user.comment == "A B"


@pytest.mark.parametrize("call", ["adduser a users", "usermod -a -G users a", "usermod -aG users a"])
def test_members_join_when_all_are_there(call: str) -> None:
    result, skipped = made(call, "adduser --system a", call)
    assert not skipped
    group = result.accounts.group("users")
    assert group is not None
    assert group.members == ("a",)


def test_ids_go_by_package_name() -> None:
    result, _ = made("adduser --system b", "adduser --system a", "adduser --system b")
    assert {user.name: user.uid for user in result.accounts.users[1:]} == {"b": 100, "a": 101}


@pytest.mark.parametrize(
    ("call", "homes"),
    [
        ("adduser --system --group --home /var/lib/new a", (Directory(b"var/lib/new", Meta(0o755, 100, 101)),)),
        ("adduser --system --home /var/run/new a", (Directory(b"run/new", Meta(0o755, 100, 65534)),)),
        ("adduser --system --home /var/lib/there a", ()),
        ("adduser --system --home /var/lib/new --no-create-home a", ()),
        ("adduser --system a", ()),
        ("useradd -r -d /var/lib/new a", ()),
        ("useradd -m a", (Directory(b"home/a", Meta(0o700, 1000, 1000)),)),
    ],
)
def test_homes(call: str, homes: tuple[Directory, ...]) -> None:
    assert made(call)[0].homes == homes


@pytest.mark.parametrize(
    ("call", "mode"),
    [("adduser --system --home /srv/a a", 0o750), ("adduser --gecos '' a", 0o751), ("useradd -m a", 0o700)],
)
def test_homes_are_as_the_systems_own_adduser_makes_them(call: str, mode: int) -> None:
    defaults = 'my %configuration = (\n    dir_mode => "0751",\n    sys_dir_mode => "0750",\n);\n'
    script = package("x", {"usr/share/perl5/Debian/AdduserCommon.pm": defaults}, {"postinst": call})
    with Reader() as reader:
        result = adduser.add_accounts(Unpacked([script], merged([script])[1].tree, reader), FIRST)
    assert [home.meta.mode for home in result.homes] == [mode]


def test_homes_need_not_be_utf_8() -> None:
    result, skipped = made("useradd -m -d /home/caf\udce9 a")
    assert not skipped
    assert [home.path for home in result.homes] == [b"home/caf\xe9"]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("adduser --system $USER", "only a shell knows"),
        ("adduser --system", "names no account"),
        ("adduser --system --ingroup nothing a", "no group nothing"),
        ("adduser --system 'a:b'", "no name"),
        ("adduser --system --gecos 'a:b' a", "cannot stand"),
        ("adduser a users", "does not exist"),
        ("useradd -u 4294967295 a", "no id"),
        ("useradd -u 7 -g 99999999999 a", "no id"),
        ("groupadd -g ² a", "no id"),
        pytest.param(f"groupadd -g {'9' * 5000} a", "no id", id="digits"),
    ],
)
def test_what_is_left_undone_is_said(call: str, reason: str) -> None:
    result, skipped = made(call)
    assert result.accounts == FIRST
    assert [reason in said for said in skipped] == [True]
