"""What apt complains about, as our errors: the lines that say why, without those that say it again."""

import re
from collections.abc import Sequence

from layers.errors import InputError, PackError

_MOST_LINES = 12


class AptError(PackError):
    """apt failed."""


class SignatureError(AptError):
    """An archive's index is not signed by a key that is trusted."""


class MirrorError(AptError):
    """An archive cannot be reached, or does not have what it should have."""


class GoneError(MirrorError):
    """A package that the lists name is not there any more: the lists are old."""


class FullDiskError(AptError):
    """There is no room where apt writes."""


class UnmetError(AptError):
    """Packages that cannot be installed together."""


class UnknownPackageError(InputError):
    """Packages that no archive has.

    Attributes:
        names: of the packages that are not known at all.
    """

    def __init__(self, message: str, *, names: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.names = names


_UNKNOWN = re.compile(r"E: Unable to locate package (\S+)")
_UNAVAILABLE = re.compile(
    r"E: (?:Unable to locate package|Package '.*' has no installation candidate"
    r"|(?:Version|Release) '.*' for '.*' was not found|Couldn't find any package)"
)
_UNMET = "The following packages have unmet dependencies:"

_SIGNED_BY = "Set store.signed-by to the keyring that the archive is signed with."
_KINDS: tuple[tuple[str, type[AptError], str, str], ...] = (
    (
        r"No space left on device|enough free space",
        FullDiskError,
        "the disk is full",
        "",
    ),
    (
        (
            r"NO_PUBKEY|BADSIG|EXPKEYSIG|REVKEYSIG|ERRSIG|NODATA|NOSPLIT|signatures? (?:were|was) invalid|not signed"
            r"|no longer signed|be verified because|signature verification|Missing key|Clearsigned file"
        ),
        SignatureError,
        "the archive's signature is missing or not to be trusted",
        _SIGNED_BY,
    ),
    (
        r"Release file for .* (?:is expired|is not valid yet)",
        MirrorError,
        "the archive's index ran out, or is from the future",
        "For an archive of old packages set store.snapshot.",
    ),
    (
        r"Hash Sum mismatch|unexpected size|Hashes of",
        MirrorError,
        "the archive sent something else than its index says",
        "Try again; if it stays, take another mirror.",
    ),
    (
        r"(?:does not have|no longer has) a Release file|doesn't have the component",
        MirrorError,
        "the archive does not have the suite, or is not where it should be",
        "See store.mirror, store.suite and store.components.",
    ),
    (
        r"Failed to fetch \S+\.deb .*(?:404|410|File not found)",
        GoneError,
        "the archive does not have a package any more that its index names",
        "",
    ),
    (
        r"Failed to fetch \S+/binary-[a-z0-9-]+/Packages\S* .*(?:404|410|File not found)",
        MirrorError,
        "the archive does not have the lists of packages for this processor",
        (
            "Ubuntu has amd64 and i386 in one archive and all others in its ports: set store.mirror and store.suite, or"
            " name both in the host's sources, each with its Architectures."
        ),
    ),
    (
        r"Failed to fetch|Could not (?:connect|resolve)|Temporary failure|Unable to connect|method driver",
        MirrorError,
        "the archive cannot be reached",
        "See store.mirror, or the host's sources and proxy.",
    ),
)


def explained(lines: Sequence[str], task: str) -> PackError:
    """The error that apt's output tells of.

    Args:
        lines: all that it said.
        task: what it was to do, for the message when nothing in its output is known.
    """
    if any(_UNAVAILABLE.match(line) for line in lines):
        return _unknown(lines)
    if _UNMET in lines:
        reasons = lines[lines.index(_UNMET) + 1 :]
        return UnmetError(
            "the packages cannot be installed together:" + _listed([line for line in reasons if line[:1] == " "])
        )
    complaints = [line for line in lines if line[:2] in ("E:", "W:")] or list(lines)
    text = "\n".join(complaints)
    for pattern, kind, message, hint in _KINDS:
        if re.search(pattern, text):
            matching = [line for line in complaints if re.search(pattern, line)]
            return kind(message + ":" + _listed(_stripped(matching)), hint=hint)
    return AptError(f"{task} failed:" + _listed(_stripped(complaints) or ["it did not say why"]))


def _unknown(lines: Sequence[str]) -> UnknownPackageError:
    names = tuple(dict.fromkeys(match[1] for line in lines if (match := _UNKNOWN.match(line))))
    said = [line for line in lines if _UNAVAILABLE.match(line) and "find any package" not in line]
    if len(said) == len(names) == 1:
        return UnknownPackageError(f"there is no package {names[0]!r} in the archive", names=names)
    return UnknownPackageError("the archive does not have what was asked for:" + _listed(_stripped(said)), names=names)


def _stripped(lines: Sequence[str]) -> list[str]:
    return [line[2:].strip() if line[:2] in ("E:", "W:") else line for line in lines]


def _listed(lines: Sequence[str]) -> str:
    unique = list(dict.fromkeys(line.strip() for line in lines))
    more = [f"… and {len(unique) - _MOST_LINES} more"] if len(unique) > _MOST_LINES else []
    return "".join(f"\n  {line}" for line in unique[:_MOST_LINES] + more)
