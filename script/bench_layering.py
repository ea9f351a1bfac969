"""What updates pull: Debian's security updates of real closures, and changes of a store of 400 items."""

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from formats.platform import PLATFORMS
from layers.digest import Digest
from layers.item import Closure, NarItem, StoreItem
from layers.progress import NoProgress
from packer.comparison.replay import Comparison, compare
from packer.comparison.versions import Version
from packer.debian.control import stanzas
from packer.debian.sources import Host, Sources
from packer.report import table
from packer.stores import StoreContext
from packer.stores.debian import DebianStore, Options

_SUITE = "bookworm"
_BUDGETS = (20, 60, 100, 125)
_CLOSURES = {
    "web": ["nginx", "curl", "ca-certificates"],
    "python": ["python3", "python3-venv", "git", "curl", "ca-certificates"],
    "database": ["postgresql", "locales"],
    "compiler": ["build-essential", "git", "cmake"],
    "server": ["systemd", "systemd-sysv", "openssh-server", "vim", "rsync", "cron"],
    "media": ["ffmpeg", "imagemagick"],
}
_TIERS, _SIZE = "tiers", "size"
_MOST = 1.15  # of what changed, on Debian at 100 layers


def layering(packages: Sequence[str]) -> None:
    """Every strategy on updates; ends with an error if tiers pull more than by size, or more than they may."""
    before, after = _sources(security=False), _sources(security=True)
    kinds: dict[str, list[Comparison]] = {"Debian, all at once": [], "Debian, a source at a time": [], "Nix": []}
    for name, wanted in {**_CLOSURES, "all": packages}.items():
        old, new = (_closure(wanted, sources) for sources in (before, after))
        print(f"{name}: {len(old)} packages, of which {len(_changed(old, new))} have a security update")
        kinds["Debian, all at once"].append(_compared([old, new]))
        kinds["Debian, a source at a time"].append(_compared(_one_by_one(old, new)))
    for name in (_leaf(new), _deep(new)):
        print(f"Nix: {len(new)} items, {name} changes")
        kinds["Nix"].append(_compared([_store(new, ""), _store(new, name)]))
    wrong = [fault for kind, found in kinds.items() for fault in _told(kind, found)]
    if wrong:
        sys.exit("\n".join(wrong))


def _told(kind: str, found: Sequence[Comparison]) -> list[str]:
    """Print the sums of some comparisons; what must not be."""
    changed = sum(one.changed for one in found)
    different = sum(one.different for one in found)
    ratios = {}
    lines = [("strategy", "max layers", "pulled by changed", "registry by different")]
    for replays in zip(*(one.replays for one in found), strict=True):
        name, most = replays[0].strategy, replays[0].max_layers
        ratios[name, most] = sum(replay.pulled for replay in replays) / changed
        registry = sum(replay.registry for replay in replays) / different
        lines.append((name, str(most), f"{ratios[name, most]:.2f}", f"{registry:.2f}"))
    print(f"\n{kind}: {sum(len(one.updates) for one in found)} updates\n{table(lines, right=(1, 2, 3))}")
    faults = [
        f"{kind}: tiers pull {ratios[_TIERS, most]:.2f} at {most} layers, and by size {ratios[_SIZE, most]:.2f}"
        for most in _BUDGETS
        if ratios[_TIERS, most] > ratios[_SIZE, most]
    ]
    if kind.startswith("Debian") and ratios[_TIERS, 100] > _MOST:
        faults.append(f"{kind}: tiers pull {ratios[_TIERS, 100]:.2f} at 100 layers, more than {_MOST}")
    return faults


def _compared(closures: Iterable[Closure]) -> Comparison:
    return compare([Version(str(number), closure) for number, closure in enumerate(closures)], _BUDGETS, 100)


def _sources(*, security: bool) -> Sources:
    """The host's sources of the suite, with its security suite or without."""
    found = Host().suite(_SUITE, ["main"])
    [(name, data)] = found.files
    kept = [
        fields
        for fields in stanzas(data.decode(), name)
        if security or not any(suite.endswith("-security") for suite in fields["suites"].split())
    ]
    text = "\n".join("".join(f"{key}: {value}\n" for key, value in fields.items()) for fields in kept)
    return replace(found, files=((name, text.encode()),))


def _closure(packages: Sequence[str], sources: Sources) -> Closure:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ocipack"
    cache.mkdir(parents=True, exist_ok=True)
    context = StoreContext(
        PLATFORMS["x86_64-linux"], str(cache), "/", 1, False, {"PATH": os.environ["PATH"]}, NoProgress()
    )
    return DebianStore(Options(packages=tuple(packages)), context, sources).closure()


def _changed(old: Closure, new: Closure) -> list[StoreItem]:
    known = {item.identity for item in old}
    return [item for item in new if item.identity not in known]


def _one_by_one(old: Closure, new: Closure) -> list[Closure]:
    """The versions between, each with the packages of one source more."""
    now = {item.name: item for item in new}
    items = {item.name: item for item in old}
    found = [old]
    for source in sorted({item.source for item in _changed(old, new)}):
        items |= {name: item for name, item in now.items() if item.source == source}
        found.append(_complete(items.values()))
    return found


def _complete(items: Iterable[StoreItem]) -> Closure:
    """A closure of packages that refer to each other by name, whatever their versions are."""
    paths = {item.name: item.path for item in items}
    return Closure(
        replace(
            item,
            references=tuple(
                sorted({paths[name] for path in item.references if (name := path.partition("_")[0]) in paths})
            ),
        )
        for item in items
    )


def _store(closure: Closure, changed: str) -> Closure:
    """The same graph as a store: what is built with something else is something else."""
    made: dict[str, NarItem] = {}
    for item in closure:
        needs = sorted(made[path].path for path in item.references if path in made)  # circles are cut
        told = f"{item.identity} {needs} {'changed' if item.name == changed else ''}"
        digest = Digest.of(told.encode())
        made[item.path] = NarItem(
            f"/nix/store/{digest.hex[:32]}-{item.name}", item.name, "", digest, item.size, tuple(needs), item.contents,
            nar_hash=digest, nar_size=item.size, deriver="", signatures=(), content_address="", ultimate=False,
            source=item.name,
        )  # fmt: skip
    return Closure(made.values())


def _leaf(closure: Closure) -> str:
    """The largest item that nobody needs."""
    return max((item for item in closure if not closure.referrers[item.path]), key=lambda item: item.size).name


def _deep(closure: Closure) -> str:
    """The item that most others need."""
    return max(closure, key=lambda item: len(closure.referrers[item.path])).name
