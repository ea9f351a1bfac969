import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY

PACKAGES = ("formats", "layers", "packer")


def build(folder: Path) -> Path:
    """The wheel, made without a network."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.iterdir()
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


def files_of_the_tree() -> set[str]:
    """Every file of the three packages, but for what Python leaves there."""
    return {
        str(path.relative_to(REPOSITORY))
        for package in PACKAGES
        for path in (REPOSITORY / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def files_of_the_wheel(wheel: Path) -> set[str]:
    """Every file of a wheel, but for its own records."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def record(wheel: Path, name: str) -> str:
    """One of a wheel's own records."""
    with zipfile.ZipFile(wheel) as archive:
        (found,) = (entry for entry in archive.namelist() if entry.endswith(f".dist-info/{name}"))
        return archive.read(found).decode()


def test_the_wheel_holds_the_three_packages_and_nothing_else(wheel: Path) -> None:
    assert files_of_the_wheel(wheel) == files_of_the_tree()


def test_the_files_of_the_wheel_are_those_of_the_tree(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        different = [
            name for name in files_of_the_wheel(wheel) if archive.read(name) != (REPOSITORY / name).read_bytes()
        ]
    assert not different


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_that_it_is_typed(package: str, wheel: Path) -> None:
    assert f"{package}/py.typed" in files_of_the_wheel(wheel)


def test_every_folder_with_modules_is_a_package(wheel: Path) -> None:
    names = files_of_the_wheel(wheel)
    folders = {os.path.dirname(name) for name in names if name.endswith(".py")}
    assert {f"{folder}/__init__.py" for folder in folders} <= names


def test_the_wheel_brings_its_command_licence_and_requirements(wheel: Path) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert record(wheel, "entry_points.txt").split("\n")[:2] == ["[console_scripts]", "ocipack = packer.__main__:main"]
    assert record(wheel, "licenses/LICENSE") == (REPOSITORY / "LICENSE").read_text()
    metadata = record(wheel, "METADATA").splitlines()
    required = [line.removeprefix("Requires-Dist: ") for line in metadata if line.startswith("Requires-Dist: ")]
    assert sorted(required) == sorted(project["dependencies"])
    assert f"Requires-Python: {project['requires-python']}" in metadata


def test_two_wheels_are_equal(wheel: Path, tmp_path: Path) -> None:
    again = build(tmp_path)
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()
