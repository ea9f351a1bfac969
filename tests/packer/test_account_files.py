"""Files of accounts: what is written, and that what is there already stays as it is."""

import shutil
import subprocess
from pathlib import Path

import pytest

from layers.entry import Data, Entry, File, Meta, Symlink
from layers.reader import Reader
from layers.tree import Tree
from packer.account_files import AccountFiles
from packer.accounts import Accounts, Group, User
from packer.debian import base_passwd
from packer.debian.base_passwd import DEBIAN

SMALL = base_passwd.accounts("root:*:0:0:root:/root:/bin/bash\n", "root:*:0:\nadm:*:4:\n")


def files(accounts: Accounts) -> dict[str, str]:
    found = {}
    for entry in AccountFiles().entries(accounts):
        assert isinstance(entry, File)
        assert isinstance(entry.content, Data)
        found[entry.path.decode()] = entry.content.data.decode()
    return found


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\nada:x:100:4:A:/home/ada:/bin/sh\n"),
        ("etc/group", "root:x:0:\nadm:x:4:ada\n"),
        ("etc/shadow", "root:*::0:99999:7:::\nada:!:::::::\n"),
        ("etc/gshadow", "root:*::\nadm:*::ada\n"),
    ],
)
def test_files(path: str, text: str) -> None:
    accounts = SMALL.with_user(User("ada", 100, 4, "A", "/home/ada", "/bin/sh")).with_member("ada", "adm")
    assert files(accounts)[path] == text
    assert files(accounts.with_member("ada", "adm"))[path] == text


def test_who_may_read_the_passwords() -> None:
    metas = {entry.path: entry.meta for entry in AccountFiles().entries(DEBIAN) if isinstance(entry, File)}
    assert {path: (meta.mode, meta.uid, meta.gid) for path, meta in metas.items()} == {
        b"etc/passwd": (0o644, 0, 0),
        b"etc/group": (0o644, 0, 0),
        b"etc/shadow": (0o640, 0, 42),
        b"etc/gshadow": (0o640, 0, 42),
    }


@pytest.mark.skipif(not shutil.which("pwck") or not shutil.which("grpck"), reason="pwck and grpck are in passwd")
def test_the_tools_find_nothing_wrong(tmp_path: Path) -> None:
    for path, text in files(DEBIAN.with_user(User("ada", 1000, 100, "A", "/root", "/bin/sh"))).items():
        (tmp_path / path.removeprefix("etc/")).write_text(text)
    subprocess.run(["grpck", "-r", str(tmp_path / "group"), str(tmp_path / "gshadow")], check=True)
    command = ["pwck", "-q", "-r", str(tmp_path / "passwd"), str(tmp_path / "shadow")]
    checked = subprocess.run(command, check=False, capture_output=True, text=True)
    complaints = [line for line in checked.stdout.splitlines() if "does not exist" not in line]
    assert complaints in ([], ["pwck: no changes"])


# Files that are there already

PASSWD = (
    "root:x:0:0:root:/root:/bin/ash\n# people\nold:$1$a$b:7:7\n+::::::\nbob:$1$s$h:50:4:B:/srv:/bin/sh\nbob:x:51:4::/:"
)
THERE = {
    "etc/passwd": PASSWD,
    "etc/group": "root:x:0:root\nadm:pw:4:root,daemon\n\n",
    "etc/shadow": "root:!:19000:1:2:3:4:5:6\ndaemon:*:1::::::\n",
    "etc/subuid": "bob:100000:65536",
    "etc/subgid": "",
}


def there(texts: dict[str, str] = THERE, meta: Meta = Meta(0o600, 1, 2)) -> AccountFiles:  # noqa: B008
    tree = {path.encode(): File(path.encode(), Data(text.encode("latin-1")), meta) for path, text in texts.items()}
    with Reader() as reader:
        return AccountFiles.read(Tree(dict[bytes, Entry](tree)), reader)


def written(files: AccountFiles, accounts: Accounts) -> dict[str, str]:
    found = {}
    for entry in files.entries(accounts):
        assert isinstance(entry, File)
        assert isinstance(entry.content, Data)
        assert entry.meta == files.metas.get(entry.path, entry.meta)
        found[entry.path.decode()] = entry.content.data.decode("latin-1")
    return found


def test_what_is_read() -> None:
    accounts = there().accounts
    assert accounts.users == (
        User("root", 0, 0, "root", "/root", "/bin/ash", "!", "1:2:3"),
        User("bob", 50, 4, "B", "/srv", "/bin/sh", "$1$s$h"),
    )
    assert accounts.groups == (Group("root", 0, ("root",)), Group("adm", 4, ("root", "daemon")))


def test_without_a_change_nothing_is_written() -> None:
    assert written(there(), there().accounts) == {}


def test_lines_and_fields_that_nobody_knows_stay() -> None:
    files = there()
    user = User("ada", 1000, 4, "A", "/home/ada", "/bin/sh")
    found = written(files, files.accounts.with_user(user).with_member("ada", "adm").with_group(Group("new", 9)))
    assert found == {
        "etc/passwd": PASSWD + "\nada:x:1000:4:A:/home/ada:/bin/sh\n",
        "etc/group": "root:x:0:root\nadm:pw:4:root,daemon,ada\n\nnew:x:9:\n",
        "etc/shadow": THERE["etc/shadow"] + "ada:!:::::::\n",
    }


def test_a_change_keeps_the_other_fields() -> None:
    files = there()
    root, bob = files.accounts.users
    changed = files.accounts.with_changed(User("root", 0, 0, "root", "/root", "/bin/sh", "$6$x", root.aging))
    assert written(files, changed) == {
        "etc/passwd": PASSWD.replace("ash", "sh") + "\n",
        "etc/shadow": THERE["etc/shadow"].replace("root:!:", "root:$6$x:"),
    }
    changed = files.accounts.with_changed(User("bob", 50, 4, "C", "/srv", "/bin/sh", bob.password))
    assert written(files, changed) == {
        "etc/passwd": PASSWD.replace("bob:$1$s$h:50:4:B", "bob:x:50:4:C") + "\n",
        "etc/shadow": THERE["etc/shadow"] + "bob:$1$s$h:::::::\n",
    }


def test_bytes_that_are_no_utf_8_stay() -> None:
    files = there({"etc/passwd": "a:x:1:1:\xff:/:/bin/sh\n", "etc/group": "", "etc/shadow": "a:*:::::::\n"})
    found = written(files, files.accounts.with_user(User("b", 2, 2)))
    assert found["etc/passwd"].startswith("a:x:1:1:\xff:/:/bin/sh\nb:x:2:2")


@pytest.mark.parametrize("number", ["9" * 5000, "4294967295", "\u0663", "-1", "1.5", "", "0x1"])
def test_lines_without_a_number_are_no_accounts(number: str) -> None:
    path = b"etc/passwd"
    tree = {path: File(path, Data(f"a:x:{number}:1::/:/bin/sh\n".encode()))}
    with Reader() as reader:
        assert AccountFiles.read(Tree(dict[bytes, Entry](tree)), reader).accounts.users == ()


def test_an_image_without_shadow_gets_it_for_everybody() -> None:
    files = there({"etc/passwd": "root:x:0:0:::\n", "etc/group": "root:x:0:\n"})
    found = written(files, files.accounts.with_user(User("ada", 1000, 0)))
    assert found["etc/shadow"] == "root:!:::::::\nada:!:::::::\n"
    assert "etc/gshadow" not in found


def test_a_link_is_read_where_it_leads() -> None:
    tree: dict[bytes, Entry] = {
        b"etc/passwd": Symlink(b"etc/passwd", b"../data/passwd"),
        b"data/passwd": File(b"data/passwd", Data(b"root:x:0:0:::\n")),
    }
    with Reader() as reader:
        assert AccountFiles.read(Tree(tree), reader).accounts.users[0].name == "root"


def test_subordinate_numbers_go_by_the_users() -> None:
    users = [User(name, uid, 0) for name, uid in (("bob", 1000), ("ada", 1001), ("eve", 1000), ("www", 33))]
    found = {entry.path: entry.content for entry in there().subordinate_entries(users) if isinstance(entry, File)}
    assert found == {
        b"etc/subuid": Data(b"bob:100000:65536\nada:165536:65536\n"),
        b"etc/subgid": Data(b"bob:100000:65536\nada:165536:65536\neve:100000:65536\n"),
    }
    assert list(there({}).subordinate_entries(users)) == []
