"""Line charts as SVG, drawn here: no script, no other file, the same in a page, a report and a picture.

Colours are classes (`s1` … `s6`, of a palette that colour-blind people can tell apart), and lines differ in their
dashes too. A page draws each chart for a wide and a narrow screen and shows the one that fits, so text keeps its size.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from pipeline.render.html import Safe, h, text

WIDE: Final = 760
NARROW: Final = 350
#: More lines in one chart nobody can tell apart.
MAX_LINES: Final = 6
_TOP, _BOTTOM, _CHAR = 12, 24, 7.2


@dataclass(frozen=True)
class Line:
    """One line: its name, and a value (or None) for each place on the x axis."""

    name: str
    values: Sequence[float | None]


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers from at or below `low` to at or above `high`, about `wanted` steps apart."""
    if high - low < 1e-300:
        high = low + max(1.0, abs(low))
    rough = (high - low) / wanted
    power = math.floor(math.log10(rough))
    size = 10.0**power
    step = next(size * f for f in (1, 2, 2.5, 5, 10) if size * f >= rough)
    first = math.floor(low / step)
    last = math.ceil(high / step - 1e-9)
    return [round(k * step, max(0, 3 - power)) for k in range(first, last + 1)]


def line_chart(
    title: str,
    places: Sequence[str],
    lines: Sequence[Line],
    form: Callable[[float | None], str],
    *,
    width: int = WIDE,
    height: int = 220,
    area: bool = False,
    links: Sequence[str] = (),
) -> Safe:
    """Lines over evenly spaced places. `form` writes a value; `title` is what a screen reader says.

    `links` are the addresses that a click on a place leads to: what a table beside the chart has as links, too.
    """
    lines = lines[:MAX_LINES]
    known = [v for line in lines for v in line.values if v is not None]
    marks = ticks(min(0.0, *known) if known else 0.0, max(known) if known else 1.0)
    labels = [form(mark) for mark in marks]
    left = 10 + max(_width(label) for label in labels)
    right, low, high = width - 12, marks[0], marks[-1]
    span = max(1, len(places) - 1)

    def x(k: int) -> float:
        return round(left + (right - left) * (k / span if len(places) > 1 else 0.5), 1)

    def y(value: float) -> float:
        return round(_TOP + (height - _TOP - _BOTTOM) * (1 - (value - low) / (high - low)), 1)

    drawn: list[Safe] = []
    for mark, label in zip(marks, labels, strict=True):
        drawn.append(h("line", x1=left, x2=right, y1=y(mark), y2=y(mark), class_="grid"))
        drawn.append(h("text", label, x=left - 6, y=y(mark) + 4, text_anchor="end"))
    drawn += _places(places, x, height, right - left)
    for number, line in enumerate(lines, start=1):
        for run in _runs(line.values):
            points = " ".join(f"{x(k)},{y(v)}" for k, v in run)
            if area and len(run) > 1:
                drawn.append(
                    h(
                        "path",
                        d=f"M{x(run[0][0])},{y(0)} L{points} L{x(run[-1][0])},{y(0)} Z",
                        class_=f"area s{number}",
                    )
                )
            if len(run) == 1:
                drawn.append(h("circle", cx=x(run[0][0]), cy=y(run[0][1]), r=3, class_=f"dot s{number}"))
            else:
                drawn.append(h("path", d=f"M{points}", class_=f"line s{number}"))
    tips = [
        [place, *(f"{line.name}: {form(line.values[k])}" if len(lines) > 1 else form(line.values[k]) for line in lines)]
        for k, place in enumerate(places)
    ]
    known_places = {"x": [x(k) for k in range(len(places))], "tips": tips} | ({"links": list(links)} if links else {})
    where = json.dumps(known_places, ensure_ascii=False)
    return h(
        "svg", *drawn, viewBox=f"0 0 {width} {height}", width=width, height=height, role="img",
        aria_label=title, class_="chart", data_tips=where, xmlns="http://www.w3.org/2000/svg",
    )  # fmt: skip


def legend(names: Sequence[str], *, bars: bool = False) -> Safe | None:
    """Which line, or which bar, is which; nothing for a single one."""
    if len(names) < 2:
        return None
    items = [h("li", swatch(k, bars=bars), name) for k, name in zip(count(1), names[:MAX_LINES], strict=False)]
    return h("ul", *items, class_="legend")


def swatch(number: int, *, bars: bool = False, **attributes: object) -> Safe:
    """A sample of a line or a bar."""
    shape = (
        h("rect", width=12, height=10, rx=3, class_=f"dot s{number}")
        if bars
        else h("path", d="M1,5 L25,5", class_=f"line s{number}")
    )
    return h("svg", shape, width=26 if not bars else 14, height=10, aria_hidden="true", **attributes)


def fitting(draw: Callable[[int], Safe]) -> Safe:
    """What `draw` makes for a wide and for a narrow screen; the style sheet shows one."""
    return text(h("div", draw(WIDE), class_="wide"), h("div", draw(NARROW), class_="narrow"))


def _width(label: str) -> float:
    return _CHAR * sum(2 if ord(c) > 0x2E80 else 1 for c in label)


def _places(places: Sequence[str], x: Callable[[int], float], height: int, room: float) -> list[Safe]:
    """As many labels of the x axis as fit, the last one always."""
    if not places:
        return []
    widest = max(_width(place) for place in places) + 14
    every = max(1, math.ceil(len(places) * widest / max(room, 1)))
    last = len(places) - 1
    found = []
    for k in range(last % every, last + 1, every):
        if k != last and x(last) - x(k) < widest * 1.5:
            continue  # the last one stands to the left of its place
        anchor = "end" if k == last and last else "start" if k == 0 and last else "middle"
        found.append(h("text", places[k], x=x(k), y=height - 6, text_anchor=anchor))
    return found


def _runs(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """The stretches without a gap."""
    found: list[list[tuple[int, float]]] = [[]]
    for k, value in enumerate(values):
        if value is not None and math.isfinite(value):
            found[-1].append((k, float(value)))
        elif found[-1]:
            found.append([])
    return [run for run in found if run]
