"""The pipeline as it ran, drawn: a box a stage, under those whose files it read, and what of it stays at the site."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from lib.crate_jobs import stages

_BOX, _GAP, _ROW = (150, 42), 26, 80
_KINDS = {  # where a stage's files lie: fill, line, words
    (True, False): ("#ececec", "#767676", "stays at the site"),
    (False, True): ("#dcefe4", "#00694b", "in this crate"),
    (True, True): ("#fdf1d3", "#8a5a00", "in part in this crate"),
}


def diagram(jobs: Sequence[Mapping[str, Any]], source: str) -> str:
    """An SVG element; `jobs` of the provenance document, `source` the kind of the warehouse."""
    counts, reads = stages(jobs)
    kinds = {name: _kind(jobs, name) for name in counts}
    if "demo_hospital" not in counts and "extract" in counts:
        counts, reads = {"warehouse": 0, **counts}, reads | {("warehouse", "extract")}
        kinds["warehouse"] = (True, False)
    edges = _reduced(counts, reads)
    places, width, height = _places(counts, edges)
    body = _ways(edges, places)
    for name, (x, y) in places.items():
        fill, line, _ = _KINDS[kinds[name]]
        told = f"{counts[name]} job{'' if counts[name] == 1 else 's'}" if counts[name] else source
        body.append(
            f'<rect x="{x}" y="{y}" width="{_BOX[0]}" height="{_BOX[1]}" rx="5" fill="{fill}" stroke="{line}"/>'
            f'<text x="{x + _BOX[0] / 2:g}" y="{y + 18}" font-weight="600">{escape(name.replace("_", " "))}</text>'
            f'<text x="{x + _BOX[0] / 2:g}" y="{y + 34}" fill="#444">{escape(told)}</text>'
        )
    for i, (fill, line, words) in enumerate(_KINDS.values()):
        y = height - 12
        body.append(
            f'<rect x="{10 + 190 * i}" y="{y - 13}" width="16" height="16" rx="3" fill="{fill}" stroke="{line}"/>'
            f'<text x="{32 + 190 * i}" y="{y}" text-anchor="start">{words}</text>'
        )
    return (
        f'<svg role="img" aria-label="The stages of the pipeline and what each reads" viewBox="0 0 {width} {height}"'
        f' style="max-width: {width}px; width: 100%" font-family="system-ui, DejaVu Sans, sans-serif" font-size="13"'
        f' text-anchor="middle">\n' + "\n".join(body) + "\n</svg>"
    )


def _kind(jobs: Iterable[Mapping[str, Any]], stage: str) -> tuple[bool, bool]:
    written = [name for job in jobs if job["stage"] == stage for name in (job["output"], *job.get("outputs", {}))]
    return tuple(any(name.startswith(root) for name in written) for root in ("<private>/", "<results>/"))  # type: ignore[return-value]


def _reduced(names: Iterable[str], edges: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """The edges without those that a longer way tells too, in the order of the names."""
    order = {name: i for i, name in enumerate(names)}
    after = {name: {second for first, second in edges if first == name} for name in order}

    def reached(name: str) -> set[str]:
        return after[name].union(*(reached(one) for one in after[name]))

    kept = [(a, b) for a, b in edges if not any(b in reached(c) for c in after[a] - {b})]
    return sorted(kept, key=lambda edge: (order[edge[0]], order[edge[1]]))


def _places(
    names: Mapping[str, int], edges: Sequence[tuple[str, str]]
) -> tuple[dict[str, tuple[float, float]], float, float]:
    """The left upper corner of each box, and the whole's width and height: below all it reads, near their middle."""
    before = {name: [first for first, second in edges if second == name] for name in names}

    def depth(name: str) -> int:
        return max((depth(one) + 1 for one in before[name]), default=0)

    rows: dict[int, list[str]] = {}
    for name in names:
        rows.setdefault(depth(name), []).append(name)
    width = max(len(row) for row in rows.values()) * (_BOX[0] + _GAP) + _GAP
    middle: dict[str, float] = {}
    places: dict[str, tuple[float, float]] = {}
    for level, row in sorted(rows.items()):
        wanted = {name: sum(middle[one] for one in before[name]) / len(before[name] or [1]) for name in row}
        row = sorted(row, key=lambda name: wanted[name])  # a stable sort: as the names come where equal
        left = (width - len(row) * (_BOX[0] + _GAP) + _GAP) / 2
        for i, name in enumerate(row):
            places[name] = (left + i * (_BOX[0] + _GAP), 8.0 + level * _ROW)
            middle[name] = places[name][0]
    return places, width, 8 + len(rows) * _ROW + 20


def _ways(edges: Sequence[tuple[str, str]], places: Mapping[str, tuple[float, float]]) -> list[str]:
    """A path an edge; one that passes rows goes straight down between their boxes, each in a lane of its own."""
    out = []
    lanes: list[float] = []
    for first, second in edges:
        x1, y1 = places[first][0] + _BOX[0] / 2, places[first][1] + _BOX[1]
        x2, y2 = places[second][0] + _BOX[0] / 2, places[second][1]
        passed = sorted(x for x, y in places.values() if y1 < y < y2)
        lane, bend = x2, _ROW - _BOX[1]
        if passed:
            sides = [(x1, 0), (x2, 0)] + [(x - 9, -1) for x in passed] + [(x + _BOX[0] + 9, 1) for x in passed]
            free = [one for one in sides if not any(x - 6 < one[0] < x + _BOX[0] + 6 for x in passed)]
            lane, side = min(free, key=lambda one: (abs(one[0] - x1) + abs(one[0] - x2), one))
            while any(abs(lane - other) < 6 for other in lanes):
                lane += 7 * (side or 1)
            lanes.append(lane)
        down = f" L{lane:g} {y2 - bend:g} {_curve(lane, y2 - bend, x2, y2)}" if passed else ""
        path = f"M{x1:g} {y1:g} {_curve(x1, y1, lane, y1 + bend)}{down}"
        out.append(f'<path d="{path}" fill="none" stroke="#8a8a8a" stroke-width="1.3"/>')
    return out


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    middle = (y1 + y2) / 2
    return f"C{x1:g} {middle:g} {x2:g} {middle:g} {x2:g} {y2:g}"
