"""A comparison as one HTML page: the table, and for each strategy a treemap of the newest version's layers.

The page is whole in itself: no script, no font, no image, and a policy that forbids a browser to fetch anything. What
it says comes from images of other people, and is escaped.
"""

from collections.abc import Iterator, Sequence
from html import escape

from layers.item import StoreItem
from layers.plan import Group
from packer.comparison.replay import Comparison, Replay
from packer.comparison.text import names, rows
from packer.comparison.treemap import Box, boxes
from packer.inspection.text import size_text
from packer.plain import plain

_WIDTH, _HEIGHT = 1200, 640
_LEAST_LABEL = Box(0, 0, 70, 16)
_LETTER = 6.5  # width of a letter of the labels

_STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1200px; margin: 2em auto; padding: 0 1em }
body { color: #1c2024; background: #fff }
table { border-collapse: collapse; margin: 1em 0 }
th, td { padding: .25em .8em; text-align: right; border-bottom: 1px solid #d8dde3; font-variant-numeric: tabular-nums }
th:first-child, td:first-child { text-align: left }
svg { width: 100%; height: auto; display: block }
svg text { font: 11px system-ui, sans-serif; fill: #1c2024; pointer-events: none }
.layer { fill: #fff; stroke: #59636e; stroke-width: 1 }
.same, .key-same { fill: #c9d6e2; background: #c9d6e2 }
.idle, .key-idle { fill: #f4c463; background: #f4c463 }
.changed, .key-changed { fill: #d8573f; background: #d8573f }
.key span { display: inline-block; width: 1em; height: 1em; vertical-align: -.15em; margin: 0 .3em 0 1em }
summary { font-weight: 600; cursor: pointer; margin: 1em 0 .5em }
"""

_HEAD = f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>What updates pull</title>
<style>
{_STYLE}</style>
</head>
<body>
<h1>What updates pull</h1>
"""

_KEY = """\
<p class="key"><span class="key-changed"></span>changed<span class="key-idle"></span>pulled with it, unchanged
<span class="key-same"></span>in layers that are not pulled</p>
"""


def page(found: Comparison) -> str:
    """The page."""
    newest = found.updates[-1]
    changed = {item.path for item in newest.changed}
    parts = [
        _HEAD,
        _table([("version", "items", "size"), *_versions(found)]),
        _table(list(rows(found))),
        f"<h2>The layers of {_text(newest.after.name)}, from {_text(newest.before.name)}</h2>\n",
        _KEY,
    ]
    drawn = [replay for replay in found.replays if replay.max_layers == found.shown]
    parts += [_map(replay, changed, is_open=replay.strategy == "tiers") for replay in drawn]
    return "".join([*parts, "</body>\n</html>\n"])


def _versions(found: Comparison) -> Iterator[tuple[str, ...]]:
    for version in found.versions:
        yield version.name, str(len(version.closure)), size_text(version.size)


def _text(text: str) -> str:
    return escape(plain(text))


def _table(lines: Sequence[Sequence[str]]) -> str:
    head, *body = lines
    parts = [f"<tr>{''.join(f'<th>{_text(cell)}</th>' for cell in head)}</tr>\n"]
    parts += [f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in line)}</tr>\n" for line in body]
    return f"<table>\n{''.join(parts)}</table>\n"


def _map(replay: Replay, changed: set[str], *, is_open: bool) -> str:
    pull, plan = replay.pulls[-1], replay.plans[-1]
    pulled = {group.items[0].path for group in pull.layers}
    said = f"{replay.strategy}: {len(pull.layers)} of {len(plan.groups)} layers pulled, {size_text(pull.size)}"
    drawn = "".join(
        _layer(group, box, pulled, changed) for group, box in _placed(plan.groups, Box(0, 0, _WIDTH, _HEIGHT))
    )
    return (
        f"<details{' open' if is_open else ''}><summary>{_text(said)}</summary>\n"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{_text(said)}">\n{drawn}</svg>\n</details>\n'
    )


def _placed(groups: Sequence[Group], area: Box) -> Iterator[tuple[Group, Box]]:
    ordered = sorted(groups, key=lambda group: (-group.size, group.items[0].path))
    yield from zip(ordered, boxes([group.size for group in ordered], area), strict=True)


def _layer(group: Group, box: Box, pulled: set[str], changed: set[str]) -> str:
    is_pulled = group.items[0].path in pulled
    title = f"{names(group.items)}\n{group.reason}, {size_text(group.size)}{', pulled' if is_pulled else ''}"
    parts = [f"<g><title>{_text_lines(title)}</title>{_box(box, 'layer')}"]
    ordered = sorted(group.items, key=lambda item: (-item.size, item.path))
    for item, inner in zip(ordered, boxes([item.size for item in ordered], box.inset(1)), strict=True):
        parts.append(_box(inner.inset(0.3), _class(item, is_pulled, changed)))
    parts.append(_label(ordered[0], box))
    return f"{''.join(parts)}</g>\n"


def _class(item: StoreItem, is_pulled: bool, changed: set[str]) -> str:
    if not is_pulled:
        return "same"
    return "changed" if item.path in changed else "idle"


def _text_lines(text: str) -> str:
    return "\n".join(map(_text, text.split("\n")))


def _box(box: Box, kind: str) -> str:
    return f'<rect class="{kind}" x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"/>'


def _label(item: StoreItem, box: Box) -> str:
    """The name of the largest item, where there is room for it."""
    if box.width < _LEAST_LABEL.width or box.height < _LEAST_LABEL.height:
        return ""
    text = plain(item.name)[: int((box.width - 8) / _LETTER)]
    return f'<text x="{box.x + 4:.1f}" y="{box.y + 13:.1f}">{escape(text)}</text>'
