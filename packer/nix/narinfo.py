"""narinfo: what a binary cache says about one item (nix: src/libstore/nar-info.cc; type `text/x-nix-narinfo`).

Lines of `Field: value`. `Sig` may be there several times, every other field once; fields that are not known are for
somebody else.

    StorePath     /nix/store/HASH-NAME
    URL           where the NAR is, relative to the cache
    Compression   of the NAR; bzip2 when it is not said
    FileHash      SHA-256 of what is at the URL
    FileSize      bytes of it
    NarHash       SHA-256 of the NAR
    NarSize       bytes of it
    References    HASH-NAME of the items that it needs, itself included if it names itself; sorted
    Deriver       HASH-NAME.drv, or `unknown-deriver`
    Sig           KEY:BASE64 (`packer.nix.signature`)
    CA            how it is named by its content (`packer.nix.content_address`)
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from layers.digest import Digest, DigestError
from layers.errors import PackError
from packer.nix.base32 import parse_sha256, sha256_text
from packer.nix.layout import NIX
from packer.nix.valid_path import ValidPath

#: Where the items of Nix are.
STORE = NIX.store

#: A narinfo of more bytes is none: that of 20,000 references has 1 MiB.
LARGEST = 1 << 20

_LINE = re.compile(r"([A-Za-z][A-Za-z0-9-]*):(?: (.*))?")
_URL = re.compile(r"(?!/)(?:[0-9A-Za-z+=._~%-]+/)*[0-9A-Za-z+=._~%-]+(?:\?[0-9A-Za-z+=._~%&:/-]*)?")
_DOTS = re.compile(r"(?:\.|%2[eE]){1,2}")
_NUMBER = re.compile(r"[0-9]{1,18}")
_SIGNATURE = re.compile(r"[^:\s]{1,255}:[0-9A-Za-z+/]{1,1024}={0,2}")
_NO_DERIVER = "unknown-deriver"
_ONCE = frozenset(
    ("StorePath", "URL", "Compression", "FileHash", "FileSize", "NarHash", "NarSize", "References", "Deriver", "CA")
)


class NarInfoError(PackError):
    """A narinfo that is damaged, or about something else.

    Attributes:
        url: where it is.
        field: which of its fields is wrong; empty if it is the whole.
    """

    def __init__(self, url: str, field: str, what: str) -> None:
        super().__init__(f"{url}: {field}: {what}" if field else f"{url}: {what}")
        self.url = url
        self.field = field


@dataclass(frozen=True, slots=True)
class NarInfo:
    """What a binary cache says about an item; sizes are bytes.

    Attributes:
        path: `/nix/store/HASH-NAME`.
        url: of the compressed NAR, relative to the cache.
        compression: as Nix calls it: `xz`, `none`, …
        file_hash: of the compressed NAR, if it is known.
        file_size: of the compressed NAR, if it is known.
        nar_hash: of the NAR.
        nar_size: of the NAR.
        references: paths of the items that it needs, sorted; may have the item itself.
        deriver: path of the derivation that built it, or empty.
        signatures: `KEY:BASE64`, sorted.
        content_address: as `CA` has it, or empty.
    """

    path: str
    url: str
    compression: str
    file_hash: Digest | None
    file_size: int | None
    nar_hash: Digest
    nar_size: int
    references: tuple[str, ...]
    deriver: str
    signatures: tuple[str, ...]
    content_address: str

    @classmethod
    def parse(cls, data: bytes, url: str) -> "NarInfo":
        """Read a narinfo.

        Args:
            data: the file.
            url: where it is, for the message.

        Raises:
            NarInfoError: names the field that is missing, there twice, or wrong.
        """
        fields = _Fields(data, url)
        references = fields.references()
        deriver = fields.get("Deriver") or _NO_DERIVER
        return cls(
            path=fields.path("StorePath", fields.required("StorePath").removeprefix(f"{STORE}/")),
            url=fields.url(),
            compression=fields.get("Compression") or "bzip2",
            file_hash=fields.digest("FileHash") if fields.get("FileHash") else None,
            file_size=fields.number("FileSize") if fields.get("FileSize") else None,
            nar_hash=fields.digest("NarHash"),
            nar_size=fields.number("NarSize"),
            references=references,
            deriver="" if deriver == _NO_DERIVER else fields.path("Deriver", deriver),
            signatures=fields.signatures(),
            content_address=fields.get("CA"),
        )

    @property
    def valid_path(self) -> ValidPath:
        """What a store says about the item when it has copied it."""
        return ValidPath(
            self.path,
            self.nar_hash,
            self.nar_size,
            self.references,
            self.deriver,
            self.signatures,
            self.content_address,
        )

    @property
    def fingerprint(self) -> str:
        """What is signed (nix: src/libstore/path-info.cc, `ValidPathInfo::fingerprint`)."""
        return f"1;{self.path};{sha256_text(self.nar_hash)};{self.nar_size};{','.join(self.references)}"


class _Fields:
    """The lines of a narinfo, and how their values are read."""

    def __init__(self, data: bytes, url: str) -> None:
        self._url = url
        self._signatures: list[str] = []
        self._values: Mapping[str, str] = self._read(data)

    def _read(self, data: bytes) -> dict[str, str]:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.wrong("", f"it is no text: byte {error.start}") from error
        values: dict[str, str] = {}
        for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
            found = _LINE.fullmatch(line)
            if not found:
                raise self.wrong("", f"line {number} is {line[:100]!r}, not of the form `Field: value`")
            name, value = found[1], found[2] or ""
            if name == "Sig":
                self._signatures.append(value)
            elif name in values and name in _ONCE:
                raise self.wrong(name, "it is there twice")
            else:
                values[name] = value
        return values

    def get(self, name: str) -> str:
        return self._values.get(name, "")

    def required(self, name: str) -> str:
        if not self.get(name):
            raise self.wrong(name, "it is missing, or empty")
        return self.get(name)

    def path(self, field: str, name: str) -> str:
        if not NIX.is_item(f"{STORE}/{name}"):
            raise self.wrong(field, f"{name[:300]!r} is not the name of an item of {STORE}")
        return f"{STORE}/{name}"

    def references(self) -> tuple[str, ...]:
        names = self.get("References").split()
        if len(set(names)) != len(names):
            raise self.wrong("References", "an item is there twice")
        return tuple(sorted(self.path("References", name) for name in names))

    def url(self) -> str:
        url = self.required("URL")
        if not _URL.fullmatch(url) or any(map(_DOTS.fullmatch, url.partition("?")[0].split("/"))):
            raise self.wrong("URL", f"{url[:300]!r} is not the path of a file of this cache")
        return url

    def digest(self, name: str) -> Digest:
        try:
            return parse_sha256(self.required(name))
        except DigestError as error:
            raise self.wrong(name, str(error)) from error

    def number(self, name: str) -> int:
        if not _NUMBER.fullmatch(self.required(name)):
            raise self.wrong(name, f"{self.get(name)[:100]!r} is no number of bytes")
        return int(self.get(name))

    def signatures(self) -> tuple[str, ...]:
        for signature in self._signatures:
            if not _SIGNATURE.fullmatch(signature):
                raise self.wrong("Sig", f"{signature[:300]!r} is not of the form KEY:BASE64")
        return tuple(sorted(set(self._signatures)))

    def wrong(self, field: str, what: str) -> NarInfoError:
        return NarInfoError(self._url, field, what)


def cache_info(data: bytes, url: str) -> Mapping[str, str]:
    """Read `nix-cache-info`: what a binary cache says about itself.

    Raises:
        NarInfoError: it is none, or the cache is not for `STORE`.
    """
    try:
        lines: Iterable[str] = data.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise NarInfoError(url, "", "it is no text: no binary cache is here") from error
    values = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "StoreDir" not in values:
        raise NarInfoError(url, "StoreDir", "it is missing: no binary cache is here")
    if values["StoreDir"].rstrip("/") != STORE:
        raise NarInfoError(url, "StoreDir", f"the cache is for items of {values['StoreDir'][:300]!r}, not of {STORE}")
    return values
