"""Where people keep the passwords of registries: the files of docker and podman, and the programs that these name.

    $REGISTRY_AUTH_FILE                      podman, skopeo: this file and no other
    $DOCKER_CONFIG/config.json               docker, when the variable is set
    $XDG_RUNTIME_DIR/containers/auth.json    podman login
    $XDG_CONFIG_HOME/containers/auth.json    the same, kept across boots; ~/.config without the variable
    ~/.docker/config.json                    docker login

A file has `auths` (by registry, by https://REGISTRY/v1/ as docker writes it, or by REGISTRY/NAMESPACE as podman does:
containers-auth.json(5)), `credHelpers` (a program for a registry) and `credsStore` (a program for all of them). The
first file that knows something of a reference wins; in a file a program wins over what is written there.

A program is docker-credential-NAME, on PATH. It is told a registry on its standard input, and answers in JSON
(github.com/docker/docker-credential-helpers). No secret is in anybody's arguments, and none in a message of ours.
"""

import base64
import binascii
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from layers.errors import InputError
from layers.output import said
from packer.registry.reference import Reference

_MOST_BYTES = 1 << 20
_HELPER_SECONDS = 60.0
_HELPER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_NOT_FOUND = "credentials not found in native keychain"
_IDENTITY_TOKEN = "<token>"  # noqa: S105  # the user name that says: the secret is an identity token

_DOCKER = "docker.io"
_DOCKER_KEY = "https://index.docker.io/v1/"  # what docker calls its own registry
_DOCKER_NAMES = ("index.docker.io", "registry-1.docker.io")

_SECRETS_STAY_HIDDEN = "What it says is not shown here: there may be a password in it."


class CredentialsError(InputError):
    """A file or a program that does not give credentials as it should."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a registry, or its token server, is told.

    Attributes:
        source: where they come from, for messages.
        username: may be empty with a token.
        password: in plain text.
        identity_token: in place of a password: a refresh token of OAuth 2.
        registry_token: a bearer token, ready for the registry.
    """

    source: str
    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """What RFC 7617 makes of user name and password."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    @property
    def secrets(self) -> list[str]:
        """What must not be shown to anybody, the longest first."""
        found = {self.password, self.identity_token, self.registry_token, self.basic if self.password else ""}
        return sorted((secret for secret in found if secret), key=len, reverse=True)


class Keychain(Protocol):
    """Knows credentials."""

    def find(self, reference: Reference) -> Credentials | None:
        """The credentials for a repository, if there are any.

        Raises:
            CredentialsError: a file or a program does not give them as it should.
        """
        ...


@dataclass(frozen=True, slots=True)
class GivenCredentials:
    """Credentials that the user has named for this run."""

    credentials: Credentials

    def find(self, reference: Reference) -> Credentials | None:  # noqa: ARG002  # a Keychain's
        """See `Keychain`."""
        return self.credentials


@dataclass(frozen=True, slots=True)
class ConfiguredCredentials:
    """Credentials of the files and programs that docker and podman use.

    Attributes:
        environment: says where files are; programs get all of it.
    """

    environment: Mapping[str, str]

    def find(self, reference: Reference) -> Credentials | None:
        """See `Keychain`."""
        for path in self._files():
            config = _read(path)
            if config is not None and (found := self._in_config(config, path, reference)):
                return found
        return None

    def _files(self) -> Iterator[str]:
        environment = self.environment
        if only := environment.get("REGISTRY_AUTH_FILE"):
            if not os.path.exists(only):
                raise CredentialsError(f"there is no file {only}", hint="REGISTRY_AUTH_FILE names it.")
            yield only
            return
        home = environment.get("HOME", "")
        config_home = environment.get("XDG_CONFIG_HOME") or (home and os.path.join(home, ".config"))
        folders = (
            (environment.get("DOCKER_CONFIG"), "config.json"),
            (environment.get("XDG_RUNTIME_DIR"), "containers/auth.json"),
            (config_home, "containers/auth.json"),
            (home and os.path.join(home, ".docker"), "config.json"),
        )
        yield from (os.path.join(folder, name) for folder, name in folders if folder)

    def _in_config(self, config: Mapping[str, Any], path: str, reference: Reference) -> Credentials | None:
        helpers = {_key(name): (name, helper) for name, helper in _table(config, "credHelpers", path).items()}
        if (name := next((key for key in _keys(reference) if key in helpers), None)) is not None:
            asked, helper = helpers[name]
            if found := self._ask(helper, asked, path):
                return found
        if store := config.get("credsStore"):
            key = _DOCKER_KEY if reference.registry == _DOCKER else reference.registry
            if found := self._ask(store, key, path):
                return found
        entries = {_key(name): entry for name, entry in _table(config, "auths", path).items()}
        written = (_written(entries[key], f"{path}, {key}") for key in _keys(reference) if key in entries)
        return next((credentials for credentials in written if credentials), None)

    def _ask(self, helper: object, key: str, path: str) -> Credentials | None:
        """What a program says about a registry."""
        if not isinstance(helper, str) or not _HELPER.fullmatch(helper):
            raise CredentialsError(f"{path} names a program for credentials that cannot be one: {str(helper)[:80]!r}")
        program = f"docker-credential-{helper}"
        found = shutil.which(program, path=self.environment.get("PATH", os.defpath))
        if not found:
            raise CredentialsError(f"there is no program {program} on PATH", hint=f"{path} asks for it.")
        try:
            done = subprocess.run(
                [found, "get"],
                input=key.encode(),
                capture_output=True,
                env=self.environment,
                timeout=_HELPER_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CredentialsError(f"{program} gave no answer for {_HELPER_SECONDS:.0f} seconds") from None
        except OSError as error:
            raise CredentialsError(f"{program} cannot be run: {said(error)}") from None
        if done.returncode:
            if _NOT_FOUND in done.stdout.decode(errors="replace"):
                return None
            raise CredentialsError(
                f"{program} failed with exit code {done.returncode}",
                hint=f"{_SECRETS_STAY_HIDDEN} Try: echo {key} | {program} get",
            )
        return _answered(done.stdout, program)


def _answered(answer: bytes, program: str) -> Credentials:
    """The credentials that a program has given."""
    facts = _parsed(answer, f"the answer of {program}")
    username, secret = facts.get("Username"), facts.get("Secret")
    if not isinstance(username, str) or not isinstance(secret, str):
        raise CredentialsError(f"the answer of {program} has no Username and Secret", hint=_SECRETS_STAY_HIDDEN)
    if username == _IDENTITY_TOKEN:
        return Credentials(program, identity_token=secret)
    return Credentials(program, username, secret)


def _written(entry: object, where: str) -> Credentials | None:
    """The credentials of an entry of `auths`; an empty one says that a program has them."""
    fields = entry if isinstance(entry, dict) else {}
    texts = {name: value for name, value in fields.items() if isinstance(value, str)}
    username, password = texts.get("username", ""), texts.get("password", "")
    if encoded := texts.get("auth"):
        username, password = _decoded(encoded, where)
    made = Credentials(where, username, password, texts.get("identitytoken", ""), texts.get("registrytoken", ""))
    return made if made.username or made.secrets else None


def _decoded(encoded: str, where: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(encoded, validate=True).decode().rstrip("\0")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        text = ""
    username, colon, password = text.partition(":")
    if not colon:
        raise CredentialsError(f"{where}: auth is not the base64 of NAME:PASSWORD", hint=_SECRETS_STAY_HIDDEN)
    return username, password


def _keys(reference: Reference) -> Iterator[str]:
    """What a file may call a repository, the narrowest first: REGISTRY/A/B, REGISTRY/A, REGISTRY."""
    name = reference.name
    while True:
        yield name
        if "/" not in name:
            return
        name = name.rpartition("/")[0]


def _key(name: str) -> str:
    """A key of a file, as `_keys` gives them: docker writes addresses, of which the host counts."""
    bare = re.sub("^https?://", "", name)
    host, _, path = bare.partition("/")
    host = _DOCKER if host in _DOCKER_NAMES else host
    legacy = bare != name or path.strip("/") in ("v1", "v2", "")
    return host if legacy else f"{host}/{path}"


def _table(config: Mapping[str, Any], name: str, path: str) -> dict[str, Any]:
    table = config.get(name) or {}
    if not isinstance(table, dict):
        raise CredentialsError(f"{path}: {name} is no table")
    return table


def _read(path: str) -> dict[str, Any] | None:
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CredentialsError(f"{path} cannot be read: {said(error)}") from None
    if len(data) > _MOST_BYTES:
        raise CredentialsError(f"{path} is larger than {_MOST_BYTES >> 20} MiB")
    return _parsed(data, path) if data.strip() else None


def _parsed(data: bytes, what: str) -> dict[str, Any]:
    try:
        facts = json.loads(data)
    except (ValueError, RecursionError):  # what Python says would show the data
        raise CredentialsError(f"{what} is not JSON", hint=_SECRETS_STAY_HIDDEN) from None
    if not isinstance(facts, dict):
        raise CredentialsError(f"{what} is no table", hint=_SECRETS_STAY_HIDDEN)
    return facts
