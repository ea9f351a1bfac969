"""Users and groups: numbers, groups, shells; and that users of the image keep what they have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.entry import PROGRAM, Data, File
from packer.accounts import FrozenIdError, Ids
from tests.support.operating_systems import SMALL, declared, mistakes, written

HASH = f"$6$salt${'a' * 86}"


def lines(table: str, file: str = "passwd", **more: object) -> list[str]:
    """The lines that a file has got or that have changed."""
    before = str(SMALL[f"etc/{file}"]).splitlines()
    return [line for line in written(table, **more).get(f"etc/{file}", "").splitlines() if line not in before]


@pytest.mark.parametrize(
    ("user", "passwd", "shadow"),
    [
        ('name = "ada"', "ada:x:1000:1000::/home/ada:/bin/bash", "ada:!::0:99999:7:::"),
        ('name = "ada", uid = 1234', "ada:x:1234:1234::/home/ada:/bin/bash", "ada:!::0:99999:7:::"),
        ('name = "ada", uid = 0x21', None, None),
        ('name = "ada", group = "users"', "ada:x:1000:100::/home/ada:/bin/bash", "ada:!::0:99999:7:::"),
        (
            'name = "ada", comment = "Ada É", home = "/srv/ada", shell = "/bin/sh"',
            "ada:x:1000:1000:Ada É:/srv/ada:/bin/sh",
            "ada:!::0:99999:7:::",
        ),
        ('name = "ada", home = ""', "ada:x:1000:1000::/nonexistent:/bin/bash", "ada:!::0:99999:7:::"),
        (f'name = "ada", password = "{HASH}"', "ada:x:1000:1000::/home/ada:/bin/bash", f"ada:{HASH}::0:99999:7:::"),
        ('name = "ada", system = true', "ada:x:999:999::/nonexistent:/usr/sbin/nologin", "ada:!:::::::"),
        (
            'name = "ada", system = true, home = "/var/lib/ada", shell = "/bin/sh"',
            "ada:x:999:999::/var/lib/ada:/bin/sh",
            "ada:!:::::::",
        ),
        ('name = "users", uid = 1000', "users:x:1000:100::/home/users:/bin/bash", "users:!::0:99999:7:::"),
    ],
)
def test_new_users(user: str, passwd: str | None, shadow: str | None) -> None:
    if passwd is None:
        assert mistakes(f"users = [{{ {user} }}]") == [
            "os.users[0].uid: 33 is the number of 'www-data' in the image (take another one)"
        ]
        return
    assert lines(f"users = [{{ {user} }}]") == [passwd]
    assert lines(f"users = [{{ {user} }}]", "shadow") == [shadow]


@pytest.mark.parametrize(
    ("user", "passwd", "shadow"),
    [
        ('name = "root", shell = "/bin/bash"', ["root:x:0:0:root:/root:/bin/bash"], []),
        (f'name = "root", password = "{HASH}"', [], [f"root:{HASH}:::::::"]),
        ('name = "root", password = "!", comment = ""', ["root:x:0:0::/root:/bin/sh"], ["root:!:::::::"]),
        ('name = "root", uid = 0, group = "root", home = "/root"', [], []),
        ('name = "www-data", system = true, groups = ["adm"]', [], []),
    ],
)
def test_users_of_the_image_change_only_as_is_said(user: str, passwd: list[str], shadow: list[str]) -> None:
    table = f"users = [{{ {user} }}]"
    assert (lines(table), lines(table, "shadow")) == (passwd, shadow)


def test_groups_and_members() -> None:
    table = """
    users = [
        { name = "ada", groups = ["sudo", "dev", "adm"] },
        { name = "bob", group = "dev" },
        { name = "www-data", groups = ["dev"] },
    ]
    groups = [{ name = "dev", members = ["root"] }, { name = "adm", gid = 4, members = ["bob", "ada"] }]
    """
    assert lines(table, "group") == ["adm:x:4:ada,bob", "sudo:x:27:ada", "dev:x:1001:ada,www-data,root", "ada:x:1000:"]
    assert lines(table, "gshadow") == ["adm:*::ada,bob", "sudo:*::ada", "dev:!::ada,www-data,root", "ada:!::"]
    assert lines(table) == [
        "ada:x:1000:1000::/home/ada:/bin/bash",
        "bob:x:1001:1001::/home/bob:/bin/bash",
    ]


def test_pinned_numbers_come_first_and_pairs_are_free_on_both_sides() -> None:
    table = """
    users = [{ name = "a" }, { name = "b", uid = 1000 }, { name = "c" }, { name = "d", uid = 1003 }, { name = "e" }]
    groups = [{ name = "g", gid = 1002 }, { name = "h" }]
    """
    users = {line.split(":")[0]: tuple(line.split(":")[2:4]) for line in lines(table)}
    assert users == {
        "a": ("1001", "1001"), "b": ("1000", "1000"), "c": ("1004", "1004"), "d": ("1003", "1003"),
        "e": ("1005", "1005"),
    }  # fmt: skip
    assert lines(table, "group")[:2] == ["g:x:1002:", "h:x:1006:"]


def test_locked_numbers_are_kept() -> None:
    ids = Ids({"bob": 1000, "gone": 1001}, {"bob": 1000, "gone": 1001, "old": 1002})
    table = 'users = [{ name = "ada" }, { name = "bob" }, { name = "eve", uid = 1500 }]\ngroups = [{ name = "old" }]'
    users = {line.split(":")[0]: tuple(line.split(":")[2:4]) for line in lines(table, ids=ids)}
    assert users == {"ada": ("1003", "1003"), "bob": ("1000", "1000"), "eve": ("1500", "1500")}
    assert "old:x:1002:" in lines(table, "group", ids=ids)


def test_a_declared_number_wins_over_its_locked_one() -> None:
    assert lines('users = [{ name = "bob", uid = 1500 }]', ids=Ids({"bob": 1000}, {})) == [
        "bob:x:1500:1500::/home/bob:/bin/bash"
    ]


def test_a_locked_number_that_a_package_has_given_away() -> None:
    with pytest.raises(FrozenIdError, match=r"os\.lock keeps the number 33 for bob, and www-data has it now"):
        declared('users = [{ name = "bob" }]', ids=Ids({"bob": 33}, {}))


def test_an_image_without_accounts_gets_root_and_what_is_declared() -> None:
    shell = {"bin/sh": File(b"bin/sh", Data(b""), PROGRAM)}
    found = written('users = [{ name = "ada" }]', shell)
    assert found["etc/passwd"] == "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n"
    assert found["etc/group"] == "root:x:0:\nada:x:1000:\n"
    assert found["etc/shadow"] == "root:*::0:99999:7:::\nada:!::0:99999:7:::\n"
    assert found["etc/gshadow"] == "root:!::\nada:!::\n"
    assert (found["root"], found["home/ada"]) == ("700 0:0", "700 1000:1000")
    assert written("", shell) == {}


WRONG = [
    (
        'users = [{ name = "a", shell = "/bin/bahs" }]',
        "os.users[0].shell: there is no program '/bin/bahs' in the image (did you mean '/bin/bash'?)",
    ),
    (
        'users = [{ name = "a", shell = "/usr/bin/text" }]',
        "os.users[0].shell: there is no program '/usr/bin/text' in the image (there are: /bin/bash, /bin/sh)",
    ),
    (
        'users = [{ name = "a", shell = "/bin" }]',
        "os.users[0].shell: there is no program '/bin' in the image (did you mean '/bin/sh'?)",
    ),
    (
        'users = [{ name = "a", groups = ["adm", "sduo"] }]',
        "os.users[0].groups[1]: there is no group 'sduo' in the image (did you mean 'sudo'?)",
    ),
    (
        'users = [{ name = "a", group = "staff" }]',
        (
            "os.users[0].group: there is no group 'staff' in the image"
            " (add it to os.groups, or add the package that makes it)"
        ),
    ),
    (
        'groups = [{ name = "g", members = ["rot"] }]',
        "os.groups[0].members[0]: there is no user 'rot' in the image (did you mean 'root'?)",
    ),
    (
        'groups = [{ name = "g", gid = 27 }]',
        "os.groups[0].gid: 27 is the number of 'sudo' in the image (take another one)",
    ),
    (
        'groups = [{ name = "adm", gid = 5 }]',
        "os.groups[0].gid: the group 'adm' of the image has the number 4, and keeps it (leave it out)",
    ),
    (
        'users = [{ name = "www-data", uid = 34 }]',
        "os.users[0].uid: the user 'www-data' of the image has the number 33, and keeps it (leave it out)",
    ),
    (
        'users = [{ name = "www-data", home = "/srv" }]',
        "os.users[0].home: the user 'www-data' of the image has '/var/www', and keeps it (leave it out)",
    ),
    (
        'users = [{ name = "www-data", group = "adm" }]',
        "os.users[0].group: the user 'www-data' of the image has 'www-data', and keeps it (leave it out)",
    ),
]


@pytest.mark.parametrize(("table", "line"), WRONG)
def test_what_does_not_fit_to_the_image(table: str, line: str) -> None:
    assert mistakes(table) == [line]


def test_a_number_that_is_kept_for_somebody_else() -> None:
    assert mistakes('users = [{ name = "a", uid = 1500 }]', ids=Ids({"gone": 1500}, {})) == [
        "os.users[0].uid: os.lock keeps 1500 for 'gone' (take another one)"
    ]


def test_shells_of_an_image_that_has_none_and_of_one_that_lists_none() -> None:
    nothing = "os.users[0].shell: is missing, and the image has neither /bin/bash nor /bin/sh"
    assert mistakes('users = [{ name = "a" }]', {}) == [f"{nothing} (add the package of a shell)"]
    store = {"nix/store/x-bash/bin/bash": File(b"nix/store/x-bash/bin/bash", Data(b""), PROGRAM)}
    assert mistakes('users = [{ name = "a" }]', store) == [f"{nothing} (there are: /nix/store/x-bash/bin/bash)"]
    (line,) = lines('users = [{ name = "a", shell = "/nix/store/x-bash/bin/bash" }]', files=store)
    assert line.endswith(":/nix/store/x-bash/bin/bash")


def test_a_shell_may_be_a_declared_file() -> None:
    table = """
    users = [{ name = "a", shell = "/opt/shell" }]
    files = [{ target = "/opt/shell", text = "", mode = "0755" }]
    """
    assert lines(table) == ["a:x:1000:1000::/home/a:/opt/shell"]


def test_an_existing_login_without_a_password_is_said() -> None:
    files = {**SMALL, "etc/shadow": "root::::::::\n"}
    assert mistakes('users = [{ name = "root", shell = "/bin/bash" }]', files) == [
        "os.users[0]: user root: an empty password field is a login without a password"
    ]
    assert "etc/shadow" in written(f'users = [{{ name = "root", password = "{HASH}" }}]', files)


def test_all_mistakes_come_at_once() -> None:
    table = """
    timezone = "Europe/Pariss"
    locale = "xx_XX.UTF-8"
    init = "/sbin/init"
    services = ["ssh.service"]
    users = [{ name = "a", shell = "/x", groups = ["y"] }, { name = "b", uid = 33 }]
    groups = [{ name = "g", members = ["z"] }]
    files = [{ target = "/f", source = "gone" }, { target = "/g", text = "", user = "a", group = "q" }]
    """
    keys = {line.partition(":")[0] for line in mistakes(table)}
    assert keys == {
        "os.timezone", "os.locale", "os.init", "os.services.enable[0]", "os.users[0].shell", "os.users[0].groups[0]",
        "os.users[1].uid", "os.groups[0].members[0]", "os.files[0].source", "os.files[1].group",
    }  # fmt: skip


_NAMES = ["ada", "bob", "eve", "dev", "ops"]
_NUMBERS = st.none() | st.sampled_from([1000, 1001, 1002, 1500])


def _rows(kind: str, rows: dict[str, int | None]) -> str:
    pins = {name: "" if number is None else f", {'u' if kind == 'users' else 'g'}id = {number}"
            for name, number in rows.items()}  # fmt: skip
    return f"{kind} = [{', '.join(f'{{ name = {name!r}{pin} }}' for name, pin in pins.items())}]\n"


def _distinct(rows: dict[str, int | None]) -> dict[str, int | None]:
    seen: set[int | None] = {None}
    return {name: number if number not in seen and not seen.add(number) else None  # type: ignore[func-returns-value]
            for name, number in rows.items()}  # fmt: skip


_DECLARED = st.dictionaries(st.sampled_from(_NAMES), _NUMBERS, max_size=4).map(_distinct)


@given(_DECLARED, _DECLARED, st.permutations(_NAMES))
def test_numbers_never_collide_and_a_lock_frees_them_of_the_order(
    users: dict[str, int | None], groups: dict[str, int | None], order: list[str]
) -> None:
    table = _rows("users", users) + _rows("groups", groups)
    found = _ids(table, Ids())
    for numbers in (found.users, found.groups):
        assert len(set(numbers.values())) == len(numbers)
    assert all(found.users[name] == number for name, number in users.items() if number is not None)
    assert all(found.groups[name] == number for name, number in groups.items() if number is not None)
    turned = sorted(users.items(), key=lambda pair: order.index(pair[0]))
    more = _rows("users", {"new": None, **dict(turned)}) + _rows("groups", {"newer": None, **groups})
    again = _ids(more, found)
    assert found.users.items() <= again.users.items()
    assert found.groups.items() <= again.groups.items()


def _ids(table: str, ids: Ids) -> Ids:
    found = written(table, ids=ids)
    numbers = [
        {line.split(":")[0]: int(line.split(":")[2]) for line in found.get(path, str(SMALL[path])).splitlines()}
        for path in ("etc/passwd", "etc/group")
    ]
    return Ids(*numbers)
