r"""Manifests: what files are to be in an image, whatever they are on this machine, in the format of mtree(5).

    #mtree
    /set type=file uid=0 gid=0 mode=644
    ./etc mode=755 type=dir
    ./etc/a\040b uid=33 size=5 sha256digest=2cf24d…
    ./dev/null type=char mode=666 device=native,1,3

FreeBSD's mtree, NetBSD's and bsdtar write it, and go-mtree, whose `xattr.NAME=BASE64` we take for extended attributes
(capabilities among them); mtree(5) has nothing for those. Names and link targets are escaped as by vis(3). A name with
a slash starts at the folder; one without is in the last folder that had a name without a slash, until a line `..`.

Times, flags, counts of links and digests other than SHA-256 are nothing that an image has, and are passed over.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from layers.digest import Digest
from layers.entry import checked_path
from layers.errors import EntryError, InputError
from layers.output import said
from packer.document import quoted

_MOST_BYTES = 64 << 20  # 500,000 lines; a root of Debian has 20,000
_LAST_ID = 2**32 - 2  # chown(2): the last one means "no change"
_LARGEST_XATTR = 65536  # XATTR_SIZE_MAX, xattr(7)

_TYPES = ("block", "char", "dir", "fifo", "file", "link")
_PASSED_OVER = re.compile(
    "cksum|flags|gname|ignore|inode|nlink|nochange|resdevice|tags|tar_time|time|uname"
    "|(?:md5|rmd160|ripemd160|sha1|sha384|sha512)(?:digest)?"
)
_XATTR = "xattr."
_XATTR_NAME = re.compile(r"(?:security|system|trusted|user)\.[^=\x00-\x1f\x7f]{1,255}")
_DEVICE = re.compile(r"[0-9a-z]+,(0x[0-9a-fA-F]{1,8}|[0-9]{1,10}),(0x[0-9a-fA-F]{1,8}|[0-9]{1,10})")
_ESCAPE = re.compile(rb"\\(?:([0-7]{3})|x([0-9a-fA-F]{2})|M-([!-~])|M\^([?-_a-z])|\^([?-_a-z])|(.)|\Z)", re.DOTALL)
_SHORT = {b"a": b"\a", b"b": b"\b", b"E": b"\x1b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"s": b" ", b"t": b"\t"}
_SHORT |= {b"v": b"\v", b"0": b"\0"}


class ManifestError(InputError):
    """A manifest that cannot be used."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What a manifest says about one path; None where it says nothing.

    Attributes:
        origin: file and line.
        path: as entries have it.
        type: block, char, dir, fifo, file or link.
        mode: permission bits.
        uid: owner.
        gid: group.
        target: of a symbolic link.
        device: major and minor.
        size: bytes that the file must have.
        digest: that the file must have.
        xattrs: extended attributes as (name, value), sorted by name.
        optional: whether it may be missing.
    """

    origin: str
    path: bytes
    type: str | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    target: bytes | None = None
    device: tuple[int, int] | None = None
    size: int | None = None
    digest: Digest | None = None
    xattrs: tuple[tuple[bytes, bytes], ...] | None = None
    optional: bool = False


def read(path: str) -> dict[bytes, Stated]:
    """What a manifest says, by path.

    Raises:
        ManifestError: it cannot be read, or a line of it is wrong.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ManifestError(f"store.manifest: cannot read {path}: {said(error)}") from error
    if len(data) > _MOST_BYTES:
        raise ManifestError(f"store.manifest: {path} is larger than {_MOST_BYTES >> 20} MiB")
    return parse(data, path)


def parse(data: bytes, origin: str) -> dict[bytes, Stated]:
    """What a manifest says, by path; the folder itself is left out.

    Args:
        data: the manifest.
        origin: its file, for messages.

    Raises:
        ManifestError: a line of it is wrong.
    """
    stated: dict[bytes, Stated] = {}
    defaults: dict[str, str] = {}
    folders: list[bytes] = []
    for number, line in _lines(data):
        where = f"{origin}: line {number}"
        name, *words = line.split()
        if name == b"/set":
            defaults |= _keywords(words, where)
        elif name == b"/unset":
            _unset(defaults, words)
        elif name == b"..":
            if not folders:
                raise ManifestError(f"{where}: .. leads out of the folder")
            folders.pop()
        else:
            one = _stated(name, {**defaults, **_keywords(words, where)}, folders, where)
            if one.path in stated:
                raise ManifestError(f"{where}: {_shown(name)} is there twice")
            if one.path:
                stated[one.path] = one
    return stated


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers; those that end in a backslash go on in the next one."""
    joined, first = b"", 0
    for number, line in enumerate(data.split(b"\n"), 1):
        first = first or number
        text = line.rstrip(b"\r")
        if text.endswith(b"\\") and not text.lstrip().startswith(b"#"):
            joined += text[:-1] + b" "
            continue
        joined, text, start, first = b"", (joined + text).strip(), first, 0
        if text and not text.startswith(b"#"):
            yield start, text
    if joined.strip():
        yield first, joined.strip()


def _keywords(words: Iterable[bytes], where: str) -> dict[str, str]:
    found = {}
    for word in words:
        keyword, _, value = word.decode("utf-8", "surrogateescape").partition("=")
        if keyword not in _READERS and not _PASSED_OVER.fullmatch(keyword) and not keyword.startswith(_XATTR):
            raise ManifestError(
                f"{where}: {quoted(keyword)} is no keyword that can be followed", hint="mtree(5) lists what there is."
            )
        found[keyword] = value
    return found


def _unset(defaults: dict[str, str], words: Iterable[bytes]) -> None:
    for word in words:
        if word == b"all":
            defaults.clear()
        defaults.pop(word.decode("utf-8", "surrogateescape"), None)


def _stated(name: bytes, keywords: Mapping[str, str], folders: list[bytes], where: str) -> Stated:
    try:
        own = _unescaped(name)
        path = checked_path(own if b"/" in name else b"/".join([*folders, own]), where)
    except EntryError as error:
        raise ManifestError(str(error)) from error
    fields: dict[str, Any] = {}
    for keyword, value in keywords.items():
        if keyword in _READERS:
            field, reader = _READERS[keyword]
            try:
                fields[field] = reader(value)
            except ValueError:
                raise ManifestError(
                    f"{where}: {keyword}={quoted(value)} of {_shown(name)} cannot be followed"
                ) from None
    if any(named in keywords and field not in keywords for named, field in (("uname", "uid"), ("gname", "gid"))):
        raise ManifestError(f"{where}: {_shown(name)} has a name of an owner, and no number", hint="Add uid and gid.")
    one = replace(Stated(where, path, xattrs=_xattrs(keywords, where)), **fields)
    if b"/" not in name and one.type == "dir":
        folders.append(own)
    return _complete(one, name)


def _complete(one: Stated, name: bytes) -> Stated:
    if one.type in ("block", "char") and one.device is None:
        raise ManifestError(f"{one.origin}: {_shown(name)} has no device=native,MAJOR,MINOR")
    if one.type == "link" and not one.target:
        raise ManifestError(f"{one.origin}: {_shown(name)} has no link=TARGET")
    return one


def _xattrs(keywords: Mapping[str, str], where: str) -> tuple[tuple[bytes, bytes], ...] | None:
    found = {}
    for keyword, value in keywords.items():
        if not keyword.startswith(_XATTR):
            continue
        name = _unescaped(_bytes(keyword.removeprefix(_XATTR)))
        try:
            data = base64.b64decode(_bytes(value), validate=True)
        except binascii.Error:
            raise ManifestError(f"{where}: {quoted(keyword)} is not base64") from None
        if not _XATTR_NAME.fullmatch(name.decode("utf-8", "replace")) or len(data) > _LARGEST_XATTR:
            raise ManifestError(f"{where}: {quoted(keyword)} is no extended attribute of Linux")
        found[name] = data
    return tuple(sorted(found.items())) or None


def _unescaped(text: bytes) -> bytes:
    """What vis(3) made of a name, undone: octal, C style, and the control and meta notation."""
    return _ESCAPE.sub(_meant, text)


def _meant(found: re.Match[bytes]) -> bytes:
    octal, hexadecimal, meta, meta_control, control, other = found.groups()
    if octal:
        return bytes([int(octal, 8) & 0xFF])
    if hexadecimal:
        return bytes.fromhex(hexadecimal.decode())
    if meta:
        return bytes([meta[0] | 0x80])
    if meta_control or control:
        code = (meta_control or control)[0]
        plain = 0x7F if code == ord("?") else code & 0x1F
        return bytes([plain | (0x80 if meta_control else 0)])
    return _SHORT.get(other or b"", other or b"")


def _type(value: str) -> str:
    if value not in _TYPES:
        raise ValueError(value)
    return value


def _mode(value: str) -> int:
    if not re.fullmatch("0{0,2}[0-7]{1,4}", value):
        raise ValueError(value)
    return int(value, 8)


def _number(most: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not re.fullmatch("[0-9]{1,19}", value) or int(value) > most:
            raise ValueError(value)
        return int(value)

    return read


def _device(value: str) -> tuple[int, int]:
    found = _DEVICE.fullmatch(value)
    if not found:
        raise ValueError(value)
    return _of_base(found[1]), _of_base(found[2])


def _of_base(value: str) -> int:
    return int(value, 16) if value.startswith("0x") else int(value)


def _sha256(value: str) -> Digest:
    if not re.fullmatch("[0-9a-fA-F]{64}", value):
        raise ValueError(value)
    return Digest(value.lower())


def _target(value: str) -> bytes:
    target = _unescaped(_bytes(value))
    if not target or b"\0" in target:
        raise ValueError(value)
    return target


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _shown(name: bytes) -> str:
    return quoted(name.decode("utf-8", "backslashreplace"))


#: Keyword -> (field of `Stated`, what reads its value).
_READERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "device": ("device", _device),
    "gid": ("gid", _number(_LAST_ID)),
    "link": ("target", _target),
    "mode": ("mode", _mode),
    "optional": ("optional", lambda _: True),
    "sha256": ("digest", _sha256),
    "sha256digest": ("digest", _sha256),
    "size": ("size", _number(2**63 - 1)),
    "type": ("type", _type),
    "uid": ("uid", _number(_LAST_ID)),
}
