"""What `[sbom]` has attached by ocipack push, as people run it."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.oracle import sboms
from tests.oracle.registry import Registry
from tests.support import stored_images
from tests.support.command_line import Workplace

_ALL = '[sbom]\nattach = ["spdx", "cyclonedx", "provenance"]'


def _pushed(place: Workplace, reference: str) -> dict[str, Any]:
    answer = place.run("push", "--json", reference)
    assert answer.code == 0, answer.err
    facts: dict[str, Any] = json.loads(answer.out)["pushed"]
    return facts


def _curl(registry: Registry, path: str) -> bytes:
    url = f"http://{registry.address}/v2/{path}"
    accept = "Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
    return subprocess.run(["curl", "-sfL", "-H", accept, url], check=True, capture_output=True).stdout


def _attached(registry: Registry, repository: str, digest: str) -> dict[str, bytes]:
    """What is attached to an image, by its type, as another client finds it."""
    index = json.loads(_curl(registry, f"{repository}/manifests/{digest.replace(':', '-')}"))
    found = {}
    for each in index["manifests"]:
        manifest = json.loads(_curl(registry, f"{repository}/manifests/{each['digest']}"))
        assert manifest["subject"]["digest"] == digest
        (layer,) = manifest["layers"]
        found[each["artifactType"]] = _curl(registry, f"{repository}/blobs/{layer['digest']}")
    assert len(found) == len(index["manifests"])
    return found


def test_all_that_is_wanted_is_attached(place: Workplace, registry: Registry, tmp_path: Path) -> None:
    file = place.declare(_ALL)
    pushed = _pushed(place, f"{registry.address}/all:1")
    assert list(pushed["attached"]) == ["spdx", "cyclonedx", "provenance"]
    found = _attached(registry, "all", pushed["digest"])
    assert place.run("oci", "-o", "same.oci", "--sbom", "same.spdx.json", "--sbom", "same.cdx.json").code == 0
    assert found["application/spdx+json"] == (place.folder / "same.spdx.json").read_bytes()
    assert found["application/vnd.cyclonedx+json"] == (place.folder / "same.cdx.json").read_bytes()
    purls = sboms.spdx_purls(sboms.spdx(place.folder / "same.spdx.json"))
    _check_provenance(json.loads(found["application/vnd.in-toto+json"]), pushed, file, purls)
    again = _pushed(place, f"{registry.address}/all:1")
    assert again["attached"] == pushed["attached"]
    assert _attached(registry, "all", pushed["digest"]) == found


def _check_provenance(statement: Any, pushed: dict[str, Any], file: Path, purls: list[str]) -> None:
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    (subject,) = statement["subject"]
    assert f"sha256:{subject['digest']['sha256']}" == pushed["digest"]
    definition = statement["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["layers"]["compression"]["codec"]
    first, *items = definition["resolvedDependencies"]
    assert first == {"name": "os.toml", "digest": {"sha256": hashlib.sha256(file.read_bytes()).hexdigest()}}
    assert sorted(item["uri"] for item in items) == purls
    debs = {hashlib.sha256(deb.read_bytes()).hexdigest() for deb in (file.parent.parent / "archive").rglob("*.deb")}
    assert {item["digest"]["sha256"] for item in items} <= debs
    versions = statement["predicate"]["runDetails"]["builder"]["version"]
    assert set(versions) == {"ocipack", "python", "codec"}
    assert all(versions.values())


def test_provenance_names_no_place_and_no_time(place: Workplace, registry: Registry) -> None:
    place.declare('[sbom]\nattach = ["provenance"]')
    pushed = _pushed(place, f"{registry.address}/provenance:1")
    (statement,) = _attached(registry, "provenance", pushed["digest"]).values()
    for secret in (str(place.folder), str(place.archive.folder), "file://", "T0"):
        assert secret.encode() not in statement


def test_when_an_image_was_made_is_told_if_somebody_said_it(place: Workplace, registry: Registry) -> None:
    place.declare('[sbom]\nattach = ["provenance"]\n[container]\ncreated = 2025-05-20T09:30:00Z')
    pushed = _pushed(place, f"{registry.address}/created:1")
    (statement,) = _attached(registry, "created", pushed["digest"]).values()
    assert json.loads(statement)["predicate"]["buildDefinition"]["externalParameters"]["created"] == 1747733400


def test_the_lock_is_told_of(place: Workplace, registry: Registry) -> None:
    place.declare('[sbom]\nattach = ["provenance"]')
    assert place.run("lock").code == 0
    lock = place.folder / "os.lock"
    try:
        pushed = _pushed(place, f"{registry.address}/locked:1")
    finally:
        data = lock.read_bytes()
        lock.unlink()
    (statement,) = _attached(registry, "locked", pushed["digest"]).values()
    told = json.loads(statement)["predicate"]["buildDefinition"]["resolvedDependencies"][1]
    assert told == {"name": "os.lock", "digest": {"sha256": hashlib.sha256(data).hexdigest()}}


def test_the_base_is_told_of(place: Workplace, registry: Registry) -> None:
    place.declare()
    base = f"{registry.address}/the-base:1"
    _pushed(place, base)
    head = 'name = "above"\nplatform = "x86_64-linux"\n[sbom]\nattach = ["provenance", "cyclonedx"]\n'
    (place.folder / "os.toml").write_text(f'{head}[store]\ntype = "image"\nimage = "docker://{base}"\n')
    pushed = _pushed(place, f"{registry.address}/on-the-base:1")
    assert {blob["outcome"] for blob in pushed["blobs"] if "layer" in blob["title"]} == {"mounted"}
    attached = _attached(registry, "on-the-base", pushed["digest"])
    definition = json.loads(attached["application/vnd.in-toto+json"])["predicate"]["buildDefinition"]
    digest = str(registry.tag("the-base", "1"))
    assert definition["resolvedDependencies"][1] == {"name": base, "digest": {"sha256": digest.removeprefix("sha256:")}}
    assert definition["externalParameters"]["stores"] == ["image"]
    status, _, body = registry.ask("GET", f"/v2/the-base/manifests/{digest}")
    assert status == 200
    config = json.loads(_curl(registry, f"the-base/blobs/{json.loads(body)['config']['digest']}"))
    digests = {f"sha256:{each['digest']['sha256']}" for each in definition["resolvedDependencies"][2:]}
    assert digests == set(config["rootfs"]["diff_ids"])


def test_the_image_before_is_told_of(place: Workplace, registry: Registry) -> None:
    """Its layers were kept, by whatever strategy they were planned."""
    place.declare('[sbom]\nattach = ["provenance"]\n[layers]\nmax-layers = 3')
    told = []
    for number, more in enumerate(([], ["--previous", f"docker://{registry.address}/before0:1"])):
        answer = place.run("push", "--json", *more, f"{registry.address}/before{number}:1")
        assert answer.code == 0, answer.err
        digest = json.loads(answer.out)["pushed"]["digest"]
        (statement,) = _attached(registry, f"before{number}", digest).values()
        parameters = json.loads(statement)["predicate"]["buildDefinition"]["externalParameters"]
        told.append((digest, parameters["layers"].get("strategy"), parameters["layers"].get("previous")))
    assert told == [(digest, "size", None), (digest, None, digest)]


def test_files_are_attached_to_what_was_built_before(place: Workplace, registry: Registry, tmp_path: Path) -> None:
    place.declare(_ALL)
    pushed = _pushed(place, f"{registry.address}/built:1")
    found = _attached(registry, "built", pushed["digest"])
    statement = place.folder / "provenance.json"
    statement.write_bytes(found["application/vnd.in-toto+json"])
    assert place.run("oci", "-o", "it", "--sbom", "it.spdx.json", "--sbom", "it.cdx.json").code == 0
    files = [argument for name in ("it.spdx.json", "it.cdx.json", statement) for argument in ("--attach", name)]
    answer = place.run("push", "--json", *files, "it", f"{registry.address}/stored:1")
    assert answer.code == 0, answer.err
    stored = json.loads(answer.out)["pushed"]
    assert list(stored["attached"]) == ["it.spdx.json", "it.cdx.json", statement.name]
    assert list(stored["attached"].values()) == list(pushed["attached"].values())
    assert _attached(registry, "stored", pushed["digest"]) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "nothing that is attached"),
        ("[]", "nothing that is attached"),
        ('{"spdxVersion": "SPDX-2.3", "spdxVersion": "SPDX-2.3"}', "nothing that is attached"),
        ('{"spdxVersion": "SPDX-2.3"}', "names none of these images"),
        ('{"bomFormat": "CycloneDX", "of": "sha256:' + "0" * 64 + '"}', "names none of these images"),
        ('{"_type": "https://in-toto.io/Statement/v1"}', "nothing that is attached"),
    ],
)
def test_files_that_are_not_about_the_image(place: Workplace, tmp_path: Path, text: str, said: str) -> None:
    layout = stored_images.layout(tmp_path / "layout", [b"a layer"])
    (tmp_path / "document").write_text(text)
    answer = place.run("push", "--attach", tmp_path / "document", layout.folder, "localhost:1/nowhere")
    assert answer.code == 2, answer.err
    assert said in answer.err


def test_what_os_toml_gets_attached_it_says_itself(place: Workplace) -> None:
    place.declare()
    answer = place.run("push", "--attach", "os.toml", "localhost:1/nowhere")
    assert answer.code == 2
    assert "[sbom] says what others get" in answer.err


def test_without_being_told_nothing_is_attached(place: Workplace, registry: Registry) -> None:
    place.declare()
    pushed = _pushed(place, f"{registry.address}/nothing:1")
    assert pushed["attached"] == {}
    assert registry.tag("nothing", pushed["digest"].replace(":", "-")) is None


def test_what_is_attached_is_told(place: Workplace, registry: Registry) -> None:
    place.declare(_ALL)
    told = place.run("push", f"{registry.address}/told:1").err.splitlines()[-1]
    assert told.endswith(", manifest sent, spdx and cyclonedx and provenance attached")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[sbom]\nattach = ["spdx", "spdx"]', "named twice"),
        ('[sbom]\nattach = ["spdy"]', "spdx"),
        ("[sbom]\nattach = true", "sbom.attach"),
    ],
)
def test_mistakes(place: Workplace, table: str, said: str) -> None:
    place.declare(table)
    answer = place.run("check")
    assert answer.code == 2
    assert said in answer.err


def test_the_image_of_each_platform_has_its_own(place: Workplace, registry: Registry) -> None:
    folder = place.folder / "items"
    folder.mkdir()
    (folder / "file").write_text("text\n")
    (place.folder / "os.toml").write_text(
        'name = "several"\nplatforms = ["x86_64-linux", "aarch64-linux"]\n'
        f'[store]\ntype = "folder"\npath = "items"\n{_ALL}\n'
    )
    pushed = _pushed(place, f"{registry.address}/several:1")
    assert len(pushed["attached"]) == 6
    index = json.loads(_curl(registry, f"several/manifests/{pushed['digest']}"))
    for each in index["manifests"]:
        found = _attached(registry, "several", each["digest"])
        assert len(found) == 3
        subject = json.loads(found["application/vnd.in-toto+json"])["subject"][0]
        assert f"sha256:{subject['digest']['sha256']}" == each["digest"]
    answer = place.run("docker", "--sbom", "several.cdx.json")
    assert answer.code == 2
    assert "one platform only" in answer.err
