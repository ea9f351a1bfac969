"""Packages that are locked: which ones, and where from. Without apt, on any machine; their digests say what is right.

An archive is asked for `ADDRESS/PATH`, where the path is what its index has in the field Filename, and the address is
any mirror's: packages are the same on all of them.
"""

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from layers.digest import Digest
from layers.errors import InputError, PackError
from layers.output import writing_cache
from packer.debian.control import PACKAGE_NAME
from packer.debian.version import VERSION
from packer.fetch import SCHEMES, Fetcher, FetchError, MissingError
from packer.lock import LockedItem

_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]*")
_PART = re.compile(r"(?!\.{1,2}$)[^/\x00-\x20\x7f]{1,255}")
_POOL = "/pool/"
_AGAIN = "`ocipack lock` makes it anew."
_ELSEWHERE = (
    "Set store.mirror to an archive that has it, such as one of snapshots; `ocipack lock --refresh` takes what is there"
    " now."
)


class LockedPackageError(InputError):
    """A lock that has something else than packages."""


class PoolError(PackError):
    """A locked package that no archive has."""


@dataclass(frozen=True, slots=True)
class Download:
    """A .deb that an archive has.

    Attributes:
        file: the name that apt gives it: `bash_5.2.15-2_amd64.deb`, with `%3a` for the colon of an epoch.
        size: in bytes.
        digest: as the signed index says.
        path: where it is in the archive, below the mirror's address; empty if apt does not tell.
    """

    file: str
    size: int
    digest: Digest
    path: str

    @property
    def name(self) -> str:
        """The package."""
        return self.file.partition("_")[0]

    @property
    def version(self) -> str:
        """Of the package."""
        return unquote(self.file.split("_")[1])

    @property
    def architecture(self) -> str:
        """Debian's name, or `all`."""
        return self.file.removesuffix(".deb").rpartition("_")[2]


def path_in_archive(uri: str, addresses: Iterable[str]) -> str:
    """Where a package is in its archive.

    Args:
        uri: of the package, as apt says it.
        addresses: of archives.

    Returns:
        The part behind the longest address that fits; else from the folder `pool` on, or nothing.
    """
    fitting = [base for address in addresses if uri.startswith(base := f"{address.rstrip('/')}/")]
    rest = uri[len(max(fitting, key=len)) :] if fitting else uri[uri.rfind(_POOL) + 1 :] if _POOL in uri else ""
    path = "/".join(part for part in unquote(rest).split("/") if part not in ("", "."))
    return path if _is_path(path) else ""


def lock(downloads: Iterable[Download]) -> list[LockedItem]:
    """Packages as a lock has them.

    Raises:
        PoolError: apt did not tell where one of them is.
    """
    found = []
    for download in downloads:
        if not download.path:
            raise PoolError(
                f"apt has {download.file} from an address that none of the sources begins with",
                hint="Set store.mirror and store.suite in os.toml.",
            )
        found.append(
            LockedItem(
                name=download.name,
                version=download.version,
                architecture=download.architecture,
                path=download.path,
                size=download.size,
                sha256=download.digest.hex,
            )
        )
    return found


def downloads(locked: Iterable[LockedItem]) -> tuple[Download, ...]:
    """The packages of a lock, sorted by file name.

    Raises:
        LockedPackageError: something in it is no package.
    """
    return tuple(sorted((_download(item) for item in locked), key=lambda download: download.file))


def _download(item: LockedItem) -> Download:
    if not PACKAGE_NAME.fullmatch(item.name) or not _ARCHITECTURE.fullmatch(item.architecture):
        raise LockedPackageError(f"os.lock: {item.key!r} is no package of Debian", hint=_AGAIN)
    if not VERSION.fullmatch(item.version) or not _is_path(item.path):
        raise LockedPackageError(
            f"os.lock: {item.name!r} has a version or a path that no package has: {item.version!r}, {item.path!r}",
            hint=_AGAIN,
        )
    file = f"{item.name}_{quote(item.version, safe='+~').replace('%3A', '%3a')}_{item.architecture}.deb"
    return Download(file, item.size, Digest(item.sha256), item.path)


def _is_path(path: str) -> bool:
    return len(path) <= 1024 and all(map(_PART.fullmatch, path.split("/")))


class Pool:
    """Archives, as places of packages that are known already.

    Args:
        addresses: of the archives; those that apt alone can reach are left out.
        fetcher: reaches the others.
    """

    def __init__(self, addresses: Iterable[str], fetcher: Fetcher) -> None:
        self._addresses = [address.rstrip("/") for address in addresses if urlsplit(address).scheme in SCHEMES]
        self.fetcher = fetcher

    def fetch(self, download: Download, folder: str) -> None:
        """Fetch a package into a folder, under its own name.

        Raises:
            PoolError: no archive has it, or one has something else.
            FetchError: an archive cannot be reached.
            OutputError: the folder cannot be written.
        """
        for address in self._addresses:
            url = f"{address}/{quote(download.path)}"
            try:
                with self.fetcher.stream(url, download.size) as pieces:
                    found = _written(pieces, os.path.join(folder, download.file))
            except MissingError:
                continue
            if found != (download.digest, download.size):
                raise FetchError(
                    url,
                    f"it is not what is locked: its digest is {found[0]}, and os.lock says {download.digest}",
                    hint="Try again; if it stays, take another mirror.",
                )
            return
        raise PoolError(self._nowhere(download), hint=_ELSEWHERE)

    def _nowhere(self, download: Download) -> str:
        if not self._addresses:
            return "the sources have no archive that can be reached over http, https or file"
        return f"{download.path} is in no archive of the sources any more"


def _written(pieces: Iterable[bytes], path: str) -> tuple[Digest, int]:
    """The digest and size of what was written."""
    state, size = hashlib.sha256(), 0
    with writing_cache(os.path.dirname(path)), open(path, "wb") as file:
        for piece in pieces:
            state.update(piece)
            size += len(piece)
            file.write(piece)
    return Digest(state.hexdigest()), size
