"""What a registry is told about who asks: challenges, and the tokens that answer them.

    401, WWW-Authenticate: Basic realm=...                      user name and password, to the registry (RFC 7617)
    401, WWW-Authenticate: Bearer realm=URL,service=S,...       a token of the server at URL, to the registry (RFC 6750;
                                                                distribution's token.md and oauth.md)

A token is asked for with the scopes of all that is going to be done, not with the one that the challenge of a first,
harmless request names. Credentials go to the registry's own origin, and to the token server that the registry itself
names: over https, or at the registry's own origin.
"""

import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from packer import web
from packer.registry.answer import Answer, InterruptedRequestError, RegistryError
from packer.registry.credentials import Credentials, Keychain
from packer.registry.reference import Reference

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  # RFC 9110, 5.6.2
_PIECE = re.compile(rf'({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))|({_TOKEN})')
_BEARER_TOKEN = re.compile(r"[\x21-\x7e]+")
_LONGEST_HEADER = 1 << 14  # characters
_CLIENT = "ocipack"


class Ask(Protocol):
    """Asks a token server: one request, no redirect followed, an answer of bounded size."""

    def __call__(self, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None) -> Answer:
        """GET, or POST with a form.

        Raises:
            InterruptedRequestError: there was no answer.
            RegistryError: the server is not trusted.
        """
        ...


@dataclass(frozen=True, slots=True)
class Challenge:
    """One of the ways in which a server lets itself be convinced (RFC 9110, 11.3).

    Attributes:
        scheme: in lower case.
        parameters: by name in lower case.
    """

    scheme: str
    parameters: Mapping[str, str]


def challenges(header: str) -> Iterator[Challenge]:
    """The challenges of a `WWW-Authenticate` header."""
    scheme, parameters = "", dict[str, str]()
    for name, quoted, plain, new in _PIECE.findall(header[:_LONGEST_HEADER]):
        if not new:
            parameters[name.lower()] = plain or re.sub(r"\\(.)", r"\1", quoted)
            continue
        if scheme:
            yield Challenge(scheme, parameters)
        scheme, parameters = new.lower(), {}
    if scheme:
        yield Challenge(scheme, parameters)


class Authorization:
    """The `Authorization` header of requests to one registry.

    Args:
        reference: of the repository.
        origin: of the registry, as `https://registry.example.org`.
        scopes: what is going to be done: `repository:NAME:pull,push`.
        keychain: asked when the registry wants to know who asks, and not before.
        ask: asks token servers.
    """

    def __init__(self, reference: Reference, origin: str, scopes: Sequence[str], keychain: Keychain, ask: Ask) -> None:
        self._reference = reference
        self._origin = origin
        self._scopes = scopes
        self._keychain = keychain
        self._ask = ask
        self._lock = threading.Lock()
        self._credentials: Credentials | None = None
        self._looked = False
        self.header = ""

    def answer(self, header: str, refused: str) -> str:
        """An `Authorization` header that may do where another did not.

        Args:
            header: the `WWW-Authenticate` header of the answer.
            refused: the `Authorization` header of the request, or an empty string.

        Raises:
            RegistryError: there is none.
            InterruptedRequestError: the token server gave no answer.
        """
        with self._lock:
            if self.header == refused:  # otherwise another thread has asked since
                self.header = self._new(list(challenges(header)), refused)
            return self.header

    def hide(self, text: str) -> str:
        """The text without what nobody is to see, should a server have sent it back."""
        hidden = [*(self._credentials.secrets if self._credentials else ()), self.header.partition(" ")[2]]
        for secret in filter(None, hidden):
            text = text.replace(secret, "…")
        return text

    def _new(self, asked: Sequence[Challenge], refused: str) -> str:
        credentials = self._find()
        if credentials and credentials.registry_token:
            return self._other_than(refused, f"Bearer {credentials.registry_token}")
        ways = {challenge.scheme: challenge for challenge in reversed(asked)}
        if "realm" in getattr(ways.get("bearer"), "parameters", ()):
            return f"Bearer {self._token(ways['bearer'], credentials)}"
        if "basic" not in ways:
            known = ", ".join(sorted(ways)) or "nothing"
            raise RegistryError(f"{self._reference.registry} wants an authorization that is not known: {known}")
        if not credentials or not credentials.password:
            raise RegistryError(f"{self._reference.registry} wants a user name and a password", hint=self._hint())
        return self._other_than(refused, f"Basic {credentials.basic}")

    def _find(self) -> Credentials | None:
        if not self._looked:
            self._credentials, self._looked = self._keychain.find(self._reference), True
        return self._credentials

    def _other_than(self, refused: str, header: str) -> str:
        if header == refused:
            raise self.not_accepted()
        return header

    def not_accepted(self) -> RegistryError:
        """What to raise when the registry wants something better."""
        registry = self._reference.registry
        if not self._credentials:
            return RegistryError(
                f"{registry} does not let anonymous users into {self._reference.name}", hint=self._hint()
            )
        source = self._credentials.source
        return RegistryError(f"{registry} does not accept the credentials of {source}", hint=self._hint())

    def _hint(self) -> str:
        return f"Log in with `docker login {self._reference.registry}` or `podman login`, or give --username."

    def _token(self, challenge: Challenge, credentials: Credentials | None) -> str:
        realm = self._realm(challenge.parameters["realm"])
        fields = [("scope", scope) for scope in self._scopes]
        if service := challenge.parameters.get("service"):
            fields.insert(0, ("service", service))
        if credentials and credentials.identity_token:
            form = dict(fields) | {"scope": " ".join(self._scopes), "client_id": _CLIENT}
            form |= {"grant_type": "refresh_token", "refresh_token": credentials.identity_token}
            answer = self._ask(realm, {}, form)
        else:
            parts = urlsplit(realm)
            query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *fields])
            basic = {"Authorization": f"Basic {credentials.basic}"} if credentials else {}
            answer = self._ask(urlunsplit(parts._replace(query=query)), basic, None)
        return self._of_answer(answer, f"the token server at {urlsplit(realm).hostname}")

    def _realm(self, realm: str) -> str:
        """The address of a token server, if it may be told credentials."""
        try:
            parts, same = urlsplit(realm), web.origin(realm) == web.origin(self._origin)
        except ValueError:
            parts, same = urlsplit(""), False
        if not parts.hostname or "@" in parts.netloc or not (parts.scheme == "https" or same):
            shown = f"{parts.scheme}://{parts.hostname}"
            raise RegistryError(
                f"{self._reference.registry} wants credentials to go to {shown},"
                " which is neither its own origin nor https"
            )
        return realm

    def _of_answer(self, answer: Answer, server: str) -> str:
        if answer.status in web.BUSY:
            raise InterruptedRequestError(f"{server} says {answer.status}", web.retry_after(answer.headers))
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise self.not_accepted()
        if answer.status != HTTPStatus.OK:
            raise RegistryError(f"{server} says {answer.status}")
        facts = _table(answer)
        token = facts.get("token") or facts.get("access_token")
        if not isinstance(token, str) or not _BEARER_TOKEN.fullmatch(token):
            raise RegistryError(f"{server} gives no token")
        return token


def _table(answer: Answer) -> dict[str, Any]:
    try:
        facts = json.loads(answer.body) if answer.is_whole else None
    except (ValueError, RecursionError):
        facts = None
    return facts if isinstance(facts, dict) else {}
