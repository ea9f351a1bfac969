"""Where apt finds packages, and whose signatures it trusts: the host's, the host's for another suite, or a mirror's.

Sources are a value: what they hold names the private state of apt (see packer.debian.apt), so that other sources never
meet lists that were fetched, and trusted, for these ones.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from layers.digest import Digest
from layers.errors import InputError, PackError
from packer.debian.control import stanzas

#: What a mirror's address has in place of the snapshot's time.
SNAPSHOT_PLACEHOLDER = "@SNAPSHOTID@"

_ETC_APT = "/etc/apt"
_OS_RELEASE = "/etc/os-release"
_KEYRINGS = (
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
)
_SOURCE_FILE = re.compile(r"[A-Za-z0-9_.-]+\.(list|sources)")  # sources.list(5): apt ignores all others
_ROLLING = ("sid", "unstable", "experimental")  # suites without -updates and -security
_NAMES_IN_TIME = ("stable", "oldstable", "testing", "unstable", "sid")
_MAPPED = ("", "-updates", "-security")
_KEPT = ("signed-by", "architectures")  # for another suite: an archive has the same processors in all of them
_LARGEST_KEYRING = 4 << 20


@dataclass(frozen=True, slots=True)
class Sources:
    """What apt reads instead of /etc/apt.

    Attributes:
        files: (name below `etc/`, content) of the lists of sources.
        keyrings: contents of the only keyrings that are trusted; empty: the host's, as the host's sources say.
        valid_until: whether lists that ran out are refused.
    """

    files: tuple[tuple[str, bytes], ...]
    keyrings: tuple[bytes, ...] = ()
    valid_until: bool = True

    @property
    def identity(self) -> Digest:
        """Equal identities read and trust the same sources."""
        named = [name.encode() for name, _ in self.files]
        parts = [*named, *(data for _, data in self.files), *self.keyrings]
        return Digest.of(*(Digest.of(part).hex.encode() for part in parts), b"%d" % self.valid_until)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where the archives are, each once, in the order of the sources."""
        stated = (source for name, data in self.files for source in _stated(name, data))
        return tuple(dict.fromkeys(uri for source in stated for uri in source["uris"].split()))


@dataclass(frozen=True, slots=True)
class Host:
    """What the host has.

    Attributes:
        apt: its apt's folder.
        os_release: says which distribution it is (os-release(5)).
        keyrings: where the keys of Debian's and of Ubuntu's own archives may be.
    """

    apt: str = _ETC_APT
    os_release: str = _OS_RELEASE
    keyrings: tuple[str, ...] = _KEYRINGS

    def sources(self, keyring: str = "") -> Sources:
        """The host's sources to the letter.

        Args:
            keyring: the only one to trust; empty: as the host does.

        Raises:
            InputError: the host has none, or there is no such keyring.
        """
        files = tuple(self._files())
        if not files:
            raise InputError(
                "the host has no sources of Debian packages", hint="Set store.mirror and store.suite in os.toml."
            )
        if not keyring:
            return Sources(files)
        stated = [replaced for name, data in files for replaced in _stated(name, data)]
        return Sources(_written({**source, "signed-by": ""} for source in stated), (_keyring(keyring),))

    def suite(self, suite: str, components: Sequence[str], keyring: str = "") -> Sources:
        """The host's sources of its distribution's own archive, for another suite.

        Args:
            suite: takes the place of the host's codename: `SUITE`, `SUITE-updates`, `SUITE-security`.
            components: to take of it.
            keyring: the only one to trust; empty: as the host does.

        Raises:
            InputError: the host has no such sources, or there is no such keyring.
        """
        facts = self._facts()
        mapped = []
        for name, data in self._files():
            for source in _stated(name, data):
                suites = _mapped(source["suites"].split(), facts.get("VERSION_CODENAME", ""), suite)
                if suites and _is_own(source, facts.get("ID", "debian")):
                    kept = {key: source[key] for key in _KEPT if key in source and not (keyring and key == "signed-by")}
                    mapped.append({**_source(source["uris"], suites, components), **kept})
        if not mapped:
            raise InputError(
                f"store.suite = {suite!r}: the host has no sources of its distribution's own archive to take it from",
                hint="Set store.mirror to the address of an archive that has the suite.",
            )
        return Sources(_written(mapped), (_keyring(keyring),) if keyring else ())

    def mirror(
        self, mirror: str, suites: Sequence[str], components: Sequence[str], *, keyring: str = "", snapshot: str = ""
    ) -> Sources:
        """One mirror and nothing of the host but its keyrings of Debian's and Ubuntu's archives, without another one.

        Args:
            mirror: the archive's address, with `SNAPSHOT_PLACEHOLDER` if there is a snapshot.
            suites: of the archive.
            components: of the suites.
            keyring: the only one to trust; empty: the host's of Debian's and Ubuntu's archives.
            snapshot: a time like `20250520T000000Z`, or empty; lists from back then may have run out.

        Raises:
            InputError: there is no such keyring.
        """
        keyrings = [keyring] if keyring else [path for path in self.keyrings if os.path.exists(path)]
        trusted = tuple(dict.fromkeys(_keyring(path) for path in keyrings))
        source = _source(mirror.replace(SNAPSHOT_PLACEHOLDER, snapshot), suites, components)
        return Sources(_written([source]), trusted, valid_until=not snapshot)

    def _files(self) -> Iterator[tuple[str, bytes]]:
        parts = os.path.join(self.apt, "sources.list.d")
        names = sorted(os.listdir(parts)) if os.path.isdir(parts) else []
        for name in ["sources.list", *(f"sources.list.d/{name}" for name in names if _SOURCE_FILE.fullmatch(name))]:
            try:
                with open(os.path.join(self.apt, name), "rb") as file:
                    data = file.read()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise PackError(f"cannot read {os.path.join(self.apt, name)}: {error.strerror}") from error
            if any(line.strip() and not line.lstrip().startswith(b"#") for line in data.split(b"\n")):
                yield name, data

    def _facts(self) -> Mapping[str, str]:
        try:
            with open(self.os_release, encoding="utf-8") as file:
                lines = [line.partition("=") for line in file]
        except OSError:
            return {}
        return {key.strip(): value.strip().strip("\"'") for key, _, value in lines}


def _stated(name: str, data: bytes) -> list[dict[str, str]]:
    """The sources of a file of either format, as fields (sources.list(5))."""
    text = data.decode("utf-8", "replace")
    if name.endswith(".sources"):
        found = list(stanzas(text, name))
    else:
        found = [source for line in text.split("\n") if (source := _one_line(line))]
    return [
        {"suites": "", "uris": "", **source}
        for source in found
        if "deb" in source.get("types", "").split() and source.get("enabled", "yes").lower() not in ("no", "false", "0")
    ]


_ONE_LINE = re.compile(
    r"(?P<type>deb)\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>.*)"
)
_OPTION_NAMES = {"arch": "architectures"}


def _one_line(line: str) -> dict[str, str]:
    found = _ONE_LINE.fullmatch(line.partition("#")[0].strip())
    if not found:
        return {}
    options = [option.partition("=") for option in (found["options"] or "").split()]
    return {
        "types": "deb",
        "uris": found["uri"],
        "suites": found["suite"],
        "components": found["components"].strip(),
        **{_OPTION_NAMES.get(key, key): value.replace(",", " ") for key, _, value in options},
    }


def _is_own(source: Mapping[str, str], distribution: str) -> bool:
    """Whether a source is the distribution's own archive: signed with its keyring, or else laid out like it."""
    signed_by = source.get("signed-by", "")
    if signed_by:
        return any(os.path.basename(path).startswith(f"{distribution}-archive") for path in signed_by.split())
    folders = {folder for uri in source["uris"].split() for folder in uri.split("/")}
    return "main" in source.get("components", "").split() and bool(
        folders & {distribution, f"{distribution}-security", f"{distribution}-ports"}
    )


def _mapped(suites: Iterable[str], codename: str, suite: str) -> list[str]:
    pockets = []
    for name in suites:
        base, dash, pocket = name.partition("-")
        if base in (codename, *_NAMES_IN_TIME) and dash + pocket in _MAPPED:
            pockets.append(dash + pocket)
    return [suite + pocket for pocket in dict.fromkeys(pockets) if not pocket or suite not in _ROLLING]


def _source(uris: str, suites: Iterable[str], components: Iterable[str]) -> dict[str, str]:
    return {"types": "deb", "uris": uris, "suites": " ".join(suites), "components": " ".join(components)}


def _written(sources: Iterable[Mapping[str, str]]) -> tuple[tuple[str, bytes], ...]:
    text = "\n".join(
        "".join(f"{key}: {_folded(value)}\n" for key, value in source.items() if value) for source in sources
    )
    return (("sources.list.d/ocipack.sources", text.encode()),)


def _folded(value: str) -> str:
    return value.replace("\n", "\n ")


def _keyring(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST_KEYRING + 1)
    except OSError as error:
        raise InputError(f"store.signed-by: cannot read {path}: {error.strerror}") from error
    if not data or len(data) > _LARGEST_KEYRING:
        raise InputError(f"store.signed-by: {path} is no keyring: it is empty, or larger than {_LARGEST_KEYRING} bytes")
    return data
