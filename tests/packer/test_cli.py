"""The command line: results, messages and exit codes."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from formats.image_types import TYPES
from tests.oracle.runtimes import output
from tests.support.command_line import OCIPACK, Workplace, workplace


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """One workplace for all tests that leave it as it is."""
    return workplace(tmp_path_factory.mktemp("shared"))


def test_the_result_alone_is_on_standard_output(shared: Workplace) -> None:
    shared.declare()
    answer = shared.run("docker")
    assert (answer.code, answer.out) == (0, f"{shared.folder}/sample-1.0.docker.tar\n")
    assert answer.err.splitlines()[-1].startswith("sample:1.0 sha256:")


def test_quiet_says_nothing_but_the_result(shared: Workplace) -> None:
    shared.declare()
    assert shared.run("oci", "-q").err == ""


def test_json_describes_the_artefact(shared: Workplace) -> None:
    shared.declare()
    (artefact,) = json.loads(shared.run("docker", "--json").out)["artefacts"]
    index = json.loads(_member(Path(artefact["path"]), "index.json"))
    assert artefact["digest"] == index["manifests"][0]["digest"]
    assert artefact["reference"] == "sample:1.0"
    assert len(artefact["layers"]) == 4


def test_a_registry_in_the_name_keeps_its_port(shared: Workplace) -> None:
    shared.declare(name="localhost:5000/Team/sample")
    (artefact,) = json.loads(shared.run("docker", "--json").out)["artefacts"]
    assert artefact["reference"] == "localhost:5000/team/sample:1.0"
    assert Path(artefact["path"]).name == "localhost-5000-team-sample-1.0.docker.tar"


def test_the_same_image_can_be_called_something_else(shared: Workplace) -> None:
    shared.declare()
    (plain,) = json.loads(shared.run("docker", "--json").out)["artefacts"]
    options = ("--name", "localhost:5000/team/other", "--tag", "2.0-rc1")
    docker, oci, tarball = json.loads(
        shared.run("docker", "oci", "tarball", *options, "--json", "--sbom", "other.spdx.json").out
    )["artefacts"]
    assert docker["reference"] == oci["reference"] == "localhost:5000/team/other:2.0-rc1"
    assert docker["digest"] == oci["digest"] == plain["digest"]
    names = [Path(artefact["path"]).name for artefact in (docker, oci, tarball)]
    assert names == [
        "localhost-5000-team-other-2.0-rc1.docker.tar", "localhost-5000-team-other-2.0-rc1.oci", "sample-1.0.tar.gz",
    ]  # fmt: skip
    (listed,) = json.loads(output("skopeo", "list-tags", f"docker-archive:{docker['path']}"))["Tags"]
    assert listed == docker["reference"]
    seen = json.loads(output("skopeo", "inspect", f"oci:{oci['path']}:2.0-rc1"))
    assert seen["Digest"] == plain["digest"]
    assert "tag=2.0-rc1" in (shared.folder / "other.spdx.json").read_text()


def test_several_types_at_once_are_one_image(shared: Workplace) -> None:
    shared.declare()
    artefacts = json.loads(shared.run("docker", "oci", "os.toml", "--json").out)["artefacts"]
    assert [artefact["format"] for artefact in artefacts] == ["docker", "oci"]
    assert len({artefact["digest"] for artefact in artefacts}) == 1


def test_build_makes_what_os_toml_names_from_one_reading(shared: Workplace) -> None:
    path = shared.declare()
    path.write_text('outputs = ["tarball", "oci"]\n' + path.read_text())
    answer = shared.run("build", "--json", "--compression", "zstd")
    artefacts = json.loads(answer.out)["artefacts"]
    assert [(made["format"], Path(made["path"]).name) for made in artefacts] == [
        ("tarball", "sample-1.0.tar.zst"),
        ("oci", "sample-1.0.oci"),
    ]
    assert {layer["compression"] for layer in artefacts[1]["layers"]} == {"zstd"}
    tarball = Path(artefacts[0]["path"]).read_bytes()
    assert artefacts[0]["digest"] == f"sha256:{hashlib.sha256(tarball).hexdigest()}"
    assert artefacts[0]["size"] == len(tarball)


def test_options_of_a_tarball(shared: Workplace) -> None:
    shared.declare('[tarball]\ncompression = "none"\nroot-name = "a"\n')
    shared.run("tarball", "-o", "a.tar")
    shared.run("tarball", "-o", "b.tar.xz", "--root-name", "b", "--compression", "xz:0")
    names = []
    for name in ("a.tar", "b.tar.xz"):
        with tarfile.open(shared.folder / name) as archive:
            names.append(archive.getnames())
    assert {name.partition("/")[0] for name in names[0]} == {"a"}
    assert [f"a{name[1:]}" for name in names[1]] == names[0]


def test_check_tells_what_wsl_forbids_before_anything_is_fetched(shared: Workplace) -> None:
    user = '{ name = "ada", password = "$6$salt$' + "x" * 86 + '" }'
    files = '[{ target = "/etc/resolv.conf", text = "" }, { target = "/boot/vmlinuz", source = "x" }]'
    path = shared.declare(f"[os]\nusers = [{user}]\nfiles = {files}\n[wsl2]\ndefault-uid = 1001\n")
    answer = shared.run("check")
    assert answer.code == 2
    for said in ("resolv-conf: /etc/resolv.conf", "kernel: /boot/vmlinuz", "password-hash: /etc/shadow"):
        assert f"wsl2: {said}" in answer.err
    shared.declare("[wsl2]\ndefault-uid = 1001\n")
    answer = shared.run("check")
    assert (answer.code, answer.out) == (0, f"{path.name}: no mistakes\n")
    assert "warning: wsl2: default-uid: /etc/wsl-distribution.conf has oobe.defaultUid = 1001" in answer.err


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('icon = "gone.ico"', "wsl2.icon: "),
        ('icon = "os.toml"', "os.toml is no .ico file"),
        ('oobe = "os.toml"', "os.toml is no script"),
        ('terminal-profile = "os.toml"', "os.toml is no JSON of Windows Terminal"),
        ('terminal-profile = "large"', "has more than 1 MiB"),
    ],
)
def test_files_of_wsl2_are_looked_at_by_check(shared: Workplace, table: str, said: str) -> None:
    (shared.folder / "large").write_bytes(bytes((1 << 20) + 1))
    shared.declare(f"[wsl2]\n{table}\n")
    answer = shared.run("check")
    assert answer.code == 2
    assert said in answer.err


def test_an_archive_on_standard_output_is_the_same_archive(shared: Workplace) -> None:
    shared.declare()
    shared.run("docker", "-o", "file.tar")
    piped = subprocess.run(
        [OCIPACK, "docker", "-q", "-o", "-"],
        cwd=shared.folder,
        env=shared.environment(),
        capture_output=True,
        check=True,
    ).stdout
    assert piped == (shared.folder / "file.tar").read_bytes()


def test_a_closed_pipe_is_no_traceback(shared: Workplace) -> None:
    shared.declare()
    command = f"{OCIPACK} docker -o - | head -c 100 >/dev/null"
    done = subprocess.run(
        ["sh", "-c", command], cwd=shared.folder, env=shared.environment(), capture_output=True, text=True, check=True
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "layers"),
    [((), 4), (("--max-layers", "3"), 3), (("--max-layers", "2"), 2), (("--strategy", "single"), 2)],
)
def test_options_win_over_the_file(shared: Workplace, options: tuple[str, ...], layers: int) -> None:
    shared.declare("[layers]\nmax-layers = 50\n")
    (artefact,) = json.loads(shared.run("docker", "--json", *options).out)["artefacts"]
    assert len(artefact["layers"]) == layers


@pytest.mark.parametrize("compression", ["none", "gzip", "gzip:9", "zstd:10"])
def test_compression(shared: Workplace, compression: str) -> None:
    shared.declare()
    (artefact,) = json.loads(shared.run("oci", "--json", "--compression", compression).out)["artefacts"]
    assert {layer["compression"] for layer in artefact["layers"]} == {compression.partition(":")[0]}


def test_plan_shows_layers_sizes_and_why(shared: Workplace) -> None:
    shared.declare()
    lines = shared.run("plan", "-q", "--max-layers", "3").out.splitlines()
    assert lines[0].split() == ["layer", "MiB", "items", "why", "what"]
    assert "number 1 by size" in lines[1]
    assert "tiny 1.36-1" in lines[1]
    assert "the 2 smallest items" in lines[2]
    assert "customization" in lines[3]
    plan = json.loads(shared.run("plan", "-q", "--json").out)
    assert [layer["reason"] for layer in plan["layers"]][-1] == "customization"


def test_scripts_that_nobody_has_reviewed_are_told(tmp_path: Path) -> None:
    place = workplace(tmp_path)
    place.archive.add("odd", "1", scripts={"postinst": "#!/bin/sh\nset -e\nchmod 700 /srv\n"}).publish()
    place.declare(packages='"odd", "tool"')
    plain, verbose = place.run("plan"), place.run("plan", "-v")
    assert "warning: what 1 maintainer script does may be missing: `ocipack plan -v` lists it\n" in plain.err
    assert "odd.postinst" not in plain.out
    assert "odd.postinst  no        chmod     nobody has reviewed it" in verbose.out.splitlines()
    expected = {"package": "odd", "script": "postinst", "command": "chmod", "reason": "nobody has reviewed it"}
    assert json.loads(place.run("plan", "-q", "--json").out)["skipped"] == [{**expected, "reviewed": False}]
    place.declare()
    quiet = place.run("plan", "-v")
    assert "warning" not in quiet.err
    assert "reviewed" not in quiet.out


def test_check_builds_twice(shared: Workplace) -> None:
    shared.declare()
    answer = shared.run("docker", "--check")
    assert answer.code == 0, answer.err
    assert os.listdir(shared.cache / "ocipack").count("check-") == 0


def test_types_are_listed(shared: Workplace) -> None:
    assert [line.split()[0] for line in shared.run("types").out.splitlines()] == list(TYPES)


def test_init_starts_a_file_that_checks_and_leaves_one_that_is_there(tmp_path: Path) -> None:
    place = workplace(tmp_path)
    assert place.run("init").out == "os.toml\n"
    assert place.run("check").out == "os.toml: no mistakes\n"
    before = (place.folder / "os.toml").read_bytes()
    again = place.run("init")
    assert again.code == 2
    assert "exists already" in again.err
    assert (place.folder / "os.toml").read_bytes() == before


_BAD_INPUT = {
    "unknown key": ("[contaner]\n", "", ["contaner", "container"]),
    "wrong type": ("[container]\nworkdir = 5\n", "", ["container.workdir"]),
    "unknown strategy": ('[layers]\nstrategy = "sise"\n', "", ["layers.strategy", "size"]),
    "too many layers": ("[layers]\nmax-layers = 126\n", "", ["layers.max-layers", "125", "max depth exceeded"]),
    "missing source": ('[os]\nfiles = [{ target = "/x", source = "gone" }]\n', "", ["os.files[0].source", "gone"]),
    "unknown owner": (
        '[os]\nfiles = [{ target = "/x", text = "", user = "www-dat", group = "root" }]\n', "",
        ["os.files[0].user", "www-data"],
    ),
    "unknown package": ("", '"tinny"', ["tinny", "tiny"]),
}  # fmt: skip


@pytest.mark.parametrize("case", list(_BAD_INPUT))
def test_bad_input_is_one_clear_message(shared: Workplace, case: str) -> None:
    more, packages, said = _BAD_INPUT[case]
    shared.declare(more, packages=packages or '"tiny"')
    answer = shared.run("docker", "-o", "never.tar")
    assert answer.code == 2, answer.err
    assert all(word in answer.err for word in said), answer.err
    assert "Traceback" not in answer.err
    assert answer.out == ""
    assert not (shared.folder / "never.tar").exists()


def test_all_mistakes_come_at_once(shared: Workplace) -> None:
    shared.declare('[container]\nworkdir = "relative"\ntypo = 1\n[layers]\nmax-layers = 1\n')
    answer = shared.run("check")
    assert answer.code == 2
    assert all(key in answer.err for key in ("container.workdir", "container.typo", "layers.max-layers"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("docker", "--max-layers", "126"), "max depth exceeded"),
        (("docker", "--max-layers", "1"), "max-layers"),
        (("docker", "--compression", "lzma"), "lzma"),
        (("docker", "--compression", "gzip:x"), "gzip:x"),
        (("docker", "--strategy", "best"), "best"),
        (("docker", "a.toml", "b.toml"), "one os.toml at a time"),
        (("docker", "--tag", "feature/x"), "command line: tag: 'feature/x' is not a tag"),
        (("docker", "--tag", ""), "command line: tag: '' is not a tag"),
        (
            ("oci", "--name", "Team/App:1"),
            "command line: name: 'Team/App:1' is not the name of a repository (team/app-1 is one)",
        ),
        (("oci", "--name", ".."), "command line: name: '..' is not the name of a repository\n"),
        (("oci", "--name", "A", "--tag", "-"), "(aa is one)\ncommand line: tag: '-' is not a tag"),
        (("tarball", "--tag", "1"), "--tag is for images of containers"),
        (("wsl2", "--name", "x"), "--name is for images of containers"),
        (("docker", "--created", "yesterday"), "command line: created: 'yesterday' is no date"),
        (("docker", "--created", ""), "command line: created: '' is no date"),
        (("docker", "--created", "9" * 5000), "is no date"),
        (("tarball", "--created", "1"), "--created is for images of containers"),
        (("docker", "oci", "-o", "x"), "--output goes with one type only"),
        (("docker", "tarball", "--compression", "xz"), "there is no compression 'xz' (there are: none, gzip, zstd)"),
        (("docker", "--root-name", "x"), "--root-name is for tarballs, and none is to be made"),
        (("docker", "--root-name", ""), "--root-name is for tarballs, and none is to be made"),
        (("docker", "--size", "0"), "--size is for disks, and none is to be made"),
        (("disk", "--size", "0"), "command line: disk.size: the disk has 0 bytes"),
        (("docker", "tarball", "--legacy"), "--legacy is for distributions for WSL, and none"),
        (("tarball", "--root-name", "/x"), "root-name"),
        (("efi-raw", "-o", "."), "--output . is a folder, and efi-raw is a file: name it, too"),
        (("docker", "-o", "made/"), "--output made/ is a folder, and docker is a file: name it, too"),
        (("disk", "--size", "1 MiB"), "command line: disk.size: the disk has 1048576 bytes, which is "),
        (("os.toml",), "os.toml is no command: say what to make of it, as `ocipack docker os.toml`"),
        (("build",), "names no outputs"),
        (("docker", "gone.toml"), "gone.toml"),
        (("dokcer",), "dokcer"),
    ],
)
def test_bad_arguments(shared: Workplace, arguments: tuple[str, ...], said: str) -> None:
    shared.declare()
    answer = shared.run(*arguments)
    assert answer.code == 2
    assert said in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("epoch", ["", "x", "-1", "1.5", "9" * 30, "0" * 20 + "9" * 15, "٣"])
def test_a_malformed_epoch_is_an_error(shared: Workplace, epoch: str) -> None:
    shared.declare()
    answer = shared.run("docker", env={"SOURCE_DATE_EPOCH": epoch})
    assert answer.code == 2
    assert "SOURCE_DATE_EPOCH" in answer.err


def test_the_epoch_is_the_time_of_everything(shared: Workplace) -> None:
    shared.declare()
    shared.run("docker", "-o", "dated.tar", env={"SOURCE_DATE_EPOCH": "1700000000"})
    with tarfile.open(shared.folder / "dated.tar") as archive:
        assert {member.mtime for member in archive} == {1700000000}
    layers = json.loads(_member(shared.folder / "dated.tar", "manifest.json"))[0]["Layers"]
    for layer in layers:
        with tarfile.open(fileobj=io.BytesIO(_member(shared.folder / "dated.tar", layer))) as entries:
            assert {member.mtime for member in entries} == {1700000000}


def test_another_time_is_the_same_layers(shared: Workplace) -> None:
    shared.declare("[container]\ncreated = 2001-02-03T04:05:06Z")
    said = {"first": (), "second": ("--created", "2025-05-20T09:30:00Z"), "third": ("--created", "1747733400")}
    made = {}
    for name, options in said.items():
        (made[name],) = json.loads(shared.run("docker", "--json", "-o", f"{name}.tar", *options).out)["artefacts"]
    assert made["first"]["layers"] == made["second"]["layers"]
    assert made["first"]["image-id"] != made["second"]["image-id"] == made["third"]["image-id"]
    created = [
        json.loads(output("skopeo", "inspect", f"docker-archive:{shared.folder}/{name}.tar"))["Created"]
        for name in said
    ]
    assert created == ["2001-02-03T04:05:06Z", "2025-05-20T09:30:00Z", "2025-05-20T09:30:00Z"]
    with tarfile.open(shared.folder / "second.tar") as archive:
        assert {member.mtime for member in archive} == {1}


def test_a_foreign_package_that_shadows_ours_is_named(shared: Workplace, tmp_path: Path) -> None:
    foreign = tmp_path / "layers"
    foreign.mkdir()
    (foreign / "__init__.py").touch()
    answer = shared.run("types", env={"PYTHONPATH": str(tmp_path)})
    assert answer.code == 1
    assert f"another Python package shadows ours: layers ({foreign}/__init__.py)" in answer.err


def _member(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as opened:
        member = opened.extractfile(name)
        assert member
        return member.read()


@pytest.mark.parametrize("group", [(), ("cache",)])
def test_no_summary_of_a_command_is_cut_off(shared: Workplace, group: tuple[str, ...]) -> None:
    answer = shared.run(*group, "--help")
    assert answer.code == 0
    assert "..." not in answer.out.partition("Commands:")[2]


@pytest.mark.parametrize(
    "slow", ["pydantic", "rich", "urllib3", "oras", "requests", "cryptography", "packer.config", "packer.build"]
)
def test_help_does_not_wait_for_what_it_does_not_need(slow: str) -> None:
    program = "import sys; from packer.cli import run; run(['--help']); print(*sys.modules, sep='\\n')"
    modules = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert slow not in modules.splitlines()
