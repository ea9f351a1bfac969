"""Scripts that somebody has read: what nobody has read may do what is not done here, and whoever builds is told so.

What of a maintainer script was written by hand is its *residue*: the script without comments, without the blocks that
debhelper's tools have added (each does one known thing, and a module here does the same), and without what is around
them. `reviewed.txt` holds the SHA-256 of residues that were read and found to do nothing that a root needs and that is
not done here; a new version of a package rarely changes its residue. `script/review` shows residues and adds them.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from importlib import resources

from layers.digest import Digest
from packer.debian.scripts import Script, programs
from packer.debian.unpacked import Unpacked
from packer.skipped import Skipped

TABLE = "reviewed.txt"

NAMES = ("preinst", "postinst")
_REASON = "nobody has reviewed it"

# What these tools add is done here, or is for upgrades (dh_installdeb), for caches that programs make themselves
# (dh_python3, dh_installxmlcatalogs, dh_icons), or for another init (dh_runit).
_TOOLS = frozenset((
    "dh_apparmor", "dh_icons", "dh_installalternatives", "dh_installcatalogs", "dh_installdeb",
    "dh_installdebconf", "dh_installdocs", "dh_installinit", "dh_installmenu", "dh_installnss",
    "dh_installsystemd", "dh_installsystemduser", "dh_installsysusers", "dh_installtmpfiles", "dh_installudev",
    "dh_installxmlcatalogs", "dh_makeshlibs", "dh_nginx", "dh_python3", "dh_runit", "dh_systemd_enable",
    "dh_systemd_start", "dh_ucf",
))  # fmt: skip
_BLOCK = re.compile(r"# Automatically added by (\w+)(?:/\S+)?\n.*?# End automatically added section\n?", re.DOTALL)
_KERNEL = re.compile(r"linux-(?:image|modules|modules-extra)-(\d.*?)(?:-unsigned)?")
_COMMENT = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
_AROUND = re.compile(
    r"set -\w+|exit 0|:|true|;;|esac|fi|done|\}|\{|then|else|case [\"']?\$1[\"']? in|umask 0?22|db_stop|"
    r"\. /usr/share/debconf/confmodule|db_version 2\.0|"
    r"\(?[a-z|\\ -]+\)|\*\)|action=[\"']?\$1[\"']?|if \[ [\"']?\$1[\"']? = [\"']?[a-z-]+[\"']? \]\s*(; ?then)?|"
    r"echo [\"'](?:\w+ )?postinst called with unknown argument.*|exit 1"
)


def residue(script: Script) -> str:
    """What of a script was written by hand, a command a line; empty if that does nothing."""
    text = _BLOCK.sub(lambda block: "" if block[1] in _TOOLS else block[0], script.text)
    if kernel := _KERNEL.fullmatch(script.package):
        text = text.replace(kernel[1], "VERSION")  # each of them is a package of its own
    lines = [" ".join(line.split()) for line in _COMMENT.sub("", text).split("\n")]
    kept = [line for line in lines if line]
    return "\n".join(kept) + "\n" if any(not _AROUND.fullmatch(line) for line in kept) else ""


def digest(text: str) -> str:
    """What the table knows a residue by."""
    return Digest.of(text.encode(errors="surrogateescape")).hex


@cache
def reviewed() -> frozenset[str]:
    """The digests of all residues that were reviewed."""
    text = resources.files(__package__).joinpath(TABLE).read_text(encoding="utf-8")
    return frozenset(line.split()[0] for line in text.splitlines() if line and not line.startswith("#"))


def unknown(scripts: Iterable[Script]) -> Iterator[tuple[Script, str]]:
    """The scripts that nobody has reviewed, with their residues."""
    for script in scripts:
        left = residue(script)
        if left and digest(left) not in reviewed():
            yield script, left


def skipped(unpacked: Unpacked) -> tuple[Skipped, ...]:
    """What modules have left out, and scripts that nobody has reviewed with the programs that they call; sorted."""
    found = set(unpacked.skipped)
    for script, left in unknown(unpacked.scripts(*NAMES)):
        called = ", ".join(programs(Script(script.package, script.name, left)))
        found = {_unreviewed(one, script) for one in found}
        found.add(Skipped(script.package, script.name, called or "no program", _REASON, is_reviewed=False))
    return tuple(sorted(found))


def _unreviewed(one: Skipped, script: Script) -> Skipped:
    is_its_own = (one.package, one.script) == (script.package, script.name)
    return replace(one, is_reviewed=False) if is_its_own else one
