"""A chart outside of the page: with its colours in it, as SVG for a document, or as PNG.

Drawn of the page's own description by vl-convert, which brings its fonts along: so it says what the page says, on a machine
without fonts too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from itertools import count
from typing import Any, Final

from pipeline.errors import UserError
from pipeline.metrics import Metric, Table
from pipeline.render.chart import WIDE, swatch
from pipeline.render.html import Safe, h
from pipeline.render.language import Language
from pipeline.render.metric import drawing, metric_title
from pipeline.render.svg import LIGHT, alone, svg

#: For the words around the chart, and the samples of its lines.
_STYLE: Final = (
    f"text{{font:12px sans-serif}}.said{{fill:{LIGHT['dim']}}}.head{{fill:{LIGHT['ink']};font-size:14px;font-weight:600}}"
    ".line{fill:none;stroke-width:2.2}"
    + "".join(f".s{k}{{stroke:{LIGHT[f's{k}']}}}.dot.s{k}{{fill:{LIGHT[f's{k}']};stroke:none}}" for k in range(1, 7))
    + ".s2{stroke-dasharray:7 3}.s3{stroke-dasharray:2 3}.s4{stroke-dasharray:9 3 2 3}.s5{stroke-dasharray:5 5}.s6{stroke-dasharray:1 5}"
)
_TITLE, _LINE, _MARGIN, _SCALE = 44, 20, 12, 2.0


def sheet(t: Language, metric: Metric, table: Table, arguments: Mapping[str, Any], today: date | None = None) -> str:
    """The metric's drawing with its title, what was asked, and which line is which, as one SVG.

    Raises UserError for a list, which no chart suits.
    """
    if metric.chart.kind == "table":
        raise UserError(
            "{metric} is a list: no chart suits it; use --format table, csv, json or parquet", metric=metric.name
        )
    said = ", ".join(f"{name} {value}" for name, value in arguments.items() if value not in ("", []))
    parts = [_words(metric_title(t, metric), 18, "head"), _words(said, 36)]
    made = drawing(t, metric, table, today)
    width, top = WIDE, _TITLE
    if made is None:
        parts.append(_words(t("no rows") if not table.rows else t("nothing is over yet"), top + 30))
        top += 60
    else:
        drawn = svg(made.chart)
        box = re.search(r'viewBox="0 0 (\d+) (\d+)"', drawn)
        assert box is not None
        width = max(width, int(box[1]))
        parts.append(Safe(drawn.replace("<svg", f'<svg x="{_MARGIN}" y="{top}"', 1)))
        top += int(box[2]) + 8
        names = made.chart.names if len(made.chart.names) > 1 else ()
        for number, name in zip(count(1), names, strict=False):
            parts.append(swatch(number, bars=made.chart.bars, x=_MARGIN, y=top + 3))
            parts.append(_words(name, top + 12, x=_MARGIN + 34))
            top += _LINE
        if made.note:
            parts.append(_words(made.note, top + 12))
            top += _LINE
    width, height = width + 2 * _MARGIN, top + _MARGIN
    back = h("rect", width=width, height=height, fill="#fff")
    whole = h("svg", back, *parts, viewBox=f"0 0 {width} {height}", width=width, height=height,
              xmlns="http://www.w3.org/2000/svg")  # fmt: skip
    return alone(whole.replace(">", f"><style>{_STYLE}</style>", 1))


def png(t: Language, metric: Metric, table: Table, arguments: Mapping[str, Any], today: date | None = None) -> bytes:
    """The drawing as PNG. Raises UserError for a list."""
    import vl_convert

    made: bytes = vl_convert.svg_to_png(sheet(t, metric, table, arguments, today), scale=_SCALE)
    return made


def _words(said: str, y: int, class_: str = "said", x: int = _MARGIN) -> Safe:
    return h("text", said, x=x, y=y, class_=class_)
