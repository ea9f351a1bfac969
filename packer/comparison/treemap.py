"""Squarified treemaps (Bruls, Huizing, van Wijk: Squarified Treemaps, 2000): areas as sizes, nearly square."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; `x` and `y` are those of its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    def inset(self, margin: float) -> "Box":
        """The box without a margin on each side, as far as there is room."""
        across, down = min(margin, self.width / 4), min(margin, self.height / 4)
        return Box(self.x + across, self.y + down, self.width - 2 * across, self.height - 2 * down)


def boxes(sizes: Sequence[int], area: Box) -> list[Box]:
    """A box for each size; together they fill the area.

    Args:
        sizes: largest first; what is 0 counts as 1, so that it is there.
        area: to be filled.
    """
    weights = [float(max(1, size)) for size in sizes]
    left = sum(weights)
    found: list[Box] = []
    while len(found) < len(weights):
        rest = weights[len(found) :]
        scale = area.width * area.height / left
        count = _row(rest, scale, min(area.width, area.height))
        row = rest[:count]
        lying = area.width < area.height
        strip, area = _cut(area, sum(row) / left, lying=lying)
        found += _along(row, strip, lying=lying)
        left -= sum(row)
    return found


def _row(weights: Sequence[float], scale: float, side: float) -> int:
    """How many of the weights a row takes: as long as its worst box gets better."""
    best, total = float("inf"), 0.0
    for count, weight in enumerate(weights, 1):
        total += weight
        depth = total * scale / side if side else 1.0
        length = weight * scale / depth if depth else 1.0
        worst = max(_aspect(length, depth), _aspect(weights[0] * scale / depth if depth else 1.0, depth))
        if worst > best:
            return count - 1
        best = worst
    return len(weights)


def _aspect(one: float, other: float) -> float:
    return max(one, other) / min(one, other) if one and other else float("inf")


def _cut(area: Box, part: float, *, lying: bool) -> tuple[Box, Box]:
    """A strip along the shorter side, and what is left."""
    part = min(part, 1.0)
    if lying:
        cut = area.height * part
        return Box(area.x, area.y, area.width, cut), Box(area.x, area.y + cut, area.width, area.height - cut)
    cut = area.width * part
    return Box(area.x, area.y, cut, area.height), Box(area.x + cut, area.y, area.width - cut, area.height)


def _along(row: Sequence[float], strip: Box, *, lying: bool) -> list[Box]:
    whole, done, found = sum(row), 0.0, []
    for weight in row:
        start, part = done / whole, weight / whole
        if lying:
            found.append(Box(strip.x + strip.width * start, strip.y, strip.width * part, strip.height))
        else:
            found.append(Box(strip.x, strip.y + strip.height * start, strip.width, strip.height * part))
        done += weight
    return found
