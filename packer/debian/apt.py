"""A private apt: it finds out which packages are needed, and fetches them, without touching the host's apt.

    FOLDER/IDENTITY/         one for each set of sources and architecture
        lock                 held while anything below is used
        etc/ apt.conf        written anew whenever apt runs
        lists/               what the archives offer; never there in part
        lists.old/           only while lists are fetched: what was there before
        resolved/KEY         which packages a declaration stands for, as long as the lists stay the same
        work/                files in the making; emptied by whoever holds the lock

apt checks the archives' signatures and the packages' digests, and it reads the host's proxies and credentials; nothing
else of the host's configuration has a say. It sees a system on which nothing is installed.
"""

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence

from layers.cache import CacheFolder, Kept, mark_used
from layers.digest import Digest
from layers.errors import PackError
from layers.output import PendingFile, writing_cache
from layers.progress import Progress
from packer.debian.apt_error import AptError, FullDiskError, UnknownPackageError, explained
from packer.debian.pool import Download, path_in_archive
from packer.debian.sources import Sources
from packer.similar import near

_FORMAT = 3  # of what is kept of a resolution
_HOST_TRUST = ("/etc/apt/trusted.gpg", "/etc/apt/trusted.gpg.d/")
_HOST_CREDENTIALS = (("netrc", "/etc/apt/auth.conf"), ("netrcparts", "/etc/apt/auth.conf.d/"))
_MOST_SUGGESTIONS = 3
_ESSENTIAL = "?essential"  # apt-patterns(7)
_METHODS = "/usr/lib/apt/methods"
_ARMOUR = b"-----BEGIN PGP"

_SETTING = re.compile(r'(Acquire::[A-Za-z0-9_:./*@\[\]-]+) "([^"]+)";')
_NOT_TAKEN = re.compile(
    r"Acquire::(?:IndexTargets|Changelogs|Languages|CompressionTypes|GzipIndexes|PDiffs|ForceHash|cdrom"
    r"|Allow\w+Repositories)\b",
    re.IGNORECASE,
)
_URI_LINE = re.compile(r"'(?P<uri>[^']*)' (?P<file>\S+) (?P<size>[0-9]+) SHA256:(?P<digest>[0-9a-f]{64})")
_DEB_NAME = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]+)_(?P<version>[0-9A-Za-z.+~%-]+)_(?P<architecture>[a-z0-9-]+)\.deb"
)
_IDENTITY = re.compile(r"[0-9a-f]{32}")
_FETCHING = re.compile(r"Get:[0-9]+ .* (?P<name>\S+) \S+ \S+ \[[^\]]*\]")


class Apt:
    """A private apt. Everything but the constructor needs `locked`.

    Args:
        folder: an existing one, for all of them.
        sources: what it reads.
        architecture: Debian's name; there are no others.
        environment: variables that apt may see: where programs are, and how the network is reached.
    """

    def __init__(self, folder: str, sources: Sources, architecture: str, environment: Mapping[str, str]) -> None:
        self._sources = sources
        self._environment = {**environment, "LC_ALL": "C"}
        self._architecture = architecture
        self._identity = Digest.of(f"{sources.identity} {architecture}".encode())
        self._folder = os.path.join(folder, self._identity.hex[:32])
        self._lists = self._path("lists")
        self._lists_before = self._path("lists.old")
        #: A folder for files in the making, emptied when the lock is taken.
        self.work = self._path("work")

    def _path(self, *names: str) -> str:
        return os.path.join(self._folder, *names)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Have this state to oneself; waits for another process that has it.

        Raises:
            OutputError: the cache cannot be written.
        """
        with writing_cache(self._folder):
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            lock = os.open(self._path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with writing_cache(self._folder):
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._empty_work()
                self._restore()
            yield
        finally:
            with contextlib.suppress(OSError):
                self._empty_work()  # what did not get into the cache takes room, and nobody looks at it again
            os.close(lock)

    def _empty_work(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if not os.listdir(self.work):
                return
            shutil.rmtree(self.work)
        os.makedirs(self.work, mode=0o700)

    def _restore(self) -> None:
        """Lists that were being fetched when somebody was stopped are dropped for those from before."""
        if not os.path.isdir(self._lists_before):
            return
        if os.path.isdir(self._lists):
            shutil.rmtree(self._lists)
        if os.listdir(self._lists_before):
            os.rename(self._lists_before, self._lists)
        else:
            os.rmdir(self._lists_before)

    @property
    def has_lists(self) -> bool:
        """Whether lists were fetched before."""
        return os.path.isdir(self._lists)

    def update(self) -> None:
        """Fetch the lists; those from before stay if that fails.

        Raises:
            SignatureError: a list is not signed by somebody who is trusted.
            MirrorError: an archive cannot be reached, or does not have what it should.
            PackError: there is no apt, or it failed.
        """
        with writing_cache(self._folder):
            if self.has_lists:
                os.rename(self._lists, self._lists_before)
            else:
                os.makedirs(self._lists_before, exist_ok=True)
        try:
            with writing_cache(self._folder):
                self._copy_lists()
            self._run("fetching the lists of packages", "apt-get", "-q", "update")
            with writing_cache(self._folder):
                os.rename(self._lists_before, os.path.join(self.work, "lists.old"))
                shutil.rmtree(os.path.join(self.work, "lists.old"))
        except BaseException:
            self._restore()
            raise

    def _copy_lists(self) -> None:
        """Link the lists to where they may be replaced: apt asks the archives only for what changed."""
        os.makedirs(os.path.join(self._lists, "partial"), mode=0o700)
        for entry in os.scandir(self._lists_before):
            if entry.is_file(follow_symlinks=False):
                os.link(entry.path, os.path.join(self._lists, entry.name))

    def resolve(self, packages: Sequence[str], *, recommends: bool, essential: bool = False) -> tuple[Download, ...]:
        """All packages that are needed to have some, sorted by file name; needs lists.

        Args:
            packages: `name`, `name=version` or `name/suite`; their order does not matter.
            recommends: whether recommended packages are needed too.
            essential: whether the packages that archives mark as essential are needed too.

        Raises:
            UnknownPackageError: one of them does not exist.
            UnmetError: they cannot be installed together.
            PackError: there is no apt, or it failed.
        """
        mark_used(self._path("lock"))
        asked = sorted(set(packages))
        facts = [_FORMAT, self._identity.hex, self._lists_identity(), asked, recommends, essential]
        key = Digest.of(json.dumps(facts).encode()).hex
        known = self._resolved(key)
        if known:
            return known
        setting = f"APT::Install-Recommends={str(recommends).lower()}"
        try:
            also = (_ESSENTIAL,) if essential else ()
            arguments = ("-q", "-o", setting, "--print-uris", "install", "--", *asked, *also)
            lines = self._run("finding out what the packages need", "apt-get", *arguments)
            found = _downloads(lines, asked, self._sources.addresses)
        except UnknownPackageError as error:
            raise self._with_suggestions(error) from error
        self._keep_resolved(key, found)
        return found

    def _lists_identity(self) -> str:
        """Changes whenever the lists do: Release names the digests of all others."""
        facts = []
        with writing_cache(self._lists):
            for name in sorted(os.listdir(self._lists)):
                path = os.path.join(self._lists, name)
                if name.endswith("Release"):
                    with open(path, "rb") as file:
                        facts.append([name, Digest.of(file.read()).hex])
                elif os.path.isfile(path):
                    facts.append([name, str(os.stat(path).st_size)])
        return Digest.of(json.dumps(facts).encode()).hex

    def _resolved(self, key: str) -> tuple[Download, ...]:
        try:
            with open(self._path("resolved", key), "rb") as file:
                facts = json.load(file)
            return tuple(Download(name, size, Digest.parse(digest), path) for name, size, digest, path in facts)
        except (OSError, ValueError, TypeError, PackError):
            return ()

    def _keep_resolved(self, key: str, found: Sequence[Download]) -> None:
        with writing_cache(self._folder):
            os.makedirs(self._path("resolved"), mode=0o700, exist_ok=True)
        facts = [[download.file, download.size, str(download.digest), download.path] for download in found]
        with PendingFile(self._path("resolved")) as file:
            file.write(json.dumps(facts).encode())
            file.publish(key, mode=0o600, durable=False)

    def _with_suggestions(self, error: UnknownPackageError) -> UnknownPackageError:
        if not error.names:
            return error
        known = self._run("listing the packages", "apt-cache", "pkgnames")
        likely = [name for name in known if name[:1] in {asked[0] for asked in error.names}]
        close = dict.fromkeys(name for asked in error.names for name in near(asked, likely, _MOST_SUGGESTIONS))
        hint = f"Did you mean {' or '.join(close)}?" if close else "See store.suite and store.components."
        return UnknownPackageError(error.args[0], names=error.names, hint=hint)

    def download(self, wanted: Sequence[Download], progress: Progress) -> None:
        """Fetch packages, each into `work` under its own name.

        Args:
            wanted: at least one.
            progress: is told when a package begins to arrive.

        Raises:
            GoneError: one of them is not there any more: `update` and `resolve` again.
            MirrorError: an archive cannot be reached, or sent something else.
            PackError: there is no apt, or it failed.
        """
        sizes = {download.name: download.size for download in wanted}

        def watch(line: str) -> None:
            found = _FETCHING.fullmatch(line)
            if found and found["name"] in sizes:
                progress.advance(found["name"], sizes.pop(found["name"]))

        progress.begin("download", sum(sizes.values()))
        asked = [f"{download.name}={download.version}" for download in wanted]
        self._run("fetching packages", "apt-get", "-q", "download", "--", *asked, folder=self.work, watch=watch)
        for name, size in sizes.items():
            progress.advance(name, size)
        progress.end()
        missing = [download.file for download in wanted if not os.path.exists(os.path.join(self.work, download.file))]
        if missing:
            raise AptError(f"apt did not fetch {', '.join(missing)}")

    def _run(
        self, task: str, *command: str, folder: str = "/", watch: Callable[[str], None] = lambda _: None
    ) -> list[str]:
        with writing_cache(self._folder):
            self._configure()
        environment = {**self._environment, "APT_CONFIG": self._path("apt.conf"), "TMPDIR": self.work}
        lines, status = _output(command, environment, folder, watch)
        # Old versions of apt only warn about lists that they could not fetch.
        if status or (command[-1] == "update" and any(line.startswith("W: Failed to fetch") for line in lines)):
            error = explained(lines, task)
            if isinstance(error, FullDiskError):  # apt says it of each file, and of none where it is
                with writing_cache(self._folder):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise error
        return lines

    def _configure(self) -> None:
        shutil.rmtree(self._path("etc"), ignore_errors=True)
        for name in ("etc/sources.list.d", "etc/trusted.gpg.d", "etc/empty", "cache/archives/partial"):
            os.makedirs(self._path(name), mode=0o700, exist_ok=True)
        for name, data in (("status", b""), ("apt.conf", self._configuration().encode())):
            _put(self._path(name), data)
        for name, data in self._sources.files:
            _put(self._path("etc", name), data)
        for number, data in enumerate(self._sources.keyrings):
            suffix = "asc" if data.lstrip().startswith(_ARMOUR) else "gpg"
            _put(self._path("etc/trusted.gpg.d", f"{number}.{suffix}"), data)

    def _configuration(self) -> str:
        if any(character in self._folder for character in '"\n\\'):
            raise PackError(
                f"apt cannot work in a folder of this name: {self._folder}",
                hint="XDG_CACHE_HOME names another place for the cache.",
            )
        own = (self._path("etc/trusted.gpg"), self._path("etc/trusted.gpg.d/"))
        trusted, trusted_parts = own if self._sources.keyrings else _HOST_TRUST
        settings = {
            "Dir": self._path(""),
            "Dir::Etc": self._path("etc/"),
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": self._path("etc/empty/"),
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": self._path("etc/empty/"),
            "Dir::Etc::trusted": trusted,
            "Dir::Etc::trustedparts": trusted_parts,
            **{f"Dir::Etc::{key}": path for key, path in _HOST_CREDENTIALS if os.access(path, os.R_OK)},
            "Dir::State": self._path(""),
            "Dir::State::lists": self._path("lists/"),
            "Dir::State::status": self._path("status"),
            "Dir::Cache": self._path("cache/"),
            "Dir::Cache::srcpkgcache": "",  # as large as the other cache, and of no use to us
            "Dir::Log": self._path(""),
            "Dir::Bin::methods": _METHODS,
            "Debug::NoLocking": "true",
            "APT::Architecture": self._architecture,
            "APT::Sandbox::User": "root",  # as root, stay root; others stay who they are
            "APT::Get::Assume-Yes": "true",
            "APT::Install-Suggests": "false",
            # A share of machines, by their ids, gets some updates before others do: here nobody is to wait.
            "APT::Get::Always-Include-Phased-Updates": "true",
            "APT::Cmd::Pattern-Only": "true",  # a name that does not exist is no regular expression
            "APT::Update::Error-Mode": "any",
            "Acquire::AllowInsecureRepositories": "false",
            "Acquire::AllowWeakRepositories": "false",
            "Acquire::AllowDowngradeToInsecureRepositories": "false",
            "Acquire::Languages": "none",
            "Acquire::PDiffs": "false",
            "Acquire::ForceHash": "SHA256",
            **({} if self._sources.valid_until else {"Acquire::Check-Valid-Until": "false"}),
        }
        stated = "".join(f'{key} "{value}";\n' for key, value in settings.items())
        return f'{_host_settings(self._environment)}{stated}APT::Architectures {{ "{self._architecture}"; }};\n'


def kept(folder: CacheFolder) -> Iterator[Kept]:
    """The sets of lists of a folder of the cache; see `layers.cache.Keeper`. apt checked them when it fetched them."""
    for found in folder.found():
        if found.is_folder and _IDENTITY.fullmatch(found.name):
            below = folder.below(found.name)
            files = {file.name: file for file in below.found()}
            yield Kept("lists of packages", (found.path,), below.size, files.get("lock", found).used)


def _downloads(lines: Sequence[str], asked: Sequence[str], addresses: Sequence[str]) -> tuple[Download, ...]:
    found = []
    for line in lines:
        if line.startswith("'"):
            match = _URI_LINE.fullmatch(line)
            if not match or not _DEB_NAME.fullmatch(match["file"]):
                raise AptError(f"apt names a package without a SHA-256, or by a name that is none: {line[:200]}")
            path = path_in_archive(match["uri"], addresses)
            found.append(Download(match["file"], int(match["size"]), Digest(match["digest"]), path))
    names = {download.name for download in found}
    for name in asked:
        if name.endswith("+") and name not in names:  # apt takes `x+` for `x`, if there is no package of that name
            raise UnknownPackageError(f"there is no package {name!r} in the archive", names=(name,))
    if not found:
        raise AptError("apt found nothing to install for " + ", ".join(asked))
    return tuple(sorted(found, key=lambda download: download.file))


def _host_settings(environment: dict[str, str]) -> str:
    """How the host's apt reaches archives: proxies, timeouts, checks of dates, one setting a line."""
    lines, status = _output(("apt-config", "dump"), environment, "/", lambda _: None)
    if status:
        raise explained(lines, "reading the host's apt configuration")
    taken = [match for line in lines if (match := _SETTING.fullmatch(line)) and not _NOT_TAKEN.match(line)]
    return "".join(f'{match[1]} "{match[2]}";\n' for match in taken)


def _output(
    command: Sequence[str], environment: dict[str, str], folder: str, watch: Callable[[str], None]
) -> tuple[list[str], int]:
    """What a program says, line by line, and its exit code; control characters are made visible."""
    try:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
    except FileNotFoundError as error:
        raise PackError(
            f"{command[0]} is not installed on this machine",
            hint="The Debian store needs apt: it is a package of Debian, Ubuntu and most other distributions.",
        ) from error
    lines = []
    with process:
        try:
            for line in process.stdout or ():
                clean = "".join(character if character.isprintable() else "?" for character in line.rstrip())
                lines.append(clean)
                watch(clean)
        except BaseException:
            process.terminate()
            raise
    return lines, process.returncode


def _put(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
