"""A chart in a page: its description, the place where the browser draws it, and its legend. Pure."""

from __future__ import annotations

import json
from itertools import count
from typing import Any, Final

from pipeline.render.chart import swatch
from pipeline.render.html import Safe, h
from pipeline.render.language import Language
from pipeline.render.vega import Chart

#: Below and beside what is measured by Vega: axis, paddings.
_AROUND: Final = 36


def figure(t: Language, chart: Chart) -> Safe:
    """The chart, for a page with `charts.js`. A table with its numbers belongs beside it."""
    brought: dict[str, Any] = {
        "spec": chart.spec,
        "names": list(chart.names),
        "links": list(chart.links),
        "least": chart.least,
    }
    if chart.width is not None:
        brought["wide"] = chart.width
        brought["spec"] = chart.spec | {"autosize": {"type": "pad"}}
    keys = t("arrow keys read the values, + and - zoom, 0 shows all")
    works = any(p["name"] == "at" for p in chart.spec["params"])
    drawing = h(
        "div",
        class_="drawing",
        role="application" if works else "img",
        aria_label=f"{chart.title} ({keys})" if works else chart.title,
        tabindex="0",
        style=f"min-height:{chart.spec['height'] + _AROUND}px",
    )
    legend = None
    if len(chart.names) > 1:
        items = [
            h("li", h("button", swatch(k, bars=chart.bars), name, type="button", aria_pressed="true", data_series=f"s{k}"))
            for k, name in zip(count(1), chart.names, strict=False)
        ]  # fmt: skip
        legend = h("ul", *items, class_="legend", aria_label=t("Lines that are shown"))
    back = h("button", t("Whole period"), type="button", class_="whole", hidden=True) if works else None
    return h("figure", _data(brought), drawing, legend, back, class_="chart", data_chart=True)


def _data(value: object) -> Safe:
    """JSON that no text in it can end: the browser does not run it."""
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return Safe(f'<script type="application/json">{written}</script>')
