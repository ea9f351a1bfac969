"""ocipack push as people run it."""

import base64
import gzip
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.registry import Registry
from tests.oracle.runtimes import Podman, output
from tests.support import fault_proxy, stored_images
from tests.support.command_line import OCIPACK, Answer, Workplace
from tests.support.pushing import LOGIN


def _pushed(answer: Answer) -> dict[str, Any]:
    assert answer.code == 0, answer.err
    facts: dict[str, Any] = json.loads(answer.out)["pushed"]
    return facts


def _titles(pushed: dict[str, Any], outcome: str) -> set[str]:
    return {blob["title"] for blob in pushed["blobs"] if blob["outcome"] == outcome}


def test_podman_runs_what_was_pushed(place: Workplace, registry: Registry, podman: Podman) -> None:
    place.declare()
    answer = place.run("push", f"{registry.address}/team/sample:1.0")
    assert answer.code == 0, answer.err
    reference = answer.out.strip()
    assert reference == f"{registry.address}/team/sample@{registry.tag('team/sample', '1.0')}"
    inspected = json.loads(output("skopeo", "inspect", "--tls-verify=false", f"docker://{reference}"))
    assert inspected["RepoTags"] == ["1.0"]
    podman.command("pull", "-q", "--tls-verify=false", reference)
    assert podman.run(reference, "/bin/sh", "-c", "tool && cat /usr/share/tiny/about") == "tool\na shell\n"


def test_a_push_is_the_image_that_an_archive_holds(place: Workplace, registry: Registry) -> None:
    place.declare()
    built = json.loads(place.run("docker", "oci", "--json").out)["artefacts"]
    pushed = [_pushed(place.run("push", "--json", path["path"], f"{registry.address}/same:1")) for path in built]
    pushed.append(_pushed(place.run("push", "--json", f"{registry.address}/same:2")))
    assert {one["digest"] for one in pushed} == {built[0]["digest"]}
    assert [one["new"] for one in pushed] == [True, False, True]


def test_what_the_registry_has_is_neither_built_nor_read(place: Workplace, registry: Registry, tmp_path: Path) -> None:
    place.declare()
    reference = f"{registry.address}/known:1"
    assert len(_titles(_pushed(place.run("push", "--json", reference)), "sent")) == 5
    blobs = place.cache / "ocipack" / "blobs" / "sha256"
    log = tmp_path / "log"
    tracer = ("strace", "-f", "-qq", "-e", "trace=openat", "-o", str(log))
    again = _pushed(place.run("push", "--json", reference, before=tracer))
    assert len(_titles(again, "known")) == 5
    opened = log.read_text()
    assert "os.toml" in opened
    assert f"{blobs}/" not in opened
    shutil.rmtree(blobs)
    assert _pushed(place.run("push", "--json", reference))["digest"] == again["digest"]
    assert os.listdir(blobs) == []


def test_what_the_registry_lacks_is_made_again(place: Workplace, registry: Registry) -> None:
    place.declare()
    _pushed(place.run("push", "--json", f"{registry.address}/made/one:1"))
    blobs = place.cache / "ocipack" / "blobs" / "sha256"
    shutil.rmtree(blobs)
    again = _pushed(place.run("push", "--json", f"{registry.address}/made/two:1"))
    assert len(_titles(again, "sent")) == 5
    assert registry.whole("made/two", "1")


def test_one_more_package_sends_its_layer_and_what_registers_it(place: Workplace, registry: Registry) -> None:
    reference = f"{registry.address}/changed:1"
    place.declare()
    _pushed(place.run("push", "--json", reference))
    place.declare(packages='"tiny", "tool", "manual"')
    pushed = _pushed(place.run("push", "--json", reference))
    assert _titles(pushed, "sent") == {"manual 1.0", "customization", "configuration"}
    assert len(_titles(pushed, "known")) == 3


def test_blobs_of_another_repository_are_not_sent(place: Workplace, registry: Registry) -> None:
    place.declare()
    _pushed(place.run("push", "--json", f"{registry.address}/mounts/one"))
    pushed = _pushed(place.run("push", "--json", "--mount-from", "mounts/one", f"{registry.address}/mounts/two"))
    assert len(_titles(pushed, "mounted")) == 5


def test_another_time_sends_no_layer(place: Workplace, registry: Registry) -> None:
    place.declare()
    reference = f"{registry.address}/created:1"
    _pushed(place.run("push", "--json", reference))
    pushed = _pushed(place.run("push", "--json", "--created", "2025-05-20T09:30:00Z", reference))
    assert _titles(pushed, "sent") == {"configuration"}
    inspected = json.loads(output("skopeo", "inspect", "--tls-verify=false", f"docker://{reference}"))
    assert inspected["Created"] == "2025-05-20T09:30:00Z"


def test_what_is_told(place: Workplace, registry: Registry) -> None:
    place.declare()
    first = place.run("push", "-v", f"{registry.address}/told:1").err.splitlines()
    assert [line for line in first if line.startswith("push: ")] == ["push: 1.1 MiB"]
    assert [line for line in first if line.startswith("  tiny 1.36-1: ")]
    assert first[-1] == "5 blobs sent (1.1 MiB), manifest sent"
    second = place.run("push", f"{registry.address}/told:1").err.splitlines()
    assert second[-1] == "5 blobs known (1.1 MiB), manifest known"
    assert place.run("push", "-q", f"{registry.address}/told:1").err == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Missing argument"),
        (("os.toml", "gone.tar", "localhost:1/app"), "gone.tar"),
        (("os.toml", "os.toml", "localhost:1/app"), "os.toml is no image"),
        (("os.toml", "Example.org/Team/App"), "lower case"),
        (("gone.toml", "localhost:1/app"), "gone.toml"),
        (("localhost:1/app", "--mount-from", "../x"), "not a repository"),
        (("localhost:1/app", "--ca", "gone.pem"), "gone.pem cannot be read"),
        (("localhost:1/app", "--timeout", "0"), "--timeout"),
        (("localhost:1/app", "--chunk-size", "0"), "--chunk-size"),
        (("localhost:1/app", "--username", "ada"), "no password on standard input"),
    ],
)
def test_bad_arguments(place: Workplace, arguments: tuple[str, ...], said: str) -> None:
    place.declare()
    answer = place.run("push", *arguments)
    assert answer.code == 2, answer.err
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert answer.out == ""


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.mkdir(), "is no OCI image layout"),
        (lambda path: path.write_bytes(bytes(257) + b"ustar" + bytes(250)), "checksum"),
        (lambda path: path.write_bytes(gzip.compress(bytes(1024))), "image is compressed as a whole\n  Undo gzip's"),
    ],
)
def test_what_is_no_image(place: Workplace, tmp_path: Path, make: Any, said: str) -> None:
    make(tmp_path / "image")
    answer = place.run("push", tmp_path / "image", "localhost:1/app")
    assert answer.code == 2, answer.err
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_a_registry_that_is_away(place: Workplace) -> None:
    place.declare()
    answer = place.run("push", "--timeout", "1", "localhost:1/app")
    assert answer.code == 1
    assert "Connection refused" in answer.err
    assert "Traceback" not in answer.err


def _push_as(place: Workplace, arguments: list[str], password: str, env: dict[str, str]) -> Answer:
    done = subprocess.run(
        [OCIPACK, "push", *arguments],
        cwd=place.folder,
        env=place.environment(env),
        input=password,
        capture_output=True,
        text=True,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def test_no_secret_is_anywhere(place: Workplace, locked: Registry, tmp_path: Path) -> None:
    """Every way to log in, right and wrong, also to a registry that repeats what it is told."""
    place.declare()
    secret = LOGIN[1]
    basic = base64.b64encode(":".join(LOGIN).encode()).decode()
    helper = tmp_path / "bin" / "docker-credential-canary"
    helper.parent.mkdir()
    helper.write_text(
        f"#!/bin/sh\ncat /proc/[0-9]*/cmdline | tr '\\0' ' ' >> {tmp_path}/processes\n"
        f"""echo '{{"Username":"{LOGIN[0]}","Secret":"{secret}"}}'\n"""
    )
    helper.chmod(0o755)
    environment = {"PATH": f"{helper.parent}:{os.environ['PATH']}"}
    written, helped = tmp_path / "written.json", tmp_path / "helped.json"
    written.write_text(json.dumps({"auths": {"127.0.0.1": {"auth": basic}, locked.address: {"auth": basic}}}))
    helped.write_text(json.dumps({"credsStore": "canary"}))
    echo = json.dumps({"errors": [{"code": "DENIED", "message": f"not {basic} not {secret}"}]}).encode()
    with fault_proxy.fault_proxy(locked.port) as proxy:
        refuse = fault_proxy.status("403 Forbidden", body=echo)
        proxy.always = lambda exchange: refuse(exchange) if exchange.method == "POST" else exchange.forward()
        answers = []
        for number, address in enumerate([locked.address, proxy.address]):
            reference = f"{address}/secret/{number}"
            options = [reference, "-v", "--timeout", "2"]
            answers += [
                _push_as(place, ["--username", LOGIN[0], *options], f"{secret}\n", environment),
                _push_as(place, ["--username", "eve", *options], f"{secret}\n", environment),
                _push_as(place, options, "", {**environment, "REGISTRY_AUTH_FILE": str(written)}),
                _push_as(place, options, "", {**environment, "REGISTRY_AUTH_FILE": str(helped)}),
            ]
    assert [answer.code for answer in answers] == [0, 1, 0, 0, 1, 1, 1, 1], [answer.err for answer in answers]
    told = "".join(answer.out + answer.err for answer in answers).encode()
    assert "DENIED not … not …".encode() in told, "the registry that repeats secrets was asked"
    processes = (tmp_path / "processes").read_bytes()
    assert b"ocipack push" in processes
    kept = [path.read_bytes() for path in place.cache.rglob("*") if path.is_file()]
    for data in (told, processes, *kept):
        assert secret.encode() not in data
        assert basic.encode() not in data


def test_an_interrupt_ends_a_push_that_waits(place: Workplace, registry: Registry, tmp_path: Path) -> None:
    small = stored_images.layout(tmp_path / "layout", [b"a layer"])
    with fault_proxy.fault_proxy(registry.port) as proxy:
        proxy.always = fault_proxy.stall
        command: list[str | Path] = [OCIPACK, "push", small.folder, f"{proxy.address}/interrupted", "--plain-http"]
        process = subprocess.Popen(command, env=place.environment(), stderr=subprocess.PIPE, text=True)
        while not proxy.requests:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(2)
        _, complaint = process.communicate(timeout=5)
    assert process.returncode == 130
    assert "Traceback" not in complaint
