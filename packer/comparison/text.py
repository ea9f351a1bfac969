"""A comparison as text for people and as JSON for programs."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from packer.comparison.replay import Comparison, Replay, Update
from packer.inspection.text import size_text
from packer.plain import plain
from packer.report import table


def comparison_text(found: Comparison) -> str:
    """Versions, updates, and a table of the strategies."""
    versions = [("version", "items", "size"), *_versions(found)]
    updates = [("update", "items changed", "size", "pulled as they are"), *map(_update, found.updates)]
    parts = [
        table(versions, right=(1, 2)),
        table(updates, right=(1, 2)),
        table(list(rows(found)), right=(1, 2, 3, 4, 5, 6)),
        "Sizes are those of the packages' files; what is pulled as it is is stored, with the layer on top.",
        *(["Docker's own image store pulls all that is above the lowest layer that differs."] if found.stacked else []),
    ]
    return "\n\n".join(parts)


def _versions(found: Comparison) -> Iterator[tuple[str, ...]]:
    for version in found.versions:
        yield plain(version.name), str(len(version.closure)), size_text(version.size)


def _update(update: Update) -> tuple[str, ...]:
    stored = f"{update.stored[0]} blobs, {size_text(update.stored[1])}" if update.stored else ""
    names = f"{plain(update.before.name)} -> {plain(update.after.name)}"
    return names, str(len(update.changed)), size_text(update.size), stored


def rows(found: Comparison) -> Iterator[tuple[str, ...]]:
    """The table of the strategies, with its header."""
    yield "strategy", "max layers", "layers pulled", "pulled", "of changed", "registry", "of different"
    for replay in found.replays:
        yield (
            replay.strategy,
            str(replay.max_layers),
            str(replay.layers),
            size_text(replay.pulled),
            _ratio_text(replay.pulled, found.changed),
            size_text(replay.registry),
            _ratio_text(replay.registry, found.different),
        )


def _ratio_text(size: int, bound: int) -> str:
    return f"{size / bound:.2f}" if bound else "-"


def comparison_json(found: Comparison) -> str:
    """All figures."""
    facts = {
        "version": 1,
        "stacked": found.stacked,
        "versions": [
            {"name": version.name, "items": len(version.closure), "size": version.size} for version in found.versions
        ],
        "updates": [_update_facts(update) for update in found.updates],
        "strategies": [_replay_facts(replay, found) for replay in found.replays],
    }
    return json.dumps(facts, indent=2)


def _update_facts(update: Update) -> dict[str, Any]:
    return {
        "before": update.before.name,
        "after": update.after.name,
        "items-changed": len(update.changed),
        "bytes-changed": update.size,
        "stored": {"blobs": update.stored[0], "bytes": update.stored[1]} if update.stored else None,
    }


def _replay_facts(replay: Replay, found: Comparison) -> dict[str, Any]:
    return {
        "strategy": replay.strategy,
        "max-layers": replay.max_layers,
        "layers-pulled": replay.layers,
        "bytes-pulled": replay.pulled,
        "ratio": _ratio(replay.pulled, found.changed),
        "registry-bytes": replay.registry,
        "registry-ratio": _ratio(replay.registry, found.different),
        "updates": [{"layers-pulled": len(pull.layers), "bytes-pulled": pull.size} for pull in replay.pulls],
    }


def _ratio(size: int, bound: int) -> float | None:
    return round(size / bound, 4) if bound else None


def names(items: Sequence[object], most: int = 3) -> str:
    """The first of some names, and how many there are besides."""
    shown = ", ".join(plain(str(item)) for item in items[:most])
    return f"{shown} and {len(items) - most} more" if len(items) > most else shown
