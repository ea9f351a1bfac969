import json
import subprocess

import pytest

from packer.nix.item import name_and_version, source_name

NAMES = [
    ("hello-2.12", "hello", "2.12"),
    ("bash-interactive-5.2-p15", "bash-interactive", "5.2-p15"),
    ("gcc-12.2.0-lib", "gcc", "12.2.0-lib"),
    ("nixos-system-box-23.05", "nixos-system-box", "23.05"),
    ("source", "source", ""),
    ("python3", "python3", ""),
    ("x-", "x", ""),
    ("lib-_1", "lib", "_1"),
]


@pytest.mark.parametrize(("base", "name", "version"), NAMES)
def test_names_of_items(base: str, name: str, version: str) -> None:
    path = f"/nix/store/{'0' * 32}-{base}"
    assert name_and_version(path) == ((name, version) if version else (base, ""))


def test_nix_splits_them_the_same_way() -> None:
    bases = [base for base, _, version in NAMES if version]
    expression = f"builtins.toJSON (map builtins.parseDrvName {' '.join(['[', *map(json.dumps, bases), ']'])})"
    said = subprocess.run(
        ["nix-instantiate", "--eval", "--strict", "--store", "dummy://", "-E", expression],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert [(one["name"], one["version"]) for one in json.loads(json.loads(said))] == [
        name_and_version(f"/nix/store/{'0' * 32}-{base}") for base in bases
    ]


@pytest.mark.parametrize(
    ("base", "source"),
    [
        ("glibc-2.38-27", "glibc"),
        ("glibc-2.38-27-bin", "glibc"),
        ("gcc-12.2.0-lib", "gcc"),
        ("python3.11-requests-2.31.0", "python3.11-requests"),
        ("profile", "profile"),
        ("profile-lib", "profile"),
        ("profile-library", "profile-library"),
        ("linux-doc-6.1", "linux-doc"),
        ("-lib", "-lib"),
    ],
)
def test_outputs_of_a_derivation_have_one_source(base: str, source: str) -> None:
    assert source_name(f"/nix/store/{'0' * 32}-{base}") == source
