import pytest

from packer.systemd.unit_files import Install, UnitName, assignments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ssh.service", UnitName("ssh", None, "service")),
        ("getty@tty1.service", UnitName("getty", "tty1", "service")),
        ("getty@.service", UnitName("getty", "", "service")),
        ("a@b@c.timer", UnitName("a", "b@c", "timer")),
        (r"dev-disk-by\x2dlabel-x.mount", UnitName(r"dev-disk-by\x2dlabel-x", None, "mount")),
        ("dbus-org.freedesktop.network1.service", UnitName("dbus-org.freedesktop.network1", None, "service")),
        ("ssh", None),
        ("ssh.conf", None),
        (".service", None),
        ("@x.service", None),
        ("../x.service", None),
        ("a b.service", None),
        ("", None),
        ("x" * 248 + ".service", None),
    ],
)
def test_names(text: str, expected: UnitName | None) -> None:
    assert UnitName.parse(text) == expected
    if expected:
        assert str(expected) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("[Install]\nWantedBy=a\n", [("WantedBy", "a")]),
        ("[Unit]\nWantedBy=a\n[Install]\n Alias = b \n[Service]\nAlias=c\n", [("Alias", "b")]),
        ("[Install]\n# WantedBy=a\n;b\nAlias=c", [("Alias", "c")]),
        ("[Install]\nAlias=a \\\n  b\n", [("Alias", "a    b")]),
        ("[Install]\nAlias=a \\\n# c\n  b\n", [("Alias", "a    b")]),
        ("[Install]\nnonsense\nAlias=a=b\n", [("Alias", "a=b")]),
    ],
)
def test_assignments(text: str, expected: list[tuple[str, str]]) -> None:
    assert list(assignments(text, "Install")) == expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["[Unit]\nWants=a\n"], Install()),
        (["[Install]\nWantedBy=a b\nWantedBy=c\n"], Install(wanted_by=("a", "b", "c"))),
        (["[Install]\nWantedBy=a\n", "[Install]\nWantedBy=\nWantedBy=b\n"], Install(wanted_by=("b",))),
        (["[Install]\nAlias=\"a\" 'b'\n"], Install(alias=("a", "b"))),
        (["[Install]\nDefaultInstance=tty1\n", "[Install]\nDefaultInstance=x\n"], Install(default_instance="x")),
        (["[Install]\nRequiredBy=a\nUpheldBy=b\nAlso=c\n"], Install((), ("a",), ("b",), (), ("c",))),
    ],
)
def test_install(texts: list[str], expected: Install) -> None:
    found = Install.read(texts)
    assert found == expected
    assert bool(found) == bool(expected != Install() and expected.default_instance == "")
