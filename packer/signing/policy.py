"""Who is to have signed, and as what: a policy of `ocipack verify`, in TOML.

    key = "release.asc"                                         the one public key; relative to the policy
    fingerprint = "0123 4567 …"                                 which key that has to be
    identity = "registry.example.org/team/app"                  what images are to be called; with a tag, exactly that

There is no way to say that nobody has to have signed.
"""

import os
from dataclasses import dataclass as plain_dataclass
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from layers.errors import InputError
from layers.output import said
from packer import config, document, forms
from packer.record import Record
from packer.signing.gpg import Fingerprint
from packer.signing.simple_signing import Identity

_LARGEST_KEY = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(Record):
    """A policy's file."""

    EXAMPLE: ClassVar[str] = """\
key = "release.asc"
identity = "registry.example.org/team/app"
"""

    key: Annotated[str, forms.NOT_EMPTY] = Field(description="A file of one public key, relative to the policy.")
    fingerprint: str = Field(default="", description="The fingerprint that the key has to have.")
    identity: str = Field(default="", description="What images are to be called; without a tag, any of them.")


@plain_dataclass(frozen=True, slots=True)
class Trust:
    """What is believed.

    Attributes:
        key: bytes of a file with one public key; empty if signatures are not looked at.
        origin: the file, for messages.
        fingerprint: that the key has to have, if anything says so.
        identity: what images are to be called, if anything says so.
        lookaside: where signatures of images are besides registries; may be empty.
    """

    key: bytes = b""
    origin: str = ""
    fingerprint: Fingerprint | None = None
    identity: Identity | None = None
    lookaside: str = ""


def trust(policy: str, key: str, identity: str, lookaside: str) -> Trust:
    """What a policy's file says, or the command line instead of one.

    Args:
        policy: the file, or empty.
        key: a public key's file, or empty.
        identity: what images are to be called, or empty.
        lookaside: a folder, or empty.

    Raises:
        InputError: they do not go together, or a file is not what it has to be.
    """
    if policy and (key or identity):
        raise InputError("a policy says who has to have signed", hint="Leave out --key and --identity, or --policy.")
    if not policy:
        if not key and (identity or lookaside):
            raise InputError("who has to have signed?", hint="Name a public key with --key, or a file with --policy.")
        return Trust(_read(key) if key else b"", key, None, _identity(identity), lookaside)
    found: Policy = config.checked(Policy, document.document(document.read(policy), policy), policy)
    path = os.path.join(os.path.dirname(policy), found.key)
    fingerprint = Fingerprint.parse(found.fingerprint) if found.fingerprint else None
    return Trust(_read(path), path, fingerprint, _identity(found.identity), lookaside)


def _identity(text: str) -> Identity | None:
    return Identity.parse(text) if text else None


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST_KEY + 1)
    except OSError as error:
        raise InputError(f"the key {path} cannot be read: {said(error)}") from None
    if not data:
        raise InputError(f"the key {path} is empty")
    return data
