"""Results as text for people and as JSON for programs."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from packer.plain import plain, plain_lines

if TYPE_CHECKING:
    from formats.format import Artefact
    from layers.cache import Kept
    from packer.build import Output, Production
    from packer.registry.push import Pushed
    from packer.sbom import SbomFile
    from packer.tables.types import Kind
    from packer.verify import Verdict

_CUSTOMIZATION = "customization"


def artefacts_json(artefacts: "Sequence[tuple[Output, Artefact]]", sboms: "Sequence[SbomFile]" = ()) -> str:
    """What was made, by format, with the platform, if there is an artefact for each; and the SBOMs of it."""
    facts = [
        {
            "format": output.type,
            **({"platform": output.platform} if output.platform else {}),
            "path": made.path,
            **made.facts,
        }
        for output, made in artefacts
    ]
    told = [{"form": sbom.form, "path": sbom.path} for sbom in sboms]
    return _json({"artefacts": facts, "sboms": told} if told else {"artefacts": facts})


def pushed_json(pushed: "Pushed") -> str:
    """What was pushed, and what became of each blob."""
    blobs = [
        {"digest": str(blob.digest), "size": blob.size, "title": blob.title, "outcome": outcome.value}
        for blob, outcome in pushed.blobs.items()
    ]
    facts = {
        "reference": str(pushed.reference),
        "digest": str(pushed.digest),
        "new": pushed.is_new,
        "blobs": blobs,
        "attached": {title: str(digest) for title, digest in pushed.attached.items()},
    }
    return _json({"pushed": facts})


def pushed_text(pushed: "Pushed") -> str:
    """What was pushed, in a line."""
    from packer.registry.push import Outcome

    parts = []
    for outcome in Outcome:
        sizes = [blob.size for blob, became in pushed.blobs.items() if became is outcome]
        if sizes:
            parts.append(f"{len(sizes)} blobs {outcome.value} ({_mebibytes(sum(sizes))} MiB)")
    attached = [f"{' and '.join(pushed.attached)} attached"] if pushed.attached else []
    return ", ".join([*parts, "manifest sent" if pushed.is_new else "manifest known", *attached])


def verdicts_json(verdicts: Sequence["Verdict"]) -> str:
    """What was verified, and what is wrong."""
    return _json(
        {
            "verified": [
                {
                    "name": verdict.name,
                    "checks": [
                        {"level": check.level.value, "digest": str(check.digest or ""), "fault": check.fault}
                        for check in verdict.checks
                    ],
                    "signer": verdict.signer,
                    "faults": list(verdict.faults),
                }
                for verdict in verdicts
            ]
        }
    )


def verdicts_text(verdicts: Sequence["Verdict"]) -> str:
    """What was verified: a line each, and one for each fault."""
    lines = []
    for verdict in verdicts:
        lines += [f"{verdict.name}: {fault}" for fault in verdict.faults]
        lines.append(f"{verdict.name}: {_digests(verdict)}; {_signature(verdict)}")
    # What continues a line is indented: a name with a newline in it cannot pass for a verdict.
    return "\n".join(re.sub("\n *", "\n  ", plain_lines(line)) for line in lines)


def _digests(verdict: "Verdict") -> str:
    if not verdict.is_image:
        return "it holds no digests"
    good = sum(not check.fault for check in verdict.checks)
    return f"{good} of {len(verdict.checks)} digests are right"


def _signature(verdict: "Verdict") -> str:
    if not verdict.signer:
        return "signatures were not looked at: no key was named"
    return f"{'not ' if verdict.refusal else ''}signed by {verdict.signer}"


def kept_json(folder: str, kept: "Iterable[Kept]") -> str:
    """How much of each kind a cache has, had, or has no more."""
    kinds = [{"kind": kind, "count": count, "size": size} for kind, (count, size) in _kinds(kept).items()]
    return _json({"folder": folder, "kinds": kinds})


def kept_text(kept: "Iterable[Kept]") -> str:
    """The same as a table with a sum."""
    kinds = _kinds(kept)
    count, size = (sum(column) for column in zip((0, 0), *kinds.values(), strict=True))
    rows = [(kind, str(count), _mebibytes(size)) for kind, (count, size) in (*kinds.items(), ("all", (count, size)))]
    return table([("what", "count", "MiB"), *rows], right=(1, 2))


def _kinds(kept: "Iterable[Kept]") -> dict[str, tuple[int, int]]:
    """Count and bytes by kind, the largest kind first."""
    found: dict[str, tuple[int, int]] = {}
    for one in kept:
        count, size = found.get(one.kind, (0, 0))
        found[one.kind] = (count + 1, size + one.size)
    return dict(sorted(found.items(), key=lambda kind: (-kind[1][1], kind[0])))


def plan_json(productions: "Sequence[Production]") -> str:
    """The layers of a plan; of several platforms, a plan for each."""
    if len(productions) == 1:
        return _json(_plan_facts(productions[0]))
    plans = [{"platform": one.system.platform.name, **_plan_facts(one)} for one in productions]
    return _json({"platforms": plans})


def _plan_facts(production: "Production") -> dict[str, Any]:
    """The layers: items, sizes in bytes, reasons; and what scripts would have done besides."""
    layers = [
        {
            "layer": rank,
            "size": group.size,
            "reason": group.reason,
            "items": [
                {"name": item.name, "version": item.version, "path": item.path, "size": item.size}
                for item in group.items
            ],
        }
        for rank, group in enumerate(production.plan.groups, 1)
    ]
    skipped = [
        {
            "package": one.package,
            "script": one.script,
            "command": one.command,
            "reason": one.reason,
            "reviewed": one.is_reviewed,
        }
        for one in production.skipped
    ]
    return {"layers": [*layers, _customization(production)], "skipped": skipped}


def _customization(production: "Production") -> dict[str, Any]:
    entries = production.system.customization
    return {
        "layer": len(production.plan.groups) + 1,
        "size": sum(entry.content.size for entry in entries if hasattr(entry, "content")),
        "reason": _CUSTOMIZATION,
        "items": [],
    }


def plan_text(productions: "Sequence[Production]", *, everything: bool) -> str:
    """The layers of a plan as a table for each platform.

    Args:
        productions: one for each platform.
        everything: with what scripts of packages would have done besides.
    """
    parts = []
    for production in productions:
        if len(productions) > 1:
            parts.append(f"{production.system.platform.name}:")
        parts.append(_layers_text(production))
        if everything and production.skipped:
            parts.append(f"\n{skipped_text(production)}")
        parts.append("")
    return "\n".join(parts[:-1])


def _layers_text(production: "Production") -> str:
    """A table: number, MiB, items, why, which."""
    rows = [("layer", "MiB", "items", "why", "what")]
    rows += [
        (str(rank), _mebibytes(group.size), str(len(group.items)), group.reason, _names([str(i) for i in group.items]))
        for rank, group in enumerate(production.plan.groups, 1)
    ]
    last = _customization(production)
    entries = f"{len(production.system.customization)} entries that belong to no item"
    rows.append((str(last["layer"]), _mebibytes(last["size"]), "0", _CUSTOMIZATION, entries))
    return table(rows, right=(0, 1, 2))


def skipped_text(production: "Production") -> str:
    """What scripts of packages would have done besides, as a table; empty for nothing."""
    if not production.skipped:
        return ""
    rows = [
        (f"{one.package}.{one.script}", "yes" if one.is_reviewed else "no", one.command, one.reason)
        for one in production.skipped
    ]
    return table([("script", "reviewed", "not done", "because"), *rows])


def _names(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Rows in columns, fit for a terminal; the columns named in `right` are aligned right."""
    rows = [[plain(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = (
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def types_text(kinds: Sequence["Kind"]) -> str:
    """Types of artefact, a line each: name, and what it makes."""
    return table([(kind.name, kind.summary) for kind in kinds])


def types_json(kinds: Sequence["Kind"]) -> str:
    """Types of artefact, with the platforms that they are for: all if there is none."""
    rows = [
        {
            "name": kind.name,
            "makes": kind.summary,
            "format": kind.base.image.format,
            "platforms": list(kind.base.platforms),
            **({"inherits": kind.inherits} if kind.inherits else {}),
        }
        for kind in kinds
    ]
    return _json({"types": rows})


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.1f}"


def _json(value: object) -> str:
    return json.dumps(value, indent=2)
