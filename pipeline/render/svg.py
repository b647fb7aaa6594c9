"""A chart drawn without a browser, as SVG: for the report and for pictures. Loads vl-convert, which only drawing needs."""

from __future__ import annotations

import re
from html import escape
from typing import Final

from pipeline.render.chart import WIDE
from pipeline.render.html import Safe
from pipeline.render.vega import Chart

#: The light colours of the style sheet, for where there is none.
LIGHT: Final = {
    "ink": "#17212b", "dim": "#55626f", "rule": "#d9dfe5", "card": "#fff", "heat": "0,98,155",
    "s1": "#0072b2", "s2": "#c65102", "s3": "#00805c", "s4": "#a8447f", "s5": "#3f8fbf", "s6": "#8a6d00",
}  # fmt: skip


def svg(chart: Chart, width: int = WIDE) -> Safe:
    """The chart as an element, `width` px wide unless it wants a width of its own. Its colours are of the style sheet."""
    import vl_convert

    spec = chart.spec | {"width": chart.width or max(width, chart.least)}
    if chart.width is not None:
        spec["autosize"] = {"type": "pad"}
    made: str = vl_convert.vegalite_to_svg(spec)
    # The picture has one name; what is within it is in a table.
    made = re.sub(r' (?:role="graphics-[a-z]+"|aria-roledescription="[^"]*"|aria-hidden="true")', "", made)
    return Safe(made.replace('class="marks"', f'class="chart" role="img" aria-label="{escape(chart.title)}"', 1))


def alone(svg: str) -> str:
    """A chart with its colours in it, for where there is no style sheet."""
    return re.sub(r'(fill|stroke)="(rgb\()?var\(--(\w+)\)', lambda m: f'{m[1]}="{m[2] or ""}{LIGHT.get(m[3], "")}', svg)
