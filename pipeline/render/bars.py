"""Bars, heat maps and flows as SVG, beside the lines of `pipeline.render.chart`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

from pipeline.render.chart import MAX_LINES, WIDE
from pipeline.render.html import Safe, h

_ROW, _CELL, _CELL_HIGH = 24, 46, 26
_SVG: Final = "http://www.w3.org/2000/svg"


def bar_chart(
    title: str,
    names: Sequence[str],
    sets: Sequence[tuple[str, Sequence[float | None]]],
    form: Callable[[float | None], str],
    *,
    width: int = WIDE,
) -> Safe:
    """Horizontal bars: for each name one of every set (at most six). Those of negative values go to the left of zero."""
    sets = sets[:MAX_LINES]
    known = [v for _, values in sets for v in values if v is not None and isfinite(v)]
    low, high = min([0.0, *known]), max([0.0, *known])
    left = min(int(width * 0.42), 18 + max((_wide(name) for name in names), default=0))
    # Room for the numbers at the ends of the bars, on the sides on which there are bars.
    first, last = left + (78 if low < 0 else 0), width - (78 if high > 0 or low == 0 else 6)
    scale = max(last - first, 1) / ((high - low) or 1.0)
    zero = first - low * scale
    drawn: list[Safe] = []
    top = 4
    for k, name in enumerate(names):
        middle = top + _ROW * len(sets) / 2 + 4
        drawn.append(
            h("text", _cut(name, left - 12), h("title", name), x=left - 8, y=round(middle, 1), text_anchor="end")
        )
        for number, (_, values) in enumerate(sets, start=1):
            value = values[k]
            size = 0.0 if value is None or not isfinite(value) else max(1.0, scale * abs(value))
            back = value is not None and value < 0
            start, end = (zero - size, zero - size - 6) if back else (zero, zero + size + 6)
            drawn.append(
                h("rect", x=round(start, 1), y=top + 3, width=round(size, 1), height=_ROW - 7, rx=3,
                  class_=f"dot s{number}")
            )  # fmt: skip
            drawn.append(h("text", form(value), x=round(end, 1), y=top + 16, text_anchor="end" if back else None))
            top += _ROW
        top += 5 if len(sets) > 1 else 0
    if low < 0:
        drawn.append(h("line", x1=round(zero, 1), x2=round(zero, 1), y1=2, y2=top, class_="grid"))
    return _svg(title, drawn, width, top + 4)


def heat_map(
    title: str,
    across: Sequence[str],
    down: Sequence[str],
    cells: Mapping[tuple[int, int], float],
    form: Callable[[float | None], str],
    *,
    top: float | None = None,
    before: Sequence[str] = (),
    before_title: str = "",
) -> Safe:
    """Cells coloured by value with the value written in them. `cells` is by (row, column); `before` is a column of
    words between the names and the cells (the size of a cohort). `top` is the value of the strongest colour."""
    strongest = top if top is not None else max(cells.values(), default=0) or 1
    left = 14 + max((_wide(name) for name in down), default=0)
    cell = max(_CELL, 12 + max((_wide(form(v)) for v in cells.values()), default=0))
    middle = left + (16 + max(_wide(word) for word in (*before, before_title)) if before else 0)
    drawn: list[Safe] = [
        h("text", name, x=middle + cell * (k + 0.5), y=15, text_anchor="middle") for k, name in enumerate(across)
    ]
    if before:
        drawn.append(h("text", before_title, x=middle - 10, y=15, text_anchor="end"))
    for row, name in enumerate(down):
        y = 22 + row * _CELL_HIGH
        drawn.append(h("text", name, x=left - 8, y=y + 17, text_anchor="end"))
        if before:
            drawn.append(h("text", before[row], x=middle - 10, y=y + 17, text_anchor="end"))
        for column in range(len(across)):
            value = cells.get((row, column))
            if value is None:
                continue
            strength = round(min(1.0, max(0.0, value / strongest)) * 10)
            drawn.append(
                h(
                    "rect",
                    x=middle + cell * column + 1,
                    y=y,
                    width=cell - 2,
                    height=_CELL_HIGH - 2,
                    rx=3,
                    class_=f"heat h{strength}",
                )
            )
            drawn.append(
                h(
                    "text",
                    form(value),
                    x=middle + cell * (column + 0.5),
                    y=y + 17,
                    text_anchor="middle",
                    class_=f"on h{strength}",
                )
            )
    return _svg(title, drawn, int(middle + cell * len(across) + 6), 26 + _CELL_HIGH * len(down), own_size=True)


@dataclass(frozen=True)
class Flow:
    """Users that went from a thing in a column to one in the next (`layer` counts from 0)."""

    layer: int
    source: str
    target: str
    users: float


def flow_chart(title: str, flows: Sequence[Flow], form: Callable[[float | None], str], *, width: int = WIDE) -> Safe:
    """A Sankey diagram: columns from left to right, bands as wide as the users in them."""
    sizes: dict[tuple[int, str], list[float]] = {}
    for flow in flows:
        sizes.setdefault((flow.layer, flow.source), [0.0, 0.0])[1] += flow.users
        sizes.setdefault((flow.layer + 1, flow.target), [0.0, 0.0])[0] += flow.users
    layers = max((layer for layer, _ in sizes), default=0) + 1
    column = {
        k: sorted(((n, max(s)) for (at, n), s in sizes.items() if at == k), key=lambda i: -i[1]) for k in range(layers)
    }
    gap, bar, top = 24.0, 12, 20
    height = max(260, 36 * max((len(c) for c in column.values()), default=1) + 60)
    free = height - top - 10
    scale = min(
        ((free - gap * len(c)) / sum(s for _, s in c) for c in column.values() if c and sum(s for _, s in c)),
        default=1.0,
    )
    place: dict[tuple[int, str], float] = {}
    for k, items in column.items():
        y = float(top)
        for name, size in items:
            place[k, name] = y
            y += size * scale + gap
    step = (width - bar - (110 if width > 500 else 84)) / max(1, layers - 1)
    used_out, used_in = dict(place), dict(place)
    bands, marks = [], []
    for flow in sorted(flows, key=lambda f: (f.layer, place[f.layer, f.source], place[f.layer + 1, f.target])):
        thick = max(1.0, flow.users * scale)
        y0, y1 = used_out[flow.layer, flow.source], used_in[flow.layer + 1, flow.target]
        used_out[flow.layer, flow.source] += flow.users * scale
        used_in[flow.layer + 1, flow.target] += flow.users * scale
        x0, x1 = flow.layer * step + bar, (flow.layer + 1) * step
        mid = (x0 + x1) / 2
        d = f"M{x0:.1f},{y0 + thick / 2:.1f} C{mid:.1f},{y0 + thick / 2:.1f} {mid:.1f},{y1 + thick / 2:.1f} {x1:.1f},{y1 + thick / 2:.1f}"
        said = f"{flow.source} → {flow.target}: {form(flow.users)}"
        bands.append(h("path", h("title", said), d=d, class_="band", stroke_width=f"{thick:.1f}"))
    for (k, name), y in place.items():
        size = max(sizes[k, name])
        marks.append(
            h(
                "rect",
                x=round(k * step, 1),
                y=round(y, 1),
                width=bar,
                height=round(max(2.0, size * scale), 1),
                class_="dot s1",
            )
        )
        marks.append(
            h(
                "text",
                _cut(f"{name} {form(size)}", step - 8 if width > 500 else step + 30),
                h("title", f"{name}: {form(size)}"),
                x=round(k * step, 1),
                y=round(y - 5, 1),
            )
        )
    return _svg(title, [*bands, *marks], width, height)


def _svg(title: str, drawn: Sequence[Safe], width: int, height: float, *, own_size: bool = False) -> Safe:
    style = f"width:{width}px;max-width:none;max-height:none" if own_size else f"max-height:{height:.0f}px"
    return h(
        "svg", *drawn, viewBox=f"0 0 {width} {height:.0f}", width=width, height=f"{height:.0f}", role="img",
        aria_label=title, class_="chart", style=style, xmlns=_SVG, preserveAspectRatio="xMinYMin",
    )  # fmt: skip


def _wide(name: str) -> int:
    return round(7.2 * sum(2 if ord(c) > 0x2E80 else 1 for c in name))


def _cut(name: str, room: float) -> str:
    if _wide(name) <= room:
        return name
    while name and _wide(name) > room - 10:
        name = name[:-1]
    return name + "…"
