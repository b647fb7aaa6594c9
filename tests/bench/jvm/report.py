"""What docs/performance.md shows of a comparison: a table between two markers, and a picture. None of it by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final, NamedTuple

from ..rows import Row

BEGIN: Final = "<!-- comparison: written by `make bench-jvm ARGS=--document`, do not edit -->"
END: Final = "<!-- end of comparison -->"
PICTURE: Final = "images/jvm.svg"
_STEADY, _ALL, _MEMORY = "the last two thirds", "events a CPU second", "peak memory"
#: Size of the picture, and where its axes are in it, pixels.
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 720, 400, 70, 20, 40, 52
_COLORS: Final = ("#d9480f", "#1c7ed6", "#2b8a3e", "#862e9c")
_STEPS: Final = (25, 50, 100, 200, 250, 500)


class _System(NamedTuple):
    """A system with events of one size: its figures by name, each the middle of the runs; none if it failed."""

    title: str
    size: str
    figures: Mapping[str, float]


def rewrite(page: Path, rows: Sequence[Row], about: str) -> None:
    """Put table and picture into the page's folder; raises ValueError if the markers are not there."""
    text = page.read_text("utf-8")
    begin, end = text.find(BEGIN), text.find(END)
    if begin < 0 or end < begin:
        raise ValueError(f"{page} has no markers {BEGIN} and {END}")
    found = _systems(rows)
    shown = f"{_table(found)}\n\n![Events a CPU second against peak memory]({PICTURE})\n\n{about}"
    page.write_text(f"{text[: begin + len(BEGIN)]}\n\n{shown}\n\n{text[end:]}", "utf-8")
    (page.parent / PICTURE).write_text(picture(found), "utf-8")


def _systems(rows: Sequence[Row]) -> list[_System]:
    found: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        whole, _, figure = row.name.partition(": ")
        title, _, size = whole.rpartition(", ")
        figures = found.setdefault((title, size), {})
        if row.value is not None:
            figures[figure] = row.value
    return [_System(*names, figures) for names, figures in found.items()]


def _table(systems: Sequence[_System]) -> str:
    lines = [
        "| | events | events a CPU second | without the first third | peak memory, MB |",
        "| --- | --- | --- | --- | --- |",
    ]
    for system in systems:
        figures = [system.figures.get(name) for name in (_ALL, _STEADY, _MEMORY)]
        cells = ["failed" if figure is None else f"{figure:,.0f}" for figure in figures]
        lines.append(f"| {system.title} | {system.size} | {' | '.join(cells)} |")
    return "\n".join(lines)


def picture(systems: Sequence[_System]) -> str:
    """An SVG: each system a point, filled for the smaller events, by its speed without the first third."""
    points = [
        (s, s.figures[_MEMORY], s.figures[_STEADY] / 1000) for s in systems if {_MEMORY, _STEADY} <= s.figures.keys()
    ]
    most_x, step_x = _axis(max(memory for _, memory, _ in points))
    most_y, step_y = _axis(max(speed for _, _, speed in points))
    wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def x(value: float) -> float:
        return round(_LEFT + wide * value / most_x, 1)

    def y(value: float) -> float:
        return round(_TOP + high * (1 - value / most_y), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        'font-size="13" role="img" aria-label="Events a CPU second against peak memory">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        _text(12, 22, "thousand events a CPU second, without the first third of the log"),
        _text(_WIDTH - _RIGHT, _HEIGHT - 10, "peak memory, MB", "end"),
    ]
    for value in range(0, most_y + 1, step_y):
        parts.append(f'<path d="M{_LEFT} {y(value)}H{_WIDTH - _RIGHT}" stroke="#dee2e6"/>')
        parts.append(_text(_LEFT - 8, y(value) + 4, f"{value}", "end"))
    for value in range(0, most_x + 1, step_x):
        parts.append(_text(x(value), _HEIGHT - _BOTTOM + 18, f"{value:,}", "middle"))
    titles = list(dict.fromkeys(s.title for s, _, _ in points))
    for system, memory, speed in points:
        color = _COLORS[titles.index(system.title) % len(_COLORS)]
        fill = color if system.size == points[0][0].size else "#ffffff"
        parts.append(
            f'<circle cx="{x(memory)}" cy="{y(speed)}" r="6" fill="{fill}" stroke="{color}" stroke-width="2"/>'
        )
    sizes = list(dict.fromkeys(system.size for system, _, _ in points))
    legend = [(title, _COLORS[n % len(_COLORS)], True) for n, title in enumerate(titles)]
    legend += [(f"events of {size}", "#343a40", size == sizes[0]) for size in sizes]
    for n, (words, color, filled) in enumerate(legend):
        at = _TOP + 22 + 22 * n
        fill = color if filled else "#ffffff"
        parts.append(f'<circle cx="{_LEFT + 20}" cy="{at}" r="6" fill="{fill}" stroke="{color}" stroke-width="2"/>')
        parts.append(_text(_LEFT + 34, at + 4, words))
    return "\n".join([*parts, "</svg>", ""])


def _axis(largest: float) -> tuple[int, int]:
    """Where an axis ends, and the step between its numbers."""
    step = next((step for step in _STEPS if step * 6 >= largest), _STEPS[-1])
    return int(-(-largest // step) * step), step


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="#343a40">{escape(words)}</text>'
