"""Public keys of ssh, as lines of ~/.ssh/authorized_keys have them (sshd(8), AUTHORIZED_KEYS FILE FORMAT).

    [OPTIONS] TYPE BASE64 [COMMENT]          options are joined by commas and may have spaces in double quotes

The base64 is of a blob of strings, each behind its length (RFC 4253, 6.6): the first one is the type again.
"""

import base64
import binascii
import re

from layers.errors import InputError

#: Types of keys (sshd(8)); certificates are not for this file, DSA was dropped with OpenSSH 10.
TYPES = (
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "sk-ssh-ed25519@openssh.com",
    "ssh-ed25519",
    "ssh-rsa",
)

_KEY = re.compile(rf"(?:^|[ \t])({'|'.join(map(re.escape, TYPES))})[ \t]+([A-Za-z0-9+/]+={{0,2}})(?=[ \t]|$)")
_OPTIONS = re.compile(r'(?:[^\s"]|"(?:[^"\\]|\\.)*")*')
_PARTS = {"ssh-rsa": 3, "ssh-ed25519": 2, "sk-ssh-ed25519@openssh.com": 3, "sk-ecdsa-sha2-nistp256@openssh.com": 4}
_USUAL_PARTS = 3  # of ecdsa: type, curve, point


class KeyLineError(InputError):
    """A line that is no public key."""


def authorized_key(line: str) -> str:
    """A line, without spaces at its ends.

    Raises:
        KeyLineError: it is no public key.
    """
    line = line.strip()
    if "PRIVATE KEY" in line:
        raise KeyLineError("this is a private key, which must not leave its machine", hint="Take the file named .pub.")
    start = 0 if line.startswith(TYPES) else len((_OPTIONS.match(line) or [""])[0])
    found = _KEY.match(line, start)
    if not found:
        raise KeyLineError("this is no public key of ssh", hint="It looks like ssh-ed25519 AAAA… NAME.")
    parts = _strings(found[2])
    if not parts or parts[0] != found[1].encode() or len(parts) != _PARTS.get(found[1], _USUAL_PARTS):
        raise KeyLineError(f"this {found[1]} key is damaged", hint="Copy the whole line.")
    return line


def authorized_keys(text: str, origin: str) -> list[str]:
    """The keys of a file, without its empty lines and comments.

    Raises:
        KeyLineError: there is none, or a line is no public key.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                found.append(authorized_key(line))
            except KeyLineError as error:
                raise KeyLineError(f"{origin}, line {number}: {error.args[0]}", hint=error.hint) from None
    if not found:
        raise KeyLineError(f"{origin} has no key")
    return found


def _strings(encoded: str) -> list[bytes]:
    """The strings of a blob; none if it is damaged."""
    try:
        blob = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return []
    strings = []
    while blob:
        end = 4 + int.from_bytes(blob[:4], "big")
        if len(blob) < end:
            return []
        strings.append(blob[4:end])
        blob = blob[end:]
    return strings
