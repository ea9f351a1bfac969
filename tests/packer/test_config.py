"""os.toml to records: what is accepted, and every mistake in words."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from formats.platform import PLATFORMS
from formats.system import Healthcheck
from layers.compress import LEVELS, codec
from layers.errors import InputError
from layers.plan import DEFAULT_MAX_LAYERS
from packer.config import load, override, parse
from packer.declaration import Declaration
from packer.mistakes import ConfigError, Mistake
from packer.record import keys
from packer.tables.compression import LayerCompression
from packer.tables.disk import Disk
from packer.tables.files import FileDeclaration
from packer.tables.layers import Layers
from tests.support import fake_store

HEAD = 'name = "hello"\nplatform = "x86_64-linux"\n'
STORE = '[store]\ntype = "fake"\npackages = ["bash"]\n'


@pytest.fixture(scope="module", autouse=True)
def fake() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        fake_store.install(monkeypatch, "fake", "other")
        yield


def declared(rest: str = "", head: str = "") -> Declaration:
    return parse(HEAD + head + STORE + rest, "os.toml")


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "os.toml")
    lines = str(caught.value).split("\n")
    assert all(line.startswith("os.toml: ") for line in lines)
    assert lines == [f"os.toml: {mistake}" for mistake in caught.value.mistakes]
    return [line.removeprefix("os.toml: ") for line in lines]


def told(rest: str = "", head: str = "") -> list[str]:
    return mistakes(HEAD + head + STORE + rest)


def test_the_least() -> None:
    declaration = declared()
    assert (declaration.name, declaration.version) == ("hello", "")
    assert declaration.target_platforms == (PLATFORMS["x86_64-linux"],)
    assert declaration.store[0].packages == ("bash",)
    assert isinstance(declaration.store[0], fake_store.Options)
    assert declaration.os.files == ()
    assert declaration.container.entrypoint is None
    assert (declaration.layers.max_layers, declaration.layers.strategy) == (DEFAULT_MAX_LAYERS, "size")
    assert declaration.layers.compression == LayerCompression(codec="gzip")
    assert declaration.oci_annotations == {}


def test_everything() -> None:
    declaration = parse(
        """
        name = "É"
        version = "1.0"
        platform = "armhf-linux"
        licenses = "MIT"
        [store]
        type = "fake"
        packages = ["bash", "coreutils"]
        signed-by = "keys.gpg"
        recommends = true
        [os]
        hostname = "web.example.com"
        [[os.files]]
        target = "/etc/motd"
        text = ""
        mode = "0640"
        user = "root"
        group = 42
        [[os.files]]
        target = "/"
        source = "root"
        [[os.files]]
        target = "/etc/localtime"
        symlink = "../usr/share/zoneinfo/Etc/UTC"
        [[os.files]]
        target = "/srv"
        directory = true
        [container]
        entrypoint = ["/bin/sh", "-c"]
        cmd = ["id"]
        env = { LANG = "C.UTF-8", A = "" }
        workdir = "/"
        user = 1000
        labels = { "a b" = "c" }
        ports = [80, "81/tcp", "53/udp"]
        volumes = ["/srv"]
        stop-signal = "SIGRTMIN+3"
        annotations = { "org.opencontainers.image.licenses" = "0BSD" }
        [layers]
        max-layers = 200
        force = true
        strategy = "single"
        compression = { codec = "zstd", level = 19 }
        """,
        "os.toml",
    )
    assert declaration.store[0].signed_by == "keys.gpg"
    assert [file.permissions for file in declaration.os.files] == [0o640, None, None, None]
    assert declaration.os.files[0].group == 42
    assert declaration.container.ports == ("80", "81/tcp", "53/udp")
    assert declaration.container.user == "1000"
    assert declaration.layers == Layers(
        max_layers=200, force=True, strategy="single", compression=LayerCompression(codec="zstd", level=19)
    )
    assert declaration.oci_annotations == {
        "org.opencontainers.image.licenses": "0BSD",
        "org.opencontainers.image.version": "1.0",
    }


@pytest.mark.parametrize(
    ("created", "seconds"),
    [
        ("1747733400", 1747733400),
        ("0", 0),
        ("2025-05-20T09:30:00Z", 1747733400),
        ("2025-05-20 11:30:00.75+02:00", 1747733400),
        ("'2025-05-20T09:30:00Z'", 1747733400),
        ("'2025-05-20t04:30:00.123456789-05:00'", 1747733400),
        ("'1970-01-01 01:00:00z'", 3600),
        ("'9999-12-31T23:59:59.9Z'", 253402300799),
    ],
)
def test_a_moment_can_be_said_in_several_ways(created: str, seconds: int) -> None:
    declaration = declared(f"[container]\ncreated = {created}\n")
    assert declaration.container.created == seconds
    assert override(declaration.container, {"user": "x"}, "command line").created == seconds


@pytest.mark.parametrize(
    "created", ["'1969-12-31T23:59:59Z'", "'1970-01-01T00:00:00+00:01'", "'9999-12-31T23:59:59-00:01'"]
)
def test_a_moment_that_no_image_can_have(created: str) -> None:
    assert told(f"[container]\ncreated = {created}\n") == ["container.created: must be from 1970 to 9999"]


def test_a_day_that_is_in_no_calendar() -> None:
    day = "2025-02-30T00:00:00Z"
    assert told(f"[container]\ncreated = '{day}'\n") == [f"container.created: '{day}' {NO_MOMENT}"]


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ("'exit 0'", ("CMD-SHELL", "exit 0")),
        ("['CMD-SHELL', 'exit 0']", ("CMD-SHELL", "exit 0")),
        ("['CMD', '/bin/a', '']", ("CMD", "/bin/a", "")),
        ("['NONE']", ("NONE",)),
    ],
)
def test_tests_of_a_healthcheck(test: str, words: tuple[str, ...]) -> None:
    check = declared(f"[container.healthcheck]\ntest = {test}\n").container.healthcheck
    assert check
    assert check.made() == Healthcheck(words)


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("['CMD']", "must have a program behind CMD"),
        ("['CMD', '']", "must not be empty"),
        ("['CMD-SHELL', 'a', 'b']", "must have one string behind CMD-SHELL"),
        ("['NONE', 'a']", "must have nothing behind NONE"),
    ],
)
def test_tests_that_are_too_long_or_too_short(test: str, said: str) -> None:
    assert told(f"[container.healthcheck]\ntest = {test}\n") == [f"container.healthcheck.test: {said}"]


@pytest.mark.parametrize(
    ("duration", "nanoseconds"),
    [
        ("1ms", 10**6),
        ("0.5s", 5 * 10**8),
        ("30s", 30 * 10**9),
        ("1m30s", 90 * 10**9),
        ("1h2m3.25s4ms", 3_723_254_000_000),
        ("99999h9999999m999999999s999999999999ms", 2_959_996_338_999_000_000),
    ],
)
def test_durations(duration: str, nanoseconds: int) -> None:
    check = declared(f"[container.healthcheck]\ntest = 'true'\ninterval = '{duration}'").container.healthcheck
    assert check
    assert check.made().interval == nanoseconds < 1 << 63


AT_THE_TOP = [
    ('nmae = "x"', "nmae: there is no such key (did you mean 'name'?)"),
    ("licences = 1979-05-27", "licences: there is no such key (did you mean 'licenses'?)"),
    (
        'version = ".1"',
        "version: '.1' is not a tag: up to 128 letters, digits and '_.-', of which '.' and '-' are not first",
    ),
    ("version = 1.0", "version: must be a string, not a decimal number (put it into quotes)"),
    ("title = 1979-05-27", "title: must be a string, not a date (put it into quotes)"),
    ("title = nan", "title: must be a string, not a decimal number (put it into quotes)"),
    ("title = true", "title: must be a string, not true or false (put it into quotes)"),
    ("title = []", "title: must be a string, not an array"),
    ("from-image = 'x'", f"from-image: there is no such key (there are: {', '.join(keys(Declaration))})"),
    ("os = 3", "os: must be a table, not an integer"),
    ("layers = []", "layers: must be a table, not an array"),
]


@pytest.mark.parametrize(("head", "line"), AT_THE_TOP)
def test_mistakes_at_the_top(head: str, line: str) -> None:
    assert told(head=head + "\n") == [line]


PATH = "is not an absolute path without '.', '..', '//' or a '/' at its end"
PORT = "is not a port: 1 to 65535, with /tcp or /udp if need be"
NO_DURATION = "is not a duration, such as 30s, 1m30s or 500ms"
NO_MOMENT = (
    "is no date with a time and an offset from UTC (write 2025-05-20T09:30:00Z, or a number of seconds since 1970)"
)
HOST = "is not a host name: letters, digits and '-', in parts of up to 63 joined by '.', 64 in all"
ORIGIN = "does not say what the file is made from (add one of source, text, symlink, directory)"
TOO_MANY = (
    "layers.max-layers: docker refuses to run an image of more than 125 layers (max depth exceeded)"
    " (take 125 or less, or add force = true (--force-layers) for a runtime that can do more)"
)

NUMBER = "os.users[0].uid: must be"
NAME = "is not a name of a user or group: a letter or '_', then up to 31 letters, digits and '_.-'"
USER = "is not a user: a name or number, with ':' and a group if need be"
NO_HASH = "os.users[0].password: is not a hash of a password, as `mkpasswd` prints it, nor '!'"
KEY = "os.users[0].authorized-keys[0]"

OF_ACCOUNTS = [
    ("[os]", "users = {}", "os.users: must be an array, not a table (put it into brackets: [{ this = 1 }])"),
    ("[[os.users]]", "", 'os.users[0].name: is missing (add it, for example "ada")'),
    ("[[os.users]]", 'name = "a b"', f"os.users[0].name: 'a b' {NAME}"),
    ("[[os.users]]", 'name = "1a"', f"os.users[0].name: '1a' {NAME}"),
    ("[[os.users]]", 'name = "a"\nuid = -1', f"{NUMBER} at least 0"),
    ("[[os.users]]", 'name = "a"\nuid = 4294967295', f"{NUMBER} less than 4294967295"),
    ("[[os.users]]", 'name = "a"\nuid = "1"', f"{NUMBER} an integer, not a string (leave the quotes out)"),
    (
        "[[os.users]]",
        'name = "a"\ngroups = "sudo"',
        ('os.users[0].groups: must be an array, not a string (put it into brackets: ["this"])'),
    ),
    ("[[os.users]]", 'name = "a"\ncomment = "a:b"', "os.users[0].comment: 'a:b' is not a text on one line without ':'"),
    ("[[os.users]]", 'name = "a"\nhome = "a"', f"os.users[0].home: 'a' {PATH}, nor ':'"),
    ("[[os.users]]", 'name = "a"\nhome = "/a:b"', f"os.users[0].home: '/a:b' {PATH}, nor ':'"),
    ("[[os.users]]", 'name = "a"\nshell = ""', "os.users[0].shell: must not be empty"),
    ("[[os.users]]", 'name = "a"\npassword = ""', "os.users[0].password: must not be empty"),
    ("[[os.users]]", 'name = "a"\npassword = "secret"', NO_HASH),
    ("[[os.users]]", 'name = "a"\npassword = "$6$salt$short"', NO_HASH),
    ("[[os.users]]", 'name = "a"\npassword = "$1$salt$aaaaaaaaaaaaaaaaaaaaaa"', NO_HASH),
    ("[[os.users]]", 'name = "a"\npassword = "*"', NO_HASH),
    (
        "[[os.users]]",
        'name = "a"\nauthorized-keys = [1]',
        f"{KEY}: must be a string, not an integer (put it into quotes)",
    ),
    ("[[os.users]]", 'name = "a"\nauthorized-keys = [""]', f"{KEY}: must not be empty"),
    ("[[os.users]]", 'name = "a"\nauthorized-keys = [{}]', f"{KEY}: needs either key or source (add one of them)"),
    (
        "[[os.users]]",
        'name = "a"\nauthorized-keys = [{ sauce = "x" , source = "y" }]',
        f"{KEY}.sauce: there is no such key (did you mean 'source'?)",
    ),
    ("[[os.groups]]", 'name = ""', "os.groups[0].name: must not be empty"),
    (
        "[[os.groups]]",
        'name = "a"\nmembers = [1]',
        ("os.groups[0].members[0]: must be a string, not an integer (put it into quotes)"),
    ),
]

OF_SYSTEMS = [
    ("[os]", 'timezone = "../x"', "os.timezone: '../x' is not a time zone, such as Europe/Paris"),
    ("[os]", 'locale = "de DE"', "os.locale: 'de DE' is not a locale, such as de_DE.UTF-8"),
    ("[os]", 'keymap = "-x"', "os.keymap: '-x' is not a keymap, such as de-latin1"),
    ("[os]", 'init = "init"', f"os.init: 'init' {PATH}"),
    (
        "[os]",
        'kernel-arguments = ["a b"]',
        ("os.kernel-arguments[0]: 'a b' is not one argument: ASCII, with spaces in double quotes only"),
    ),
    (
        "[os]",
        'services = "ssh.service"',
        'os.services: must be an array, not a string (put it into brackets: ["this"])',
    ),
    ("[os]", 'services = ["ssh"]', "os.services[0]: 'ssh' is not the name of a unit, such as ssh.service"),
    (
        "[os.services]",
        'enable = ["ssh"]',
        "os.services.enable[0]: 'ssh' is not the name of a unit, such as ssh.service",
    ),
    ("[os.services]", "start = []", "os.services.start: there is no such key (there are: enable, disable, mask)"),
    (
        "[[os.mounts]]",
        'mount-point = "/a"\ntype = "ext4"',
        ("os.mounts[0]: does not say what is mounted (add one of device, label, uuid)"),
    ),
    (
        "[[os.mounts]]",
        'mount-point = "/a"\ntype = "ext4"\nlabel = "a"\nuuid = "0"',
        ("os.mounts[0]: label and uuid exclude each other (keep one of them)"),
    ),
    (
        "[[os.mounts]]",
        'mount-point = "a"\ntype = "ext4"\nlabel = "a"',
        ("os.mounts[0].mount-point: 'a' is not an absolute path, or none"),
    ),
    ("[[os.mounts]]", 'mount-point = "/a"\nlabel = "a"', 'os.mounts[0].type: is missing (add it, for example "ext4")'),
    (
        "[[os.mounts]]",
        'mount-point = "/a"\ntype = "ext4"\nlabel = "a"\noptions = []',
        ("os.mounts[0].options: must not be empty"),
    ),
    (
        "[[os.mounts]]",
        'mount-point = "/a"\ntype = "ext4"\nlabel = "a"\noptions = ["ro,noatime"]',
        ("os.mounts[0].options[0]: 'ro,noatime' is not one option of mount, without ',' and spaces"),
    ),
    (
        "[[os.mounts]]",
        'mount-point = "/a"\ntype = "ext4"\nuuid = "x"',
        ("os.mounts[0].uuid: 'x' is not a UUID of a file system, as blkid prints it"),
    ),
]

#: What is wrong between tables, which no schema says.
TWICE = [
    ('users = [{ name = "a" }, { name = "a" }]', ["os.users[1].name: 'a' is the name of os.users[0] already"]),
    (
        'users = [{ name = "a", uid = 1 }, { name = "b", uid = 1 }]',
        ["os.users[1].uid: 1 is the uid of os.users[0] already"],
    ),
    (
        'groups = [{ name = "a", gid = 1 }, { name = "b", gid = 1 }]',
        ["os.groups[1].gid: 1 is the gid of os.groups[0] already"],
    ),
    (
        'services = { enable = ["a.service"], mask = ["b.service", "a.service"] }',
        ["os.services.mask[1]: 'a.service' is os.services.enable[0] already"],
    ),
    ('services = ["a.service", "a.service"]', ["os.services.enable[1]: 'a.service' is os.services.enable[0] already"]),
    (
        'mounts = [{ mount-point = "/a", uuid = "0", type = "vfat" }, { mount-point = "/a", uuid = "1", type = "x" }]',
        ["os.mounts[1].mount-point: '/a' is the mount-point of os.mounts[0] already"],
    ),
    (
        'mounts = [{ mount-point = "none", uuid = "0", type = "swap" }]',
        [],
    ),
    ('files = [{ target = "/a", source = "x/*" }, { target = "/a", source = "y/*" }]', []),
    ('files = [{ target = "/etc/passwd", text = "" }]', []),
    (
        'users = [{ name = "a" }]\nfiles = [{ target = "/etc/passwd", text = "" }]',
        ["os.files[0].target: is written from os.users and os.groups"],
    ),
    ('kernel-arguments = ["quiet", "init=/bin/sh"]', ["os.kernel-arguments[1]: says what os.init is for"]),
    (
        'users = [{ name = "a", home = "", authorized-keys = [{ source = "x" }] }]',
        ["os.users[0].authorized-keys: needs a home to be in"],
    ),
]


@pytest.mark.parametrize(("table", "lines"), TWICE)
def test_what_two_keys_say(table: str, lines: list[str]) -> None:
    if lines:
        assert [line.partition(" (")[0] for line in told(f"[os]\n{table}")] == lines
    else:
        declared(f"[os]\n{table}")


def test_a_password_is_never_shown() -> None:
    assert "hunter2" not in "".join(told('[[os.users]]\nname = "a"\npassword = "hunter2"'))


HASHES = [
    "!",
    f"$y$j9T$salt${'a' * 43}",
    f"$gy$j9T$salt${'a' * 43}",
    f"$7$CU..../....salt${'a' * 43}",
    f"$2b$12${'a' * 53}",
    f"$6$salt${'a' * 86}",
    f"$6$rounds=5000$salt${'a' * 86}",
    f"$5$salt${'a' * 43}",
]


@pytest.mark.parametrize(
    ("name", "right"), [("É", True), ("C++", True), ("..", False), ("日本", False), ("x/日本", False)]
)
def test_a_name_leaves_something_for_a_repository(name: str, right: bool) -> None:
    text = f"{HEAD}{STORE}".replace("hello", name)
    if right:
        assert parse(text, "os.toml").name == name
    else:
        with pytest.raises(
            ConfigError, match=f"os.toml: name: nothing of '{re.escape(name)}' can be in the name of a repository"
        ):
            parse(text, "os.toml")


@pytest.mark.parametrize("password", HASHES)
def test_hashes_of_passwords(password: str) -> None:
    (user,) = declared(f"[[os.users]]\nname = 'a'\npassword = '{password}'").os.users
    assert user.password == password


def test_hashes_that_openssl_makes() -> None:
    for option in ("-5", "-6"):
        made = subprocess.run(["openssl", "passwd", option, "secret"], capture_output=True, text=True, check=True)
        declared(f"[[os.users]]\nname = 'a'\npassword = '{made.stdout.strip()}'")


def test_short_forms_are_the_long_ones() -> None:
    short, long = (
        declared(f"[os]\nservices = {value}").os for value in ('["a.service"]', '{ enable = ["a.service"] }')
    )
    assert short == long


IN_TABLES = [
    ("[os]", 'hostname = ""', "os.hostname: must not be empty"),
    ("[os]", 'hostname = "a_b"', f"os.hostname: 'a_b' {HOST}"),
    ("[os]", 'hostname = "-a"', f"os.hostname: '-a' {HOST}"),
    ("[os]", f'hostname = "{"a" * 64}"', f"os.hostname: '{'a' * 57}…' {HOST}"),
    ("[os]", 'hostname = "a\\n"', f"os.hostname: 'a\\n' {HOST}"),
    ("[os]", "files = 1", "os.files: must be an array, not an integer"),
    ("[os]", "files = {}", "os.files: must be an array, not a table (put it into brackets: [{ this = 1 }])"),
    ("[os]", "files = [1]", "os.files[0]: must be a table, not an integer"),
    ("[[os.files]]", 'text = ""', 'os.files[0].target: is missing (add it, for example "/etc/motd")'),
    ("[[os.files]]", 'target = "/a"', f"os.files[0]: {ORIGIN}"),
    ("[[os.files]]", 'target = "/a"\ndirectory = 0', "os.files[0].directory: must be true or false, not an integer"),
    ("[[os.files]]", 'target = "/a"\ndirectory = false', f"os.files[0]: {ORIGIN}"),
    ("[[os.files]]", 'target = "a"\ntext = ""', f"os.files[0].target: 'a' {PATH}"),
    ("[[os.files]]", 'target = "/a/../b"\ntext = ""', f"os.files[0].target: '/a/../b' {PATH}"),
    ("[[os.files]]", 'target = "/a/."\ntext = ""', f"os.files[0].target: '/a/.' {PATH}"),
    ("[[os.files]]", 'target = "/a//b"\ntext = ""', f"os.files[0].target: '/a//b' {PATH}"),
    ("[[os.files]]", 'target = "/a/"\ntext = ""', f"os.files[0].target: '/a/' {PATH}"),
    ("[[os.files]]", 'target = "/a\\n"\ntext = ""', f"os.files[0].target: '/a\\n' {PATH}"),
    (
        "[[os.files]]",
        f'target = "/{"é" * 128}"\ntext = ""',
        f"os.files[0].target: a name in '/{'é' * 56}…' is longer than 255 bytes",
    ),
    (
        "[[os.files]]",
        'target = "/"\ntext = ""',
        "os.files[0].target: the root is there already (only a source folder can go there)",
    ),
    (
        "[[os.files]]",
        'target = "/a"\ntext = ""\nsource = "b"',
        "os.files[0]: source and text exclude each other (keep one of them)",
    ),
    ("[[os.files]]", 'target = "/a"\nsource = ""', "os.files[0].source: must not be empty"),
    (
        "[[os.files]]",
        'target = "/a"\ntext = ""\nmode = 644',
        "os.files[0].mode: must be a string, not an integer (put it into quotes)",
    ),
    (
        "[[os.files]]",
        'target = "/a"\ntext = ""\nmode = "0899"',
        'os.files[0].mode: \'0899\' is not permissions in octal, such as "0644" or "4755"',
    ),
    (
        "[[os.files]]",
        'target = "/a"\nsymlink = "b"\nmode = "0644"',
        "os.files[0].mode: a symbolic link has no permissions of its own (leave it out)",
    ),
    (
        "[[os.files]]",
        'target = "/a"\ntext = ""\nuser = "root"',
        "os.files[0].user: needs a group beside it (add group, or leave both out)",
    ),
    (
        "[[os.files]]",
        'target = "/a"\ntext = ""\ngroup = 0',
        "os.files[0].group: needs a user beside it (add user, or leave both out)",
    ),
    (
        "[[os.files]]",
        'target = "/a"\ntext = ""\ngroup = -1\nuser = "a"',
        "os.files[0].group: -1 is not the name or number of an account",
    ),
    *OF_ACCOUNTS,
    *OF_SYSTEMS,
    (
        "[container]",
        "entrypoint = '/bin/sh'",
        'container.entrypoint: must be an array, not a string (put it into brackets: ["this"])',
    ),
    ("[container]", "entry-point = []", "container.entry-point: there is no such key (did you mean 'entrypoint'?)"),
    (
        "[container]",
        "stop_signal = 'SIGTERM'",
        "container.stop_signal: there is no such key (did you mean 'stop-signal'?)",
    ),
    (
        "[container]",
        "stop-signal = 'SIGTREM'",
        "container.stop-signal: 'SIGTREM' is not a signal, such as SIGTERM, SIGRTMIN+3 or 15",
    ),
    (
        "[container]",
        "stop-signal = 65",
        "container.stop-signal: '65' is not a signal, such as SIGTERM, SIGRTMIN+3 or 15",
    ),
    ("[container]", "ports = [0]", f"container.ports[0]: '0' {PORT}"),
    ("[container]", "ports = [80, '65536/tcp']", f"container.ports[1]: '65536/tcp' {PORT}"),
    ("[container]", "ports = ['80/icmp']", f"container.ports[0]: '80/icmp' {PORT}"),
    ("[container]", "ports = [true]", "container.ports[0]: must be a string, not true or false (put it into quotes)"),
    ("[container]", "volumes = ['data']", f"container.volumes[0]: 'data' {PATH}"),
    (
        "[container]",
        "volumes = { '/data' = {} }",
        'container.volumes: must be an array, not a table (write ["/data"])',
    ),
    (
        "[container]",
        "ports = { '80/tcp' = {}, '81/tcp' = {} }",
        'container.ports: must be an array, not a table (write ["80/tcp", …])',
    ),
    ("[container]", "env = ['A=1']", 'container.env: must be a table, not an array (write { A = "1" })'),
    (
        "[container]",
        "labels = ['a b==\"1', 'c=']",
        r'container.labels: must be a table, not an array (write { "a b" = "=\"1", … })',
    ),
    ("[container]", "env = ['A']", "container.env: must be a table, not an array"),
    (
        "[disk]",
        "root-uuid = 'x'",
        f"disk.root-uuid: there is no such key (there are: {', '.join(keys(Disk))})",
    ),
    ("[container]", "user = -1", f"container.user: '-1' {USER}"),
    ("[container]", "user = '1:-1'", f"container.user: '1:-1' {USER}"),
    ("[container]", 'user = "a\\u001b"', f"container.user: 'a\\x1b' {USER}"),
    ("[container]", "workdir = 'app'", f"container.workdir: 'app' {PATH}"),
    (
        "[container]",
        "user = 'a b'",
        "container.user: 'a b' is not a user: a name or number, with ':' and a group if need be",
    ),
    (
        "[container.healthcheck]",
        "test = ['CMD', 1]",
        "container.healthcheck.test[1]: must be a string, not an integer (put it into quotes)",
    ),
    ("[container]", "healthcheck = 'true'", "container.healthcheck: must be a table, not a string"),
    *(
        ("[container.healthcheck]", f"test = {test}", f"container.healthcheck.test: {said}")
        for test, said in [
            ("''", "must not be empty"),
            ("[]", "must not be empty"),
            ("3", "must be an array, not an integer"),
            (
                "['curl', 'x']",
                (
                    "'curl' is none of CMD, CMD-SHELL, NONE"
                    ' (write ["CMD", "program", "argument"], or a string for the shell)'
                ),
            ),
        ]
    ),
    *(
        ("[container.healthcheck]", f"test = 'true'\n{line}", f"container.healthcheck.{said}")
        for line, said in [
            ("interval = 30", "interval: must be a string, not an integer (put it into quotes)"),
            ("interval = '30'", f"interval: '30' {NO_DURATION}"),
            ("timeout = '0s'", f"timeout: '0s' {NO_DURATION}"),
            ("timeout = '0.0001s'", f"timeout: '0.0001s' {NO_DURATION}"),
            ("start-period = '1m1h'", f"start-period: '1m1h' {NO_DURATION}"),
            ("start-interval = ''", "start-interval: must not be empty"),
            ("retries = 0", "retries: must be at least 1"),
        ]
    ),
    ("[container]", "created = '2025-05-20'", f"container.created: '2025-05-20' {NO_MOMENT}"),
    ("[container]", "created = '2025-05-20T09:30:00'", f"container.created: '2025-05-20T09:30:00' {NO_MOMENT}"),
    ("[container]", "created = '2025-13-20T09:30:00Z'", f"container.created: '2025-13-20T09:30:00Z' {NO_MOMENT}"),
    ("[container]", "created = '2025-05-20T09:30:60Z'", f"container.created: '2025-05-20T09:30:60Z' {NO_MOMENT}"),
    ("[container]", "created = 2025-05-20T09:30:00", f"container.created: 2025-05-20 09:30:00 {NO_MOMENT}"),
    ("[container]", "created = 2025-05-20", f"container.created: 2025-05-20 {NO_MOMENT}"),
    ("[container]", "created = 09:30:00", f"container.created: 09:30:00 {NO_MOMENT}"),
    ("[container]", "created = ''", f"container.created: '' {NO_MOMENT}"),
    ("[container]", "created = -1", "container.created: must be from 1970 to 9999"),
    ("[container]", "created = 253402300800", "container.created: must be from 1970 to 9999"),
    ("[container]", "created = 1.5", "container.created: must be a string, not a decimal number (put it into quotes)"),
    ("[container.env]", "A = 1", "container.env.A: must be a string, not an integer (put it into quotes)"),
    (
        "[container.env]",
        "'A=B' = ''",
        "container.env.'A=B': 'A=B' is not a name of a variable: not empty, and without '='",
    ),
    ("[container.env]", "'' = ''", "container.env.'': must not be empty"),
    ("[container.labels]", "a.b = ''", "container.labels.a: must be a string, not a table"),
    ("[layers]", "max-layers = '9'", "layers.max-layers: must be an integer, not a string (leave the quotes out)"),
    ("[layers]", "max-layers = true", "layers.max-layers: must be an integer, not true or false"),
    ("[layers]", "max-layers = 9.0", "layers.max-layers: must be an integer, not a decimal number"),
    ("[layers]", "max-layers = 1", "layers.max-layers: must be at least 2"),
    ("[layers]", "max-layers = 126", TOO_MANY),
    ("[layers]", "force = 'yes'", "layers.force: must be true or false, not a string (leave the quotes out)"),
    (
        "[layers]",
        "strategy = 'by_size'",
        "layers.strategy: there is no layering strategy 'by_size' (did you mean 'size'?)",
    ),
    ("[layers]", "strategy = 1", "layers.strategy: must be a string, not an integer (put it into quotes)"),
    (
        "[layers]",
        "compression = 'lz4'",
        "layers.compression: there is no compression 'lz4' (there are: none, gzip, zstd)",
    ),
    ("[layers]", "compression = 6", "layers.compression: must be a table, not an integer"),
    (
        "[layers.compression]",
        "codec = 'gz'",
        "layers.compression.codec: there is no compression 'gz' (did you mean 'gzip'?)",
    ),
    ("[layers.compression]", "level = 10", "layers.compression.level: gzip has no level 10 (it has 1 to 9)"),
    (
        "[layers.compression]",
        "codec = 'none'\nlevel = 1",
        "layers.compression.level: none has no level 1 (leave the level out)",
    ),
    ("[layers.compression]", "codec = {}\nlevel = 1", "layers.compression.codec: must be a string, not a table"),
    ("[layers.compression]", "levl = 1", "layers.compression.levl: there is no such key (did you mean 'level'?)"),
]


@pytest.mark.parametrize("number", ["2147483648", "\N{ARABIC-INDIC DIGIT ONE}", "9" * 5000])
@pytest.mark.parametrize("user", ["{}", "0:{}", "web:{}"])
def test_numbers_of_users_of_containers_end(user: str, number: str) -> None:
    (line,) = told(f"[container]\nuser = '{user.format(number)}'\n")
    assert line.startswith("container.user: ")
    assert line.endswith(" is none of the numbers of users of containers, 0 to 2147483647")


@pytest.mark.parametrize(("table", "keys", "line"), IN_TABLES)
def test_mistakes_in_tables(table: str, keys: str, line: str) -> None:
    assert told(f"{table}\n{keys}\n") == [line]


SECOND = "[[store]]\ntype = 'fake'\npackages = ['a']\n[[store]]\n"
STORES = [
    ("", 'store: is missing (add it, for example [store] with type = "debian")'),
    ("store = 3", "store: must be a table, not an integer"),
    ("[store]\npackages = ['a']", "store.type: is missing (one of fake, other)"),
    ("[store]\ntype = 3", "store.type: must be a string, not an integer (put it into quotes)"),
    ("[store]\ntype = 'fak'", "store.type: there is no store 'fak' (did you mean 'fake'?)"),
    ("[store]\ntype = 'x'", "store.type: there is no store 'x' (there are: fake, other)"),
    ("[store]\ntype = 'fake'", "store.packages: is missing"),
    ("[store]\ntype = 'fake'\npackages = []", "store.packages: must not be empty"),
    (
        "[store]\ntype = 'fake'\npackages = [1]",
        "store.packages[0]: must be a string, not an integer (put it into quotes)",
    ),
    (
        "[store]\ntype = 'fake'\npackages = ['a', 1]",
        "store.packages[1]: must be a string, not an integer (put it into quotes)",
    ),
    (
        "[store]\ntype = 'fake'\npackages = ['a']\nsigned_by = 'k'",
        "store.signed_by: there is no such key (did you mean 'signed-by'?)",
    ),
    ("store = []", "store: must not be empty"),
    ("store = [3]", "store[0]: must be a table, not an integer"),
    ("store = [[]]", "store[0]: must be a table, not an array"),
    ("[[store]]", "store[0].type: is missing (one of fake, other)"),
    (f"{SECOND}type = 'othre'", "store[1].type: there is no store 'othre' (did you mean 'other'?)"),
    (f"{SECOND}type = 'other'", "store[1].packages: is missing"),
    (
        f"{SECOND}type = 'other'\npackages = ['a', 1]",
        "store[1].packages[1]: must be a string, not an integer (put it into quotes)",
    ),
    (
        f"{SECOND}type = 'other'\npackages = ['a']\nsigned_by = 'k'",
        "store[1].signed_by: there is no such key (did you mean 'signed-by'?)",
    ),
]


@pytest.mark.parametrize(("table", "line"), STORES)
def test_mistakes_in_the_store(table: str, line: str) -> None:
    assert mistakes(HEAD + table) == [line]


def test_several_stores() -> None:
    declaration = parse(f"{HEAD}{SECOND}type = 'fake'\npackages = ['b']", "os.toml")
    assert [(store.type, store.packages) for store in declaration.store] == [("fake", ("a",)), ("fake", ("b",))]


def test_mistakes_of_several_stores_at_once() -> None:
    assert mistakes(f"{HEAD}[[store]]\ntype = 'fake'\n{SECOND}type = 'x'\n[[store]]\npackages = 1\ntype = 'fake'") == [
        "store[0].packages: is missing",
        "store[2].type: there is no store 'x' (there are: fake, other)",
        "store[3].packages: must be an array, not an integer",
    ]


def test_a_store_of_which_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake_store.Options, "ONCE", "it has one shelf", raising=False)
    assert mistakes(f"{HEAD}{SECOND}type = 'other'\npackages = ['b']\n[[store]]\ntype = 'fake'") == [
        "store[2].packages: is missing",
        "store[2].type: is that of store[0] already, and it has one shelf (ask store[0] for all that is wanted)",
    ]


def test_all_mistakes_at_once_in_the_order_of_the_file() -> None:
    assert mistakes(
        """
        version = 1
        [layers]
        max-layers = 126
        strategy = "sise"
        [store]
        type = "fake"
        package = ["bash"]
        [[os.files]]
        target = "/etc/motd"
        text = "x"
        user = "root"
        mode = 644
        moed = 1
        [[os.files]]
        symlink = "x"
        target = "/etc/motd"
        source = "y"
        [[os.files]]
        target = "/etc/motd"
        directory = true
        """
    ) == [
        'platform: is missing (add it, for example "x86_64-linux")',
        'name: is missing (add it, for example "hello")',
        "version: must be a string, not an integer (put it into quotes)",
        TOO_MANY,
        "layers.strategy: there is no layering strategy 'sise' (did you mean 'size'?)",
        "store.packages: is missing",
        "store.package: there is no such key (did you mean 'packages'?)",
        "os.files[0].user: needs a group beside it (add group, or leave both out)",
        "os.files[0].mode: must be a string, not an integer (put it into quotes)",
        "os.files[0].moed: there is no such key (did you mean 'mode'?)",
        "os.files[1]: source and symlink exclude each other (keep one of them)",
        "os.files[1].target: '/etc/motd' is the target of os.files[0] already (keep one of them)",
        "os.files[2].target: '/etc/motd' is the target of os.files[0] already (keep one of them)",
    ]


def test_many_mistakes_are_counted() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(HEAD + STORE + "[os]\n" + "".join(f"a{number} = 1\n" for number in range(20_000)), "os.toml")
    assert len(caught.value.mistakes) == 20_000
    lines = str(caught.value).split("\n")
    assert (len(lines), lines[-1]) == (101, "os.toml: and 19900 more mistakes")


def test_the_error_carries_what_it_says() -> None:
    with pytest.raises(InputError) as caught:
        parse(HEAD, "a/os.toml")
    assert isinstance(caught.value, ConfigError)
    assert caught.value.exit_code == 2
    assert caught.value.origin == "a/os.toml"
    assert caught.value.mistakes == (
        Mistake("store", "is missing", 'add it, for example [store] with type = "debian"'),
    )


def test_load_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "os.toml"
    path.write_text(HEAD + STORE)
    assert load(str(path)) == declared()
    path.write_text(HEAD)
    with pytest.raises(ConfigError, match=f"^{path}: store: is missing"):
        load(str(path))


def test_a_declaration_cannot_be_changed() -> None:
    declaration = declared()
    with pytest.raises(FrozenInstanceError):
        declaration.name = "x"  # type: ignore[misc]
    assert replace(declaration, name="x").name == "x"
    assert replace(declaration).container == declaration.container


def test_records_check_what_code_gives_them() -> None:
    assert FileDeclaration(target="/a", text="").target == "/a"
    with pytest.raises(ValidationError):
        FileDeclaration(target="/a", text="", source="b")
    with pytest.raises(ValidationError):
        Layers(max_layers=126)


def test_override() -> None:
    layers = override(Layers(max_layers=9), {"strategy": "single", "compression": "none"}, "command line")
    assert layers == Layers(max_layers=9, strategy="single", compression=LayerCompression(codec="none"))
    with pytest.raises(ConfigError, match=r"^command line: max-layers: docker refuses .*\ncommand line: compression"):
        override(layers, {"max-layers": 126, "compression": {"codec": "gzip", "level": 77}}, "command line")


@pytest.mark.parametrize("name", LEVELS)
def test_codecs_and_levels_are_those_that_there_are(name: str) -> None:
    def there_is(level: int) -> bool:
        try:
            codec(name, level)
        except InputError:
            return False
        return True

    assert [level for level in range(-3, 30) if there_is(level)] == list(LEVELS[name])


def test_no_codec_is_forgotten() -> None:
    with pytest.raises(InputError) as caught:
        codec("x")
    assert caught.value.hint == f"There are: {', '.join(LEVELS)}."


def frozen(value: Any) -> Iterator[bool]:
    """Whether values that a record holds can be changed, at any depth."""
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from frozen(getattr(value, field.name))
    yield not isinstance(value, list | set)


def test_nothing_in_a_declaration_is_a_list() -> None:
    assert all(frozen(declared('[os]\nfiles = [{ target = "/a", text = "" }]')))
