"""What is planned before it is built, and what a second build is compared by."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from formats import wsl2
from formats.disk import Options
from formats.image import Image
from layers.errors import InputError
from layers.progress import NoProgress
from packer import build
from packer.build import DifferenceError, Output, Settings
from packer.config import parse

_DECLARATION = """
name = "it"
version = "1"
platform = "x86_64-linux"
[store]
type = "debian"
packages = ["bash"]
"""


def _settings(folder: Path) -> Settings:
    return Settings(str(folder), str(folder), 1, 1, refresh=False, verify=True, environment={}, progress=NoProgress())


def _outputs(folder: Path, text: str, *names: str) -> list[Output]:
    declaration = parse(f"{_DECLARATION}{text}", "os.toml")
    return build.outputs(declaration, names, _settings(folder), str(folder))


_FOO = '[types.foo]\ninherits = "disk"\n[types.foo-raw]\ninherits = "foo"\n'
_VDI = '[types.vdi]\ninherits = "disk"\ndisk.container = "vdi"\n[disk]\nefi-vars = true\n'


@pytest.mark.parametrize(
    ("types", "names", "both", "file"),
    [
        (_FOO, ("foo", "foo-raw"), ("foo", "foo-raw"), "it-1-foo.raw"),
        (_FOO, ("foo-raw", "docker", "foo", "wsl2"), ("foo-raw", "foo"), "it-1-foo.raw"),
        (_VDI, ("vdi", "qcow2"), ("vdi", "qcow2"), "it-1.efi-vars.fd"),
    ],
    ids=["artefacts", "others between them", "beside artefacts"],
)
def test_two_types_do_not_write_one_file(
    tmp_path: Path, types: str, names: tuple[str, ...], both: tuple[str, str], file: str
) -> None:
    message = f"^{both[0]} and {both[1]} would both be written to {tmp_path}/{file}\n"
    with pytest.raises(InputError, match=message):
        _outputs(tmp_path, types, *names)
    for name in both:
        assert [output.type for output in _outputs(tmp_path, types, name)] == [name]


def test_what_is_beside_an_artefact_is_known_before_it_is_made(tmp_path: Path) -> None:
    outputs = _outputs(tmp_path, "[disk]\nefi-vars = true\n", "docker", "wsl2", "efi-raw", "qcow2", "iso9660")
    assert [[Path(path).name for path in output.paths] for output in outputs] == [
        ["it-1.docker.tar"],
        ["it-1.wsl", "it-1.wsl.json"],
        ["it-1-efi.raw", "it-1-efi.efi-vars.fd"],
        ["it-1.qcow2", "it-1.efi-vars.fd"],
        ["it-1.iso"],
    ]
    assert _outputs(tmp_path, "[wsl2]\nlegacy = true\n", "wsl2")[0].paths == (f"{tmp_path}/it-1.rootfs.tar.gz",)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("n-1.qcow2", "n-1.efi-vars.fd"), ("n-1.img", "n-1.img.efi-vars.fd"), ("n-1.2", "n-1.2.efi-vars.fd")],
)
def test_only_the_suffix_of_the_container_is_left_out(path: str, expected: str) -> None:
    options = Options("qcow2", Image(format="qcow2", efi_variables=True))
    assert Output("qcow2", path, options, format="disk").paths == (path, expected)


@pytest.mark.parametrize(
    ("output", "differing"),
    [
        (Output("wsl2", "n.wsl", wsl2.Options()), "n.wsl.json"),
        (Output("x", "n.raw", Options("x", Image(format="raw", efi_variables=True)), format="disk"), "n.efi-vars.fd"),
        (Output("oci", "n.oci"), "n.oci"),
    ],
    ids=["wsl2", "disk", "oci"],
)
def test_a_second_build_must_have_the_same_beside_the_artefact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: Output, differing: str
) -> None:
    numbers = itertools.count()

    def made(_: object, outputs: Sequence[Output], _settings: object) -> list[Any]:
        for path in (path for each in outputs for path in each.paths):
            differs = Path(path).name == differing
            Path(path).write_text(str(next(numbers)) if differs and is_unstable else "the same")
        return []

    monkeypatch.setattr(build, "_made", made)
    monkeypatch.chdir(tmp_path)
    is_unstable = False
    build.check([], [output], _settings(tmp_path))
    is_unstable = True
    with pytest.raises(DifferenceError, match=rf"different bytes: {differing}\n"):
        build.check([], [output], _settings(tmp_path))
