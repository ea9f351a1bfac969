"""PAM: /etc/pam.d/common-* and /var/lib/pam, as pam-auth-update(8) makes them of the packages' profiles.

A profile, /usr/share/pam-configs/NAME, has fields. For each type of stack (Auth, Account, Password, Session) it says in
which block its lines stand, and which lines these are:

    Auth-Type: Primary                                              or Additional
    Auth:
        [success=end default=ignore]  pam_unix.so try_first_pass    `end`: as many modules as are left in the block
    Auth-Initial:
        [success=end default=ignore]  pam_unix.so                   in place of Auth, for the first one of a block

Profiles stand by falling Priority, those of one priority by falling name.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from layers.entry import Data, Entry, File
from packer.debian.scripts import Script, commands
from packer.debian.unpacked import Unpacked

TEMPLATES = "/usr/share/pam"
PROFILES = "/usr/share/pam-configs"

_TYPES = ("auth", "account", "password", "session", "session-noninteractive")
_PRIMARY, _ADDITIONAL = "Primary", "Additional"
_MARKS = {
    _PRIMARY: ('# here are the per-package modules (the "Primary" block)\n', "# here's the fallback if no module"),
    _ADDITIONAL: ('# and here are more per-package modules (the "Additional" block)\n', "# end of pam-auth-update"),
}
_PERMIT = "[default=1]\t\t\tpam_permit.so"  # keeps a stack without primary modules whole
_INVALID = "pam_tally"  # a module that is gone: its profiles are passed over

_FIELD = re.compile(r"(\S+):\s+(.*?)\s*")
_LINE = re.compile(r"((?:\[[^]]+\]|\w+)\s+\S+)\s*(.*)")
_ORIGIN = Script("libpam-runtime", "pam-auth-update", "")


@dataclass(frozen=True, slots=True)
class Profile:
    """A package's profile.

    Attributes:
        name: of the file.
        fields: the value of each field; lines of a list are joined by newlines.
    """

    name: str
    fields: Mapping[str, str]

    @classmethod
    def parse(cls, name: str, text: str) -> "Profile":
        """Read a profile."""
        fields: dict[str, str] = {}
        current = ""
        for line in text.split("\n"):
            if match := _FIELD.fullmatch(line + "\n"):
                current = match[1].removesuffix("-Final")  # an old name of the same
                fields[current] = match[2]
            elif line.strip():
                fields[current] = f"{fields.get(current, '')}\n{line.strip()}".lstrip()
        return cls(name, fields)

    @property
    def order(self) -> tuple[int, str]:
        """What profiles are sorted by, falling."""
        priority = self.fields.get("Priority", "").strip()
        return int(priority) if re.fullmatch(r"-?[0-9]{1,9}", priority) else 0, self.name

    @property
    def conflicts(self) -> Sequence[str]:
        """Profiles that this one goes before."""
        return self.fields.get("Conflicts", "").split(", ")

    def block(self, kind: str) -> str:
        """In which block of a stack its lines stand; empty for none."""
        if kind == "session-noninteractive" and "Session-Interactive-Only" in self.fields:
            return ""
        return self.fields.get(f"{_field(kind)}-Type", "").strip()

    def lines(self, kind: str, *, first: bool) -> Sequence[str]:
        """Its lines in a stack."""
        usual = self.fields.get(_field(kind), "")
        chosen = self.fields.get(f"{_field(kind)}-Initial") if first else ""
        return [line for line in (chosen or usual).split("\n") if line]


def entries(unpacked: Unpacked) -> Iterator[Entry]:
    """The stacks, and what pam-auth-update remembers of them; nothing without libpam-runtime."""
    profiles = _profiles(unpacked)
    templates = {kind: unpacked.text(f"{TEMPLATES}/common-{kind}") for kind in _TYPES}
    if not profiles or not any(templates.values()):
        return
    enabled = _enabled(unpacked, profiles)
    for kind, template in templates.items():
        if template is not None:
            stack = configured(template, kind, enabled)
            if stack is None:
                unpacked.skip(_ORIGIN, f"common-{kind}", "its template has not the marks of the two blocks")
                continue
            yield _file(f"etc/pam.d/common-{kind}", stack)
            yield _file(f"var/lib/pam/{kind}", _remembered(kind, enabled))
    yield _file("var/lib/pam/seen", "".join(f"{profile.name}\n" for profile in profiles))


def _profiles(unpacked: Unpacked) -> Sequence[Profile]:
    """All profiles but damaged ones, in their order."""
    found = []
    for file in unpacked.files(PROFILES, ""):
        name = file.path.rpartition(b"/")[2].decode(errors="surrogateescape")
        text = unpacked.text(file.path) or ""
        if not name.endswith("~") and _INVALID not in text:
            found.append(Profile.parse(name, text))
    return sorted(found, key=lambda profile: profile.order, reverse=True)


def _enabled(unpacked: Unpacked, profiles: Sequence[Profile]) -> Sequence[Profile]:
    """Those that are on by default, or that a package's postinst enables; of two in conflict the first."""
    asked: set[str] = set()
    for script in unpacked.scripts("postinst"):
        for command in commands(script, "pam-auth-update"):
            if "--enable" in command.words:
                asked.update(command.words[command.words.index("--enable") + 1 :])
    chosen: list[Profile] = []
    for profile in profiles:
        wanted = profile.name in asked or profile.fields.get("Default", "").strip() == "yes"
        if wanted and not any(profile.name in other.conflicts for other in chosen):
            chosen.append(profile)
    return chosen


def configured(template: str, kind: str, enabled: Sequence[Profile]) -> str | None:
    """A stack: its template with the lines of the profiles in both blocks; None for a template that has no blocks."""
    for block, (start, end) in _MARKS.items():
        before, found, rest = template.partition(start)
        _, also, after = rest.partition(end)
        if not found or not also:
            return None
        template = before + start + "".join(_block(block, kind, enabled)) + end + after
    return template


def _block(block: str, kind: str, enabled: Sequence[Profile]) -> Iterator[str]:
    base = kind.removesuffix("-noninteractive")
    lines = [line for _, each in _stacked(block, kind, enabled) for line in each]
    if block == _PRIMARY and not lines:
        yield f"{base}\t{_PERMIT}\n"
    left = len(lines) - (block == _ADDITIONAL)  # nothing may jump over the end of the stack
    for line in lines:
        match = _LINE.fullmatch(line)
        module, options = (match[1], match[2]) if match else (line, "")
        yield f"{base}\t{module.replace('end', str(left))} {' '.join(options.split())}\n"
        left -= 1


def _stacked(block: str, kind: str, enabled: Sequence[Profile]) -> Iterator[tuple[str, Sequence[str]]]:
    """Name and lines of the profiles in a block."""
    inside = [profile for profile in enabled if profile.block(kind) == block]
    for profile in inside:
        yield profile.name, profile.lines(kind, first=profile is inside[0])


def _remembered(kind: str, enabled: Sequence[Profile]) -> str:
    primary = list(_stacked(_PRIMARY, kind, enabled)) or [("null", [_PERMIT])]
    modules = [*primary, *_stacked(_ADDITIONAL, kind, enabled)]
    return "".join(f"Module: {name}\n" + "".join(f"{line}\n" for line in lines) for name, lines in modules if lines)


def _field(kind: str) -> str:
    return kind.removesuffix("-noninteractive").capitalize()


def _file(path: str, text: str) -> File:
    return File(path.encode(), Data(text.encode(errors="surrogateescape")))
