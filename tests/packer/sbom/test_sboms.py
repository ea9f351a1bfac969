"""SBOMs of every store: valid for their libraries, and exactly the closure that the store's own program tells."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from packageurl import PackageURL

from layers.plan import LayerPlan
from packer.sbom.components import bill
from tests.oracle import sboms
from tests.oracle.runtimes import output, skopeo_copy, umoci_unpack
from tests.packer.stores.test_guix import BUSYBOX, SYSTEM, guix_store  # noqa: F401
from tests.packer.stores.test_nix import Desk
from tests.support.command_line import OCIPACK, Workplace
from tests.support.command_line import workplace as make_workplace
from tests.support.nix_store import SmallStore
from tests.support.systems import item, system

_SBOMS = ("--sbom", "image.spdx.json", "--sbom", "image.cdx.json")
_COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: Ada
License: GPL-2+

Files: more
Copyright: Ada
License: Beer
 A text.
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """The usual packages, and one that says more about itself."""
    made = make_workplace(tmp_path_factory.mktemp("sbom"))
    made.archive.add(
        "documented", "1:2~3+b1", control={"Source": "origin (1:2~3)"},
        files={"/usr/share/doc/documented/copyright": _COPYRIGHT, "/usr/lib/os-release": "ID=debian\n"
               'VERSION_CODENAME="trixie"\n', "/etc/os-release": "ID=debian\nVERSION_CODENAME=trixie\n"},
    )  # fmt: skip
    made.archive.publish()
    made.declare(packages='"tiny", "tool", "documented"')
    return made


@pytest.fixture(scope="module")
def image(place: Workplace) -> dict[str, Any]:
    """What `--json` tells of an image with its SBOMs."""
    answer = place.run("docker", "--json", "-o", "image.tar", *_SBOMS)
    assert answer.code == 0, answer.err
    facts: dict[str, Any] = json.loads(answer.out)
    return facts


def _cyclonedx(folder: Path) -> Any:
    data = (folder / "image.cdx.json").read_bytes()
    assert sboms.cyclonedx_problems(data) == ""
    return json.loads(data)


def _listed(folder: Path) -> tuple[list[str], list[str]]:
    """The package URLs that each form lists."""
    of_cyclonedx = sorted(component["purl"] for component in _cyclonedx(folder)["components"])
    return sboms.spdx_purls(sboms.spdx(folder / "image.spdx.json")), of_cyclonedx


def _store_paths(purls: list[str]) -> list[str]:
    return sorted(str(dict(PackageURL.from_string(purl).qualifiers)["store_path"]) for purl in purls)


def test_packages_are_those_that_dpkg_knows(place: Workplace, image: dict[str, Any], tmp_path: Path) -> None:
    skopeo_copy(f"docker-archive:{place.folder}/image.tar", f"oci:{tmp_path}/layout:1")
    root = umoci_unpack(tmp_path / "layout", "1", tmp_path / "bundle")
    known = output(
        "dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f", "${Package} ${Version} ${Architecture}\n"
    )
    expected = sorted(tuple(line.split(" ")) for line in known.splitlines())
    assert len(expected) == 4
    for purls in _listed(place.folder):
        found = [PackageURL.from_string(purl) for purl in purls]
        assert sorted((purl.name, purl.version, dict(purl.qualifiers)["arch"]) for purl in found) == expected
        assert {purl.type for purl in found} == {"deb"}


def test_what_a_package_says_about_itself(place: Workplace, image: dict[str, Any]) -> None:
    document = sboms.spdx(place.folder / "image.spdx.json")
    (package,) = (each for each in document.packages if each.name == "documented")
    purl = "pkg:deb/debian/documented@1:2~3%2Bb1?arch=all&distro=trixie"
    assert [reference.locator for reference in package.external_references] == [purl]
    assert package.source_info == "built from pkg:deb/debian/origin@1:2~3?arch=source&distro=trixie"
    (own,) = document.extracted_licensing_info
    assert own.license_name == "Beer"
    assert "/usr/share/doc/documented/copyright (sha256:" in str(own.extracted_text)
    assert str(package.license_declared) == f"GPL-2.0-or-later AND {own.license_id}"
    (listed,) = (each for each in _cyclonedx(place.folder)["components"] if each["name"] == "documented")
    assert listed["purl"] == purl
    assert listed["licenses"] == [{"acknowledgement": "declared", "expression": str(package.license_declared)}]
    (deb,) = place.archive.pool.glob("documented_*.deb")
    (checksum,) = package.checksums
    assert output("sha256sum", str(deb)).split()[0] == checksum.value == listed["hashes"][0]["content"]


@pytest.mark.parametrize(
    ("release", "maintainer", "vendor", "distribution"),
    [
        ("ID=ubuntu\nVERSION_CODENAME=noble\n", "Ada <ada@example.org>", "ubuntu", "&distro=noble"),
        ("", "Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>", "ubuntu", ""),
        ("", "Ada <ada@not-ubuntu.com>", "debian", ""),
    ],
)
def test_whose_packages_these_are(
    tmp_path: Path, release: str, maintainer: str, vendor: str, distribution: str
) -> None:
    made = make_workplace(tmp_path)
    files = {"/etc/os-release": release} if release else {"/etc/other": ""}
    made.archive.add("owned", "1", files=files, control={"Maintainer": maintainer, "Source": "origin"}).publish()
    made.declare(packages='"owned"')
    assert made.run("docker", "-o", "image.tar", *_SBOMS).code == 0
    of_spdx, of_cyclonedx = _listed(made.folder)
    assert of_spdx == of_cyclonedx == [f"pkg:deb/{vendor}/owned@1?arch=all{distribution}"]


def test_licences_of_files_that_are_left_out(place: Workplace, image: dict[str, Any], tmp_path: Path) -> None:
    (before,) = (each for each in _cyclonedx(place.folder)["components"] if each["name"] == "documented")
    text = (place.folder / "os.toml").read_text()
    slim = place.folder / "slim.toml"
    slim.write_text(text.replace("[store]\n", '[store]\npath-exclude = ["/usr/share/doc/*", "*/os-release"]\n'))
    answer = place.run("docker", "-o", tmp_path / "slim.tar", "--sbom", tmp_path / "image.cdx.json", slim)
    assert answer.code == 0 and "leaves out nothing" not in answer.err, answer.err
    (after,) = (each for each in _cyclonedx(tmp_path)["components"] if each["name"] == "documented")
    assert [after[key] for key in ("licenses", "hashes")] == [before[key] for key in ("licenses", "hashes")]


def test_needs_and_layers(place: Workplace, image: dict[str, Any]) -> None:
    told = _cyclonedx(place.folder)
    needs = {each["ref"]: each.get("dependsOn", []) for each in told["dependencies"]}
    (tool,) = (ref for ref in needs if ref.startswith("tool_"))
    (library,) = (ref for ref in needs if ref.startswith("library_"))
    assert needs[tool] == [library]
    assert library not in needs["ocipack:system"]
    artefact = image["artefacts"][0]
    assert told["metadata"]["component"]["hashes"][0]["content"] == artefact["digest"].removeprefix("sha256:")
    layers = [layer["diff-id"] for layer in artefact["layers"]]
    placed = {
        component["bom-ref"]: {each["name"]: each["value"] for each in component["properties"]}
        for component in told["components"]
    }
    assert sorted(each["ocipack:layer:diff-id"] for each in placed.values()) == sorted(layers[:-1])
    listing = json.loads(place.run("inspect", "--json", "image.tar").out)
    in_layers = {path: layer["diff-id"] for layer in listing["layers"] for path in layer["items"] or ()}
    assert {path: each["ocipack:layer:diff-id"] for path, each in placed.items()} == in_layers
    comments = {package.name: package.comment for package in sboms.spdx(place.folder / "image.spdx.json").packages}
    for path, each in placed.items():
        assert comments[path.partition("_")[0]] == f"layer {each['ocipack:layer']}: {each['ocipack:layer:diff-id']}"


def test_sboms_are_the_same_wherever_and_whenever(place: Workplace, image: dict[str, Any], tmp_path: Path) -> None:
    before = [(place.folder / name).read_bytes() for name in _SBOMS[1::2]]
    again = [str(tmp_path / name) for name in _SBOMS[1::2]]
    arguments = ["docker", "-o", str(tmp_path / "image.tar"), "--sbom", again[0], "--sbom", again[1]]
    other = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    assert place.run(*arguments, env=other).code == 0
    assert [Path(path).read_bytes() for path in again] == before


def test_what_is_packed_names_the_document(place: Workplace, image: dict[str, Any], tmp_path: Path) -> None:
    before = _cyclonedx(place.folder)["serialNumber"]
    name = tmp_path / "image.cdx.json"
    assert place.run("tarball", "-o", str(tmp_path / "root.tar"), "--sbom", str(name)).code == 0
    told = _cyclonedx(tmp_path)
    assert told["serialNumber"] != before  # no image, no layers
    assert "hashes" not in told["metadata"]["component"]
    assert not [each for part in told["components"] for each in part["properties"] if "layer" in each["name"]]


def test_items_are_those_that_nix_knows(nix_store: SmallStore, tmp_path: Path) -> None:
    answer = Desk(tmp_path).pack(f'root = "{nix_store.root}"\nroots = ["{nix_store.top}"]', *_SBOMS)
    assert answer.code == 0, answer.err
    for purls in _listed(tmp_path):
        assert _store_paths(purls) == nix_store.closure()
    told = {each["bom-ref"]: each for each in _cyclonedx(tmp_path)["components"]}
    hashes = nix_store.nix.store("-q", "--hash", *sorted(told))
    hexadecimal = output("nix-hash", "--type", "sha256", "--to-base16", *(each.partition(":")[2] for each in hashes))
    assert [told[path]["hashes"][0]["content"] for path in sorted(told)] == hexadecimal.split()
    needs = {each["ref"]: each.get("dependsOn", []) for each in _cyclonedx(tmp_path)["dependencies"]}
    for path in told:
        assert sorted(needs[path]) == sorted(set(nix_store.nix.store("-q", "--references", path)) - {path})


def test_items_are_those_that_guix_knows(guix_store: Path, tmp_path: Path) -> None:  # noqa: F811
    answer = Desk(tmp_path).pack(f'root = "{guix_store}"\nroots = ["{SYSTEM}"]', *_SBOMS, kind="guix")
    assert answer.code == 0, answer.err
    for purls in _listed(tmp_path):
        assert _store_paths(purls) == [BUSYBOX, SYSTEM]


def test_sub_folders(tmp_path: Path) -> None:
    for name in ("one", "two & more"):
        (tmp_path / "items" / name).mkdir(parents=True)
        (tmp_path / "items" / name / name).write_text(name)
    answer = Desk(tmp_path).pack('path = "items"\nitems = "sub-folders"', *_SBOMS, kind="folder")
    assert answer.code == 0, answer.err
    for purls in _listed(tmp_path):
        assert [PackageURL.from_string(purl).name for purl in purls] == ["one", "two & more"]


def test_nothing_at_all_is_listed_of_nothing() -> None:
    empty = bill(system(), LayerPlan(()), None)
    assert empty.components == ()
    assert empty.uuid != bill(system(item("a", {"a": b""})), LayerPlan(()), None).uuid
    assert empty.uuid.version == 8


@pytest.mark.parametrize("path", ["sbom.json", "gone/x.spdx.json"])
def test_sboms_that_cannot_be_written(place: Workplace, path: str) -> None:
    answer = place.run("oci", "-o", "fresh.oci", "--sbom", path)
    assert answer.code == 2
    assert path in answer.err
    assert not os.path.lexists(place.folder / "fresh.oci")


def test_libraries_are_imported_when_they_are_needed(place: Workplace) -> None:
    done = subprocess.run(
        [str(OCIPACK.with_name("python")), "-X", "importtime", str(OCIPACK), "oci", "-o", "plain.oci"],
        cwd=place.folder, env=place.environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "packer.build" in done.stderr
    assert not [name for name in ("spdx_tools", "cyclonedx", "packageurl", "rdflib") if name in done.stderr]
