"""The one description of a chart, in Vega-Lite: the page works in it, report and picture are drawn from it.

Pure: values in, a description out. Texts of strangers are only ever data: fields, keys, expressions and the titles of axes
(which Vega-Lite puts into expressions as they are) are ours. Numbers are written here (`form`), since Vega knows neither 万
nor durations: each row carries its value and its words. Colours are names of the style sheet, so that a chart follows
light, dark and paper.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.render.chart import MAX_LINES, Line, ticks
from pipeline.render.tables import letters

Form = Callable[[float | None], str]
Spec = dict[str, Any]

_SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v6.json"
_COLOURS: Final = [f"var(--s{k})" for k in range(1, MAX_LINES + 1)]
_DASHES: Final = [[1, 0], [7, 3], [2, 3], [9, 3, 2, 3], [5, 5], [1, 5]]
_INK, _DIM, _RULE, _HEAT = "var(--ink)", "var(--dim)", "var(--rule)", "rgb(var(--heat))"
_ROW: Final = 22
#: Heights at which the texts of annotations stand.
_LEVELS: Final = 3
#: Straight pieces that a band of a flow is drawn of.
_PARTS: Final = 24


@dataclass(frozen=True)
class Annotation:
    """Something that happened at a place of the x axis: a release, a campaign."""

    place: int
    text: str


@dataclass(frozen=True)
class Chart:
    """A chart: its description without a width, and what a page puts around it."""

    title: str
    #: Vega-Lite, complete but for `width`.
    spec: Spec
    #: Names of the lines or of the sets of bars, where there are several.
    names: Sequence[str] = ()
    #: The address that a click on each place leads to.
    links: Sequence[str] = ()
    bars: bool = False
    #: The width (px) that it wants, where that follows from what is in it.
    width: int | None = None
    #: The least width (px) in which it can be read: a narrower screen scrolls.
    least: int = 200
    #: Values that have no place on a logarithmic axis.
    left_out: int = 0

    def rows(self) -> list[dict[str, Any]]:
        """The values that are drawn."""
        found: list[dict[str, Any]] = self.spec["data"]["values"]
        return found


def spans_decades(series: Sequence[Line]) -> bool:
    """Whether a logarithmic axis shows more: all values are above zero, the largest a hundred times the smallest."""
    known = [v for line in series[:MAX_LINES] for v in map(_finite, line.values) if v is not None]
    return bool(known) and min(known) > 1e-300 and max(known) >= 100 * min(known)


def lines(
    title: str,
    places: Sequence[str],
    series: Sequence[Line],
    form: Form,
    *,
    height: int = 200,
    area: bool = False,
    log: bool = False,
    annotations: Sequence[Annotation] = (),
    links: Sequence[str] = (),
) -> Chart:
    """Lines (at most six) over evenly spaced places; a value of None, or one that is not finite, is a gap.

    On a logarithmic axis what is not above zero has no place: it is a gap there, counted in `left_out`. Where nothing is
    above zero the axis stays linear.
    """
    shown = series[:MAX_LINES]
    known = [v for line in shown for v in map(_finite, line.values) if v is not None]
    log = log and any(v > 1e-300 for v in known)
    drawn = [[_finite(v, log) for v in line.values] for line in shown]
    left_out = sum(v <= 1e-300 for v in known) if log else 0
    marks = _decades([v for v in known if v > 1e-300]) if log else ticks(min([0.0, *known]), max([0.0, *known]))
    rows: list[dict[str, Any]] = [
        {"x": k, "s": f"s{number}", "y": value, "said": form(value)} | ({"alone": True} if _alone(values, k) else {})
        for number, values in enumerate(drawn, start=1)
        for k, value in enumerate(values)
    ]
    last = max(len(places) - 1, 0)
    x: Spec = {
        "field": "x", "type": "quantitative", "title": None,
        "scale": {"domain": [{"expr": "from_"}, {"expr": "to_"}], "nice": False, "zero": False},
        "axis": {"labelExpr": "places[datum.value] || ''", "tickMinStep": 1, "grid": False, "labelOverlap": "greedy",
                 "labelFlush": True, "labelSeparation": 10, "tickCount": {"expr": "max(2, width / 90)"}},
    }  # fmt: skip
    y: Spec = {
        "field": "y", "type": "quantitative", "title": None,
        "scale": {"type": "log" if log else "linear", "domain": [marks[0], marks[-1]], "nice": False},
        "axis": _written(marks, "marks", "marked"),
    }  # fmt: skip
    colour = {"field": "s", "type": "nominal", "legend": None, "scale": _scale(len(shown), _COLOURS)}
    dash = {"field": "s", "type": "nominal", "legend": None, "scale": _scale(len(shown), _DASHES)}
    layers: list[Spec] = []
    if area and not log:
        layers.append(
            {
                "mark": {"type": "area", "opacity": 0.13, "clip": True},
                "encoding": {"x": x, "y": {**y, "stack": None}, "color": colour},
            }
        )
    layers += [
        {
            "mark": {"type": "line", "strokeWidth": 2.2, "clip": True, "invalid": "break-paths-show-domains"},
            "encoding": {"x": x, "y": y, "color": colour, "strokeDash": dash},
        },
        # A point between two gaps is no line.
        {
            "transform": [{"filter": "datum.alone"}],
            "mark": {"type": "point", "filled": True, "size": 40, "opacity": 1, "clip": True},
            "encoding": {"x": x, "y": y, "color": colour},
        },
        # The crosshair: where the pointer or the arrow keys are.
        {
            "transform": [{"filter": "datum.x === at"}],
            "mark": {"type": "rule", "color": _DIM, "strokeDash": [3, 3], "clip": True},
            "encoding": {"x": x},
        },
        {
            "transform": [{"filter": "datum.x === at"}],
            "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1, "clip": True},
            "encoding": {"x": x, "y": y, "color": colour},
        },
    ]
    if annotations:
        said = {"values": [{"x": a.place, "text": a.text} for a in annotations]}
        layers.append({"data": said, "mark": {"type": "rule", "color": _INK, "clip": True}, "encoding": {"x": x}})
    for level in range(min(_LEVELS, len(annotations))):
        # Neighbours stand below each other, so that each can be read.
        here = {"values": [{"x": a.place, "text": a.text} for a in annotations[level::_LEVELS]]}
        # On the side of its line that has more room, and no longer than that.
        late = "datum.x > (from_ + to_) / 2"
        text = {
            "type": "text",
            "align": {"expr": f"{late} ? 'right' : 'left'"},
            "dx": {"expr": f"{late} ? -4 : 4"},
            "dy": 5 + 13 * level,
            "color": _INK,
            "limit": {"expr": "min(140, width / 2 - 8)"},
            "clip": True,
        }
        encoding = {"x": x, "y": {"value": 0}, "text": {"field": "text"}}
        layers.append({"data": here, "mark": text, "encoding": encoding})
    spec = _spec(title, rows, layer=layers, height=height)
    spec["params"] += [
        {"name": "places", "value": list(places)}, {"name": "marks", "value": marks}, {"name": "marked", "value": [form(m) for m in marks]},
        {"name": "from_", "value": 0 if last else -0.5}, {"name": "to_", "value": last or 0.5}, {"name": "at", "value": None},
    ]  # fmt: skip
    spec["transform"] = [{"filter": "indexof(hidden, datum.s) < 0"}]
    return Chart(title, spec, [line.name for line in shown], links, left_out=left_out)


def bars(title: str, names: Sequence[str], sets: Sequence[tuple[str, Sequence[float | None]]], form: Form) -> Chart:
    """Horizontal bars: for each name one of every set (at most six); those below zero go to the left."""
    sets = sets[:MAX_LINES]
    rows: list[dict[str, Any]] = [
        {"n": k, "s": f"s{number}", "y": _finite(values[k]), "said": form(values[k]), "below": (values[k] or 0) < 0,
         "tip": ": ".join([name, *([called] if len(sets) > 1 else []), form(values[k])])}
        for number, (called, values) in enumerate(sets, start=1) for k, name in enumerate(names)
    ]  # fmt: skip
    known = [row["y"] for row in rows if row["y"] is not None]
    low, high = min([0.0, *known]), max([0.0, *known])
    # Room (px) for the words at the ends of the bars, however narrow the screen is.
    room = 12 + 7 * max((letters(row["said"]) for row in rows), default=1)
    ends = [room if low < 0 else 0, {"expr": f"width - {room if high > 0 or low == 0 else 0}"}]
    y: Spec = {
        "field": "n", "type": "ordinal", "title": None, "sort": None,
        "axis": {"labelExpr": "names[datum.value]", "ticks": False, "domain": False, "labelLimit": 240, "labelPadding": 8},
        "scale": {"paddingInner": 0.15 if len(sets) > 1 else 0.1, "paddingOuter": 0.05},
    }  # fmt: skip
    offset = {"field": "s", "type": "nominal", "scale": {"domain": _keys(len(sets))}}
    x: Spec = {
        "field": "y", "type": "quantitative", "title": None, "axis": None,
        "scale": {"domain": [low, high if high > low else low + 1], "range": ends, "nice": False},
    }  # fmt: skip
    colour = {"field": "s", "type": "nominal", "legend": None, "scale": _scale(len(sets), _COLOURS)}
    place: Spec = {"y": y, "yOffset": offset}
    text = {"type": "text", "baseline": "middle", "color": _DIM}
    layers: list[Spec] = [
        {"mark": {"type": "bar", "cornerRadiusEnd": 3}, "encoding": {**place, "x": x, "color": colour}},
        {"transform": [{"filter": "!datum.below"}, {"calculate": "datum.y || 0", "as": "end"}], "mark": {**text, "align": "left", "dx": 6},
         "encoding": {**place, "x": {**x, "field": "end"}, "text": {"field": "said"}}},
        {"transform": [{"filter": "datum.below"}], "mark": {**text, "align": "right", "dx": -6},
         "encoding": {**place, "x": x, "text": {"field": "said"}}},
    ]  # fmt: skip
    if low < 0:
        layers.append(
            {"mark": {"type": "rule", "color": _RULE}, "encoding": {"x": {"datum": 0, "type": "quantitative"}}}
        )
    spec = _spec(title, rows, layer=layers, height=max(1, len(names)) * (_ROW * max(1, len(sets)) + 4))
    spec["params"].append({"name": "names", "value": list(names)})
    spec["transform"] = [{"filter": "indexof(hidden, datum.s) < 0"}]
    return Chart(title, spec, [name for name, _ in sets], bars=True)


def funnel(title: str, steps: Sequence[str], users: Sequence[float], form: Form, share: Form) -> Chart:
    """Steps from above to below as centred bars, each with its users and its share of the first."""
    most = max(users, default=0) or 1
    rows: list[dict[str, Any]] = [
        {"n": k, "y": value, "from": -value / 2, "to": value / 2,
         "said": f"{form(value)} ({share(value / users[0] if users[0] else None)})",
         "tip": f"{step}: {form(value)}"}
        for k, (step, value) in enumerate(zip(steps, users, strict=True))
    ]  # fmt: skip
    y: Spec = {
        "field": "n", "type": "ordinal", "title": None, "sort": None, "scale": {"paddingInner": 0.12, "paddingOuter": 0.05},
        "axis": {"labelExpr": "names[datum.value]", "ticks": False, "domain": False, "labelLimit": 240, "labelPadding": 8},
    }  # fmt: skip
    x: Spec = {"field": "from", "type": "quantitative", "title": None, "axis": None,
               "scale": {"domain": [-most / 2, most / 2], "nice": False}}  # fmt: skip
    layers: list[Spec] = [
        {"mark": {"type": "bar", "color": _COLOURS[0], "opacity": 0.45, "cornerRadius": 3},
         "encoding": {"y": y, "x": x, "x2": {"field": "to"}}},
        {"mark": {"type": "text", "color": _INK}, "encoding": {"y": y, "x": {"datum": 0, "type": "quantitative"}, "text": {"field": "said"}}},
    ]  # fmt: skip
    spec = _spec(title, rows, layer=layers, height=max(1, len(steps)) * 36)
    spec["params"].append({"name": "names", "value": list(steps)})
    return Chart(title, spec, bars=True)


def heat(
    title: str,
    across: Sequence[str],
    down: Sequence[str],
    cells: Mapping[tuple[int, int], float],
    form: Form,
    *,
    top: float | None = None,
    before: Sequence[str] = (),
    before_title: str = "",
) -> Chart:
    """Cells by (row, column), as strong as their value, which is written in them. `before` stands behind each row's name
    (the size of a cohort), with what it is (`before_title`); `top` is the value of the strongest colour."""
    strongest = (top if top is not None else max(cells.values(), default=0)) or 1
    rows: list[dict[str, Any]] = [
        {"x": column, "n": row, "y": _finite(value), "said": form(value), "tip": f"{down[row]}, {across[column]}: {form(value)}",
         "opacity": (opacity := _opacity(value / strongest)), "strong": opacity > 0.5}
        for (row, column), value in cells.items()
    ]  # fmt: skip
    x: Spec = {"field": "x", "type": "ordinal", "title": None, "scale": {"domain": list(range(len(across)))},
               "axis": {"orient": "top", "labelAngle": 0, "labelExpr": "columns[datum.value]", "ticks": False, "domain": False, "labelOverlap": True}}  # fmt: skip
    y: Spec = {"field": "n", "type": "ordinal", "title": None, "scale": {"domain": list(range(len(down)))},
               "axis": {"labelExpr": "names[datum.value]", "ticks": False, "domain": False, "labelLimit": 300}}  # fmt: skip
    wide = max([46, *(8 + 7 * letters(form(v)) for v in cells.values()), *(8 + 7 * letters(name) for name in across)])
    layers: list[Spec] = [
        {"mark": {"type": "rect", "color": _HEAT, "cornerRadius": 3, "stroke": "var(--card)", "strokeWidth": 2},
         "encoding": {"x": x, "y": y,
                      "fillOpacity": {"field": "opacity", "type": "quantitative", "legend": None, "scale": None}}},
        {"mark": {"type": "text"},
         "encoding": {"x": x, "y": y, "text": {"field": "said"},
                      "color": {"condition": {"test": "datum.strong", "value": "#fff"}, "value": _INK}}},
    ]  # fmt: skip
    spec = _spec(title, rows, layer=layers, height=max(1, len(down)) * 26)
    names = (
        [f"{name} · {size} {before_title}" for name, size in zip(down, before, strict=True)] if before else list(down)
    )
    spec["params"] += [{"name": "columns", "value": list(across)}, {"name": "names", "value": names}]
    return Chart(title, spec, bars=True, width=wide * max(1, len(across)))


@dataclass(frozen=True)
class Flow:
    """Users that went from a thing in a column to one in the next (`layer` counts from 0)."""

    layer: int
    source: str
    target: str
    users: float


def flows(title: str, found: Sequence[Flow], form: Form) -> Chart:
    """A Sankey diagram: columns from left to right, bands as wide as the users in them.

    Places are worked out here, in columns (x) and users (y), since Vega-Lite has no such layout.
    """
    sizes: dict[tuple[int, str], list[float]] = {}
    for flow in found:
        sizes.setdefault((flow.layer, flow.source), [0.0, 0.0])[1] += flow.users
        sizes.setdefault((flow.layer + 1, flow.target), [0.0, 0.0])[0] += flow.users
    last = max((layer for layer, _ in sizes), default=1)
    columns = [
        sorted(((n, max(s)) for (at, n), s in sizes.items() if at == k), key=lambda i: (-i[1], i[0]))
        for k in range(last + 1)
    ]
    most_rows = max((len(column) for column in columns), default=1)
    height = max(260, 36 * most_rows + 60)
    most = max((sum(size for _, size in column) for column in columns), default=0) or 1.0
    # 24 px above each: there its name stands.
    gap = 24 * most / max(height - 24 * most_rows, 1)
    place: dict[tuple[int, str], float] = {}
    nodes: list[dict[str, Any]] = []
    for k, column in enumerate(columns):
        y = 0.0
        for name, size in column:
            y += gap
            place[k, name] = y
            said = f"{name} {form(size)}"
            nodes.append({"x": k, "x2": k + 0.025, "y": y, "y2": y + size, "name": name, "users": size, "said": said, "tip": f"{name}: {form(size)}"})  # fmt: skip
            y += size
    out, into = dict(place), dict(place)
    bands: list[dict[str, Any]] = []
    for number, flow in enumerate(
        sorted(found, key=lambda f: (f.layer, place[f.layer, f.source], place[f.layer + 1, f.target]))
    ):
        y0, y1 = out[flow.layer, flow.source], into[flow.layer + 1, flow.target]
        out[flow.layer, flow.source] += flow.users
        into[flow.layer + 1, flow.target] += flow.users
        tip = f"{flow.source} → {flow.target}: {form(flow.users)}"
        for part in range(_PARTS + 1):
            way = part / _PARTS
            y = y0 + (y1 - y0) * way * way * (3 - 2 * way)
            x = flow.layer + 0.025 + (1 - 0.025) * way
            bands.append({"b": number, "x": round(x, 4), "y": round(y, 4), "y2": round(y + flow.users, 4), "tip": tip, "users": flow.users})  # fmt: skip
    x_: Spec = {"field": "x", "type": "quantitative", "title": None, "axis": None, "scale": {"domain": [0, last + 0.22], "nice": False, "zero": False}}  # fmt: skip
    y_: Spec = {"field": "y", "type": "quantitative", "title": None, "axis": None,
                "scale": {"domain": [0, most + gap * most_rows], "reverse": True, "nice": False, "zero": False}}  # fmt: skip
    layers: list[Spec] = [
        {"data": {"values": bands}, "mark": {"type": "area", "color": _COLOURS[0], "opacity": 0.28},
         "encoding": {"x": x_, "y": {**y_, "stack": None}, "y2": {"field": "y2"}, "detail": {"field": "b"}}},
        {"mark": {"type": "rect", "color": _COLOURS[0]},
         "encoding": {"x": x_, "x2": {"field": "x2"}, "y": y_, "y2": {"field": "y2"}}},
        {"mark": {"type": "text", "align": "left", "dy": -7, "color": _DIM, "limit": {"expr": f"width / {last + 0.22} - 8"}},
         "encoding": {"x": x_, "y": y_, "text": {"field": "said"}}},
    ]  # fmt: skip
    return Chart(title, _spec(title, nodes, layer=layers, height=height), bars=True, least=640)


def _spec(title: str, rows: list[dict[str, Any]], **more: Any) -> Spec:
    return {
        "$schema": _SCHEMA, "description": title, "data": {"values": rows}, "params": [{"name": "hidden", "value": []}],
        "background": None, "padding": {"left": 2, "top": 8, "right": 10, "bottom": 2}, "autosize": {"type": "fit-x", "contains": "padding"},
        "config": {
            "aria": False,  # the drawing has one name; the table beside it is what is read
            "view": {"stroke": None}, "font": "sans-serif", "text": {"fontSize": 12},
            "axis": {"labelColor": _DIM, "titleColor": _DIM, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal",
                     "gridColor": _RULE, "domainColor": _RULE, "tickColor": _RULE},
        },
        **more,
    }  # fmt: skip


def _written(marks: Sequence[float], values: str, words: str) -> Spec:
    """An axis with these marks only, in our words for them."""
    return {
        "values": list(marks),
        "labelExpr": f"{words}[indexof({values}, datum.value)]",
        "domain": False,
        "ticks": False,
    }


def _keys(count: int) -> list[str]:
    return [f"s{k}" for k in range(1, count + 1)]


def _scale(count: int, range_: Sequence[Any]) -> Spec:
    return {"domain": _keys(count), "range": list(range_[:count])}


def _finite(value: float | None, log: bool = False) -> float | None:
    """The value, or None for one that no axis reaches."""
    return float(value) if value is not None and abs(value) < 1e300 and (value > 1e-300 or not log) else None


def _alone(values: Sequence[float | None], k: int) -> bool:
    before, after = (values[k - 1] if k else None), (values[k + 1] if k + 1 < len(values) else None)
    return values[k] is not None and before is None and after is None


def _opacity(share: float) -> float:
    """How strong a cell is: nothing in the middle, where neither black nor white words could be read."""
    share = min(1.0, max(0.0, share)) if math.isfinite(share) else 0.0
    return round(0.04 + 0.69 * share if share <= 0.55 else 0.72 + 0.28 * (share - 0.55) / 0.45, 3)


def _decades(values: Sequence[float]) -> list[float]:
    """Powers of ten from at or below the smallest to at or above the largest: at least two."""
    low, high = max(-300, math.floor(math.log10(min(values)))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)
    every = math.ceil((high - low) / 8)
    return [10.0**k for k in range(low, high + every, every)]
