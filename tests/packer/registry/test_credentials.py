import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from packer.registry.credentials import ConfiguredCredentials, Credentials, CredentialsError
from packer.registry.reference import Reference

_CANARY = "canary-of-a-secret"


def _auth(username: str, password: str = _CANARY) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


def _write(path: Path, config: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(config if isinstance(config, str) else json.dumps(config))
    return path


def _helper(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def _find(reference: str, environment: dict[str, str]) -> Credentials | None:
    return ConfiguredCredentials(environment).find(Reference.parse(reference))


def _user(config: Any, reference: str, folder: Path) -> str | None:
    _write(folder / "auth.json", config)
    found = _find(reference, {"REGISTRY_AUTH_FILE": str(folder / "auth.json")})
    return found.username if found else None


_NAMESPACED = {
    "auths": {
        "example.org": _auth("host"),
        "example.org/team": _auth("team"),
        "example.org/team/app": _auth("app"),
        "localhost:5000": _auth("port"),
    }
}


@pytest.mark.parametrize(
    ("config", "reference", "user"),
    [
        (_NAMESPACED, "example.org/other", "host"),
        (_NAMESPACED, "example.org/team/other", "team"),
        (_NAMESPACED, "example.org/team/app:1", "app"),
        (_NAMESPACED, "example.org/team/app/below", "app"),
        (_NAMESPACED, "example.org/team-two", "host"),
        (_NAMESPACED, "localhost:5000/x", "port"),
        (_NAMESPACED, "localhost/x", None),
        (_NAMESPACED, "sub.example.org/x", None),
        (_NAMESPACED, "example.org:444/x", None),
        ({"auths": {"https://index.docker.io/v1/": _auth("docker")}}, "debian", "docker"),
        ({"auths": {"docker.io": _auth("docker")}}, "debian", "docker"),
        ({"auths": {"docker.io/team": _auth("team"), "docker.io": _auth("docker")}}, "team/app", "team"),
        ({"auths": {"https://example.org/v2/": _auth("address")}}, "example.org/a", "address"),
        ({"auths": {"http://example.org": _auth("address")}}, "example.org/a", "address"),
        ({"auths": {"example.org/": _auth("slash")}}, "example.org/a", "slash"),
        ({"auths": {"example.org": {}, "example.org/v1/": {}}}, "example.org/a", None),
        ({"auths": {"example.org": {"username": "plain", "password": _CANARY}}}, "example.org/a", "plain"),
        ({"auths": None}, "example.org/a", None),
        ({}, "example.org/a", None),
        ("", "example.org/a", None),
    ],
)  # fmt: skip
def test_the_narrowest_key_wins(config: Any, reference: str, user: str | None, tmp_path: Path) -> None:
    assert _user(config, reference, tmp_path) == user


@pytest.mark.parametrize("repository", ["example.org/other", "example.org/team/other", "example.org/team/app"])
def test_podman_finds_the_same(repository: str, tmp_path: Path) -> None:
    path = _write(tmp_path / "auth.json", _NAMESPACED)
    command = ["podman", "login", "--authfile", str(path), "--get-login", repository]
    theirs = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert _user(_NAMESPACED, repository, tmp_path) == theirs


def test_which_file_comes_first(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path / "home")}
    assert _find("example.org/a", environment) is None
    for user, path, variable in (
        ("home", "home/.docker/config.json", ""),
        ("config", "home/.config/containers/auth.json", ""),
        ("config-home", "config/containers/auth.json", "XDG_CONFIG_HOME"),
        ("runtime", "runtime/containers/auth.json", "XDG_RUNTIME_DIR"),
        ("docker", "docker/config.json", "DOCKER_CONFIG"),
        ("only", "only.json", "REGISTRY_AUTH_FILE"),
    ):
        written = _write(tmp_path / path, {"auths": {"example.org": _auth(user)}})
        if variable:
            base = {"DOCKER_CONFIG": written.parent, "REGISTRY_AUTH_FILE": written}.get(variable, written.parents[1])
            environment[variable] = str(base)
        found = _find("example.org/a", environment)
        assert found
        assert found.username == user
    _write(tmp_path / "only.json", {})
    assert _find("example.org/a", environment) is None, "podman looks into no other file"


@pytest.mark.parametrize(
    ("config", "asked"),
    [
        ({"credHelpers": {"example.org": "keys"}}, "example.org"),
        ({"credsStore": "keys"}, "example.org"),
        ({"credHelpers": {"example.org": "keys"}, "credsStore": "missing"}, "example.org"),
        ({"credsStore": "keys", "auths": {"example.org": _auth("written")}}, "example.org"),
        ({"credHelpers": {"https://example.org": "keys"}}, "https://example.org"),
    ],
)
def test_helpers_are_asked_on_standard_input(config: Any, asked: str, tmp_path: Path) -> None:
    _helper(
        tmp_path / "bin", "keys",
        f'cat > {tmp_path}/asked; echo "$@" > {tmp_path}/arguments; echo "$EXTRA" > {tmp_path}/environment\n'
        f"""echo '{{"ServerURL":"x","Username":"helped","Secret":"{_CANARY}"}}'""",
    )  # fmt: skip
    _write(tmp_path / "config.json", config)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    found = _find("example.org/a", {"DOCKER_CONFIG": str(tmp_path), "PATH": path, "EXTRA": "theirs"})
    assert found == Credentials("docker-credential-keys", "helped", _CANARY)
    assert (tmp_path / "asked").read_text() == asked
    assert (tmp_path / "arguments").read_text() == "get\n"
    assert (tmp_path / "environment").read_text() == "theirs\n"


def test_docker_calls_its_own_registry_by_an_address(tmp_path: Path) -> None:
    _helper(tmp_path / "bin", "keys", f"""cat > {tmp_path}/asked; echo '{{"Username":"u","Secret":"s"}}'""")
    _write(tmp_path / "config.json", {"credsStore": "keys"})
    _find("debian", {"DOCKER_CONFIG": str(tmp_path), "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"})
    assert (tmp_path / "asked").read_text() == "https://index.docker.io/v1/"


def test_what_a_helper_does_not_know_may_be_written_down(tmp_path: Path) -> None:
    _helper(tmp_path / "bin", "keys", "echo credentials not found in native keychain; exit 1")
    _write(tmp_path / "config.json", {"credsStore": "keys", "auths": {"example.org": _auth("written")}})
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    found = _find("example.org/a", {"DOCKER_CONFIG": str(tmp_path), "PATH": path})
    assert found
    assert found.username == "written"


@pytest.mark.parametrize(
    ("script", "token"),
    [(f"""echo '{{"Username":"<token>","Secret":"{_CANARY}"}}'""", _CANARY)],
)
def test_an_identity_token_of_a_helper(script: str, token: str, tmp_path: Path) -> None:
    _helper(tmp_path / "bin", "keys", script)
    _write(tmp_path / "config.json", {"credsStore": "keys"})
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    found = _find("example.org/a", {"DOCKER_CONFIG": str(tmp_path), "PATH": path})
    assert found
    assert (found.username, found.password, found.identity_token) == ("", "", token)


@pytest.mark.parametrize(
    ("config", "script", "said"),
    [
        (f'{{"auths": {_CANARY}', "", "is not JSON"),
        ([_CANARY], "", "is no table"),
        ("[" * 100_000, "", "is not JSON"),
        ({"auths": [_CANARY]}, "", "auths is no table"),
        ({"auths": {"example.org": {"auth": f"!{_CANARY}"}}}, "", "not the base64 of NAME:PASSWORD"),
        ({"auths": {"example.org": {"auth": base64.b64encode(_CANARY.encode()).decode()}}}, "", "not the base64"),
        ({"auths": {"example.org": {"auth": "/w=="}}}, "", "not the base64"),
        ({"credsStore": "missing"}, "", "there is no program docker-credential-missing"),
        ({"credsStore": "../../bin/sh"}, "", "cannot be one"),
        ({"credsStore": 5}, "", "cannot be one"),
        ({"credHelpers": {"example.org": "keys"}}, f"echo {_CANARY}; echo {_CANARY} >&2; exit 3", "exit code 3"),
        ({"credsStore": "keys"}, f"echo {_CANARY}", "is not JSON"),
        ({"credsStore": "keys"}, f"""echo '["{_CANARY}"]'""", "is no table"),
        ({"credsStore": "keys"}, f"""echo '{{"Secret": "{_CANARY}"}}'""", "has no Username and Secret"),
        ({"credsStore": "keys"}, f"""echo '{{"Username": 1, "Secret": "{_CANARY}"}}'""", "has no Username and Secret"),
    ],
)  # fmt: skip
def test_mistakes_are_told_without_secrets(config: Any, script: str, said: str, tmp_path: Path) -> None:
    if script:
        _helper(tmp_path / "bin", "keys", script)
    _write(tmp_path / "config.json", config)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    with pytest.raises(CredentialsError, match=said) as raised:
        _find("example.org/a", {"DOCKER_CONFIG": str(tmp_path), "PATH": path})
    assert _CANARY not in str(raised.value)
    assert raised.value.exit_code == 2


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="REGISTRY_AUTH_FILE names it"):
        _find("example.org/a", {"REGISTRY_AUTH_FILE": str(tmp_path / "gone")})


def test_secrets_are_not_shown() -> None:
    shown = repr(Credentials("here", "ada", _CANARY, _CANARY, _CANARY))
    assert "ada" in shown
    assert _CANARY not in shown
