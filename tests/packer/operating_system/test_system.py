"""The smaller nouns of `[os]`: names, zones, locales, keyboards, mounts, init, machine-id."""

import struct
import subprocess
from pathlib import Path

import pytest

from layers.entry import PROGRAM, Data, Entry, File, Slice, Symlink
from tests.support.operating_systems import declared, mistakes, written

DEBIAN = {"var/lib/dpkg/status": ""}
DEBIAN_13 = {
    **DEBIAN,
    "usr/lib/tmpfiles.d/debian.conf": "L+ /etc/default/locale - - - - ../locale.conf\nL+ /etc/vconsole.conf - -\n",
}
ZONE = b"TZif2" + bytes(39)
ZONES: dict[str, str | bytes | Entry] = {
    "usr/share/zoneinfo/Etc/UTC": ZONE,
    "usr/share/zoneinfo/Europe/Paris": ZONE,
    "usr/share/zoneinfo/Europe/Prague": ZONE,
    "usr/share/zoneinfo/posix/Europe/Paris": ZONE,
    "usr/share/zoneinfo/zone.tab": "#",
    "usr/share/zoneinfo/tzdata": "no zone",
}


@pytest.mark.parametrize(("name", "names"), [("web", "web"), ("web.example.com", "web.example.com web")])
def test_hostname(name: str, names: str) -> None:
    assert written(f'hostname = "{name}"', {}) == {
        "etc/hostname": f"{name}\n",
        "etc/hosts": f"127.0.0.1\tlocalhost\n127.0.1.1\t{names}\n::1\t\tlocalhost ip6-localhost ip6-loopback\n",
    }


@pytest.mark.parametrize(
    ("zone", "files", "target"),
    [
        ("Europe/Paris", ZONES, "/usr/share/zoneinfo/Europe/Paris"),
        ("UTC", {}, "/usr/share/zoneinfo/UTC"),
        (
            "Etc/UTC",
            {f"nix/store/x-tzdata/{path.removeprefix('usr/')}": data for path, data in ZONES.items()},
            "/nix/store/x-tzdata/share/zoneinfo/Etc/UTC",
        ),
    ],
)
def test_timezone(zone: str, files: dict[str, str | bytes | Entry], target: str) -> None:
    found = written(f'timezone = "{zone}"', files)
    assert found == {"etc/localtime": f"-> {target}", "etc/timezone": f"{zone}\n"}


@pytest.mark.parametrize(
    ("zone", "files", "hint"),
    [
        ("Europe/Pariss", ZONES, "did you mean 'Europe/Paris'?"),
        ("tzdata", ZONES, ""),
        ("Mars", ZONES, ""),
        ("Europe/Paris", {}, "add the package tzdata"),
    ],
)
def test_zones_that_are_not_there(zone: str, files: dict[str, str | bytes | Entry], hint: str) -> None:
    line = f"os.timezone: there is no time zone '{zone}' in the image"
    assert mistakes(f'timezone = "{zone}"', files) == [f"{line} ({hint})" if hint else line]


LOCALES: dict[str, str | bytes | Entry] = {
    f"usr/lib/locale/{name}/LC_CTYPE": "" for name in ("C.utf8", "de_DE", "de_DE.utf8", "de_DE@euro", "ru_RU.iso88595")
}


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "de_DE.UTF-8", "de_DE.utf8", "de_DE@euro", "ru_RU.ISO-8859-5"])
def test_locale(locale: str) -> None:
    text = f"LANG={locale}\n"
    assert written(f'locale = "{locale}"', LOCALES) == {"etc/locale.conf": text}
    assert written(f'locale = "{locale}"', {**LOCALES, **DEBIAN}) == {
        "etc/default/locale": text,
        "etc/locale.conf": "-> default/locale",
    }
    assert written(f'locale = "{locale}"', {**LOCALES, **DEBIAN_13}) == {
        "etc/locale.conf": text,
        "etc/default/locale": "-> ../locale.conf",
    }


@pytest.mark.parametrize(
    ("locale", "files", "hint"),
    [
        ("de_DE.UTF-88", LOCALES, "did you mean 'de_DE.utf8'?"),
        ("xx_YY.UTF-8", DEBIAN, "add the package locales-all"),
        ("xx_YY.UTF-8", {}, "there is C.UTF-8"),
        ("xx_YY", {"usr/lib/locale/locale-archive": "damaged"}, "there is C.UTF-8"),
        ("xx_YY", {"usr/lib/locale/locale-archive": struct.pack("<8I", 0xDE020109, *[2**32 - 1] * 7)}, ""),
        ("xx_YY", {"usr/lib/locale/locale-archive": struct.pack("<8I", 0xDE020109, 0, 2**32 - 1, 1, 9, 0, 0, 0)}, ""),
    ],
)
def test_locales_that_are_not_there(locale: str, files: dict[str, str | bytes | Entry], hint: str) -> None:
    (line,) = mistakes(f'locale = "{locale}"', files)
    assert line.startswith(f"os.locale: there is no locale '{locale}' in the image")
    assert hint in line


@pytest.mark.parametrize("as_slice", [False, True])
def test_the_locales_of_an_archive_that_localedef_made(tmp_path: Path, as_slice: bool) -> None:
    (tmp_path / "usr/lib/locale").mkdir(parents=True)
    for action, name in (("add-to", "de_DE.utf8"), ("add-to", "fr_FR.utf8"), ("delete-from", "de_DE.utf8")):
        path = name if action == "delete-from" else f"/usr/lib/locale/{name}"
        subprocess.run(["localedef", f"--prefix={tmp_path}", f"--{action}-archive", path], check=True)
    archive = tmp_path / "usr/lib/locale/locale-archive"
    content = Slice(str(archive), 0, archive.stat().st_size) if as_slice else Data(archive.read_bytes())
    files = {"usr/lib/locale/locale-archive": File(b"usr/lib/locale/locale-archive", content)}
    assert written('locale = "fr_FR.UTF-8"', files) == {"etc/locale.conf": "LANG=fr_FR.UTF-8\n"}
    assert mistakes('locale = "fr_FE.UTF-8"', files) == [
        "os.locale: there is no locale 'fr_FE.UTF-8' in the image (did you mean 'fr_FR.utf8'?)"
    ]
    assert mistakes('locale = "de_DE.UTF-8"', files)  # it was there, and its name still is


_MODELS = "# console layout model variant options\nde-latin1\tde\tpc105\tnodeadkeys\tterminate:ctrl\nuk gb - - -\n"
KEYMAPS: dict[str, str | bytes | Entry] = {
    "usr/share/systemd/kbd-model-map": _MODELS,
    "usr/share/keymaps/i386/qwerty/us.kmap.gz": "",
    "usr/share/X11/xkb/symbols/fr": "",
    "usr/share/X11/xkb/symbols/README": "",
}


@pytest.mark.parametrize(
    ("keymap", "files", "keyboard"),
    [
        ("de-latin1", KEYMAPS, ("pc105", "de", "nodeadkeys", "terminate:ctrl")),
        ("uk", KEYMAPS, ("", "gb", "", "")),
        ("us", KEYMAPS, ("pc105", "us", "", "")),
        ("fr", KEYMAPS, ("pc105", "fr", "", "")),
        ("se-fi", {}, ("pc105", "se", "", "")),
    ],
)
def test_keymap(keymap: str, files: dict[str, str | bytes | Entry], keyboard: tuple[str, ...]) -> None:
    console = {"etc/vconsole.conf": f"KEYMAP={keymap}\n"}
    assert written(f'keymap = "{keymap}"', files) == console
    names = ("XKBMODEL", "XKBLAYOUT", "XKBVARIANT", "XKBOPTIONS")
    text = "".join(f'{name}="{value}"\n' for name, value in zip(names, keyboard, strict=True)) + 'BACKSPACE="guess"\n'
    assert written(f'keymap = "{keymap}"', {**files, **DEBIAN}) == {**console, "etc/default/keyboard": text}
    assert written(f'keymap = "{keymap}"', {**files, **DEBIAN_13}) == {
        "etc/vconsole.conf": "-> default/keyboard",
        "etc/default/keyboard": f"{text}KEYMAP={keymap}\n",
    }


def test_a_model_stays_to_the_byte() -> None:
    models = {"usr/share/systemd/kbd-model-map": b"x caf\xe9 pc105 - -\n"}
    [keyboard] = [
        e for e in declared('keymap = "x"', {**models, **DEBIAN}).entries if e.path == b"etc/default/keyboard"
    ]
    assert isinstance(keyboard, File)
    assert isinstance(keyboard.content, Data)
    assert b'XKBLAYOUT="caf\xe9"\n' in keyboard.content.data


@pytest.mark.parametrize(("keymap", "hint"), [("de-latin", " (did you mean 'de-latin1'?)"), ("README", "")])
def test_keymaps_that_are_not_there(keymap: str, hint: str) -> None:
    assert mistakes(f'keymap = "{keymap}"', KEYMAPS) == [f"os.keymap: there is no keymap '{keymap}' in the image{hint}"]


_MOUNTS = """
mounts = [
    { mount-point = "/srv/my data", label = "a b", type = "ext4", options = ["noatime", "nofail"], check = 2 },
    { mount-point = "/tmp", device = "tmpfs", type = "tmpfs" },
    { mount-point = "none", uuid = "0123-abcd", type = "swap", options = ["sw"] },
    { mount-point = "none", device = "/swap", type = "swap" },
]
"""


def test_mounts(tmp_path: Path) -> None:
    found = written(_MOUNTS, {"tmp/x": "", "etc/fstab": "# mine\nproc /proc proc defaults 0 0"})
    assert found == {
        "etc/fstab": "# mine\nproc /proc proc defaults 0 0\n"
        "LABEL=a\\040b /srv/my\\040data ext4 noatime,nofail 0 2\n"
        "tmpfs /tmp tmpfs defaults 0 0\n"
        "UUID=0123-abcd none swap sw 0 0\n"
        "/swap none swap defaults 0 0\n",
        "srv/my data": "755 0:0",
    }
    (tmp_path / "fstab").write_text(found["etc/fstab"])
    command = ["findmnt", "--tab-file", str(tmp_path / "fstab"), "--noheadings", "--raw", "--output", "SOURCE,TARGET"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert listed[1] == r"LABEL=a\x20b /srv/my\x20data"
    assert len(listed) == 5


def test_what_fstab_says_stays_to_the_byte() -> None:
    mounts = 'mounts = [{ mount-point = "/srv", device = "/dev/x", type = "ext4" }]'
    before = b"# caf\xe9\nproc /proc proc defaults 0 0\n"
    files: dict[str, str | bytes | Entry] = {
        "etc/fstab": Symlink(b"etc/fstab", b"there/fstab"), "etc/there/fstab": before, "srv/x": "",
    }  # fmt: skip
    line = b"/dev/x /srv ext4 defaults 0 0\n"
    assert list(declared(mounts, files).entries) == [File(b"etc/fstab", Data(before + line))]
    files = {"etc": Symlink(b"etc", b"usr/etc"), "usr/etc/fstab": before, "srv/x": ""}
    assert list(declared(mounts, files).entries) == [File(b"usr/etc/fstab", Data(before + line))]


def test_a_mount_that_the_image_has() -> None:
    assert mistakes(_MOUNTS, {"etc/fstab": "none /tmp tmpfs defaults 0 0\n"}) == [
        (
            "os.mounts[1].mount-point: the image has a line for '/tmp' in /etc/fstab already"
            " (leave it out, or write /etc/fstab with os.files)"
        )
    ]


_INIT = {"usr/sbin/init": File(b"usr/sbin/init", Data(b""), PROGRAM), "sbin": Symlink(b"sbin", b"usr/sbin")}


@pytest.mark.parametrize(
    ("init", "files", "line"),
    [
        ("/sbin/init", _INIT, ""),
        ("/usr/sbin/init", _INIT, ""),
        ("/sbin/inti", _INIT, "os.init: there is no program '/sbin/inti' in the image (did you mean '/sbin/init'?)"),
        ("/x", {}, "os.init: there is no program '/x' in the image (add a package that has one)"),
        ("/x", _INIT, "os.init: there is no program '/x' in the image (there is /sbin/init)"),
    ],
)
def test_init(init: str, files: dict[str, str | bytes | Entry], line: str) -> None:
    if line:
        assert mistakes(f'init = "{init}"', files) == [line]
    else:
        assert written(f'init = "{init}"', files) == {}


@pytest.mark.parametrize(
    ("table", "files", "made"),
    [
        ("", {}, {}),
        ("", {"usr/lib/systemd/systemd": ""}, {"etc/machine-id": ""}),
        ("", {"lib/systemd/systemd": ""}, {"etc/machine-id": ""}),
        ("", {"lib/systemd/systemd": "", "etc/machine-id": ""}, {}),
        ("", {"etc/machine-id": "0123\n"}, {"etc/machine-id": ""}),
        (
            'init = "/nix/store/x/lib/systemd/systemd"',
            {"nix/store/x/lib/systemd/systemd": File(b"nix/store/x/lib/systemd/systemd", Data(b""), PROGRAM)},
            {"etc/machine-id": ""},
        ),
        ('files = [{ target = "/etc/machine-id", text = "mine" }]', {"lib/systemd/systemd": ""},
         {"etc/machine-id": "mine"}),
    ],
)  # fmt: skip
def test_machine_id(table: str, files: dict[str, str | bytes | Entry], made: dict[str, str]) -> None:
    assert written(table, files) == made
