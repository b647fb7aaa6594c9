"""A chart outside of the page: with its colours in it, as SVG for a document, or as PNG.

A PNG is the page's own drawing, rasterised by vl-convert (`pip install 'streamgauge[charts]'`), which brings its fonts
along: so it says what page and report say, on a machine without fonts too.
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

#: What a chart needs of the style sheet when it stands alone.
_COLOURS: Final = {
    "s1": "#0072b2", "s2": "#c65102", "s3": "#00805c", "s4": "#a8447f", "s5": "#3f8fbf", "s6": "#8a6d00",
}  # fmt: skip
_DASHES: Final = {"s2": "7 3", "s3": "2 3", "s4": "9 3 2 3", "s5": "5 5", "s6": "1 5"}
_HEAT: Final = (0.04, 0.1, 0.18, 0.26, 0.34, 0.42, 0.72, 0.78, 0.85, 0.92, 1)
_TITLE, _LINE, _MARGIN, _SCALE = 44, 20, 12, 2.0


def alone(svg: str) -> str:
    """A chart with its colours in it, for where there is no style sheet."""
    rules = [
        "text{fill:#55626f;font:12px sans-serif}text.on{fill:#17212b}.grid{stroke:#d9dfe5}"
        ".line{fill:none;stroke-width:2.2}.area{fill-opacity:.13;stroke:none}.heat{stroke:none;fill:#00629b}"
        ".head{fill:#17212b;font-size:14px;font-weight:600}"
    ]
    for name, colour in _COLOURS.items():
        dash = f";stroke-dasharray:{_DASHES[name]}" if name in _DASHES else ""
        rules.append(f".{name}{{stroke:{colour}{dash}}}.dot.{name}{{fill:{colour};stroke:none}}")
    for strength, opacity in enumerate(_HEAT):
        rules.append(f".heat.h{strength}{{fill-opacity:{opacity}}}")
        if strength > 5:
            rules.append(f"text.on.h{strength}{{fill:#fff}}")
    plain = re.sub(r' data-tips="[^"]*"', "", svg)
    return plain.replace(">", f"><style>{''.join(rules)}</style>", 1)


def sheet(t: Language, metric: Metric, table: Table, arguments: Mapping[str, Any], today: date | None = None) -> str:
    """The metric's drawing with its title, what was asked, and which line is which, as one SVG.

    Raises UserError for a list, which no chart suits.
    """
    if metric.chart.kind == "table":
        raise UserError(f"{metric.name} is a list: no chart suits it; use --format table, csv, json or parquet")
    said = ", ".join(f"{name} {value}" for name, value in arguments.items() if value not in ("", []))
    parts = [_words(metric_title(t, metric), 18, "head"), _words(said, 36)]
    made = drawing(t, metric, table, today)
    width, top = WIDE, _TITLE
    if made is None:
        parts.append(
            _words(
                t("no rows", "没有数据") if not table.rows else t("nothing is over yet", "尚无已结束的周期"), top + 30
            )
        )
        top += 60
    else:
        svg = made.draw(WIDE)
        box = re.search(r'viewBox="0 0 (\d+) (\d+)"', svg)
        assert box is not None
        width = max(width, int(box[1]))
        # Where it stands, instead of the size that a page gives it.
        placed = re.sub(r' style="[^"]*"', "", str(svg), count=1)
        parts.append(Safe(placed.replace("<svg", f'<svg x="{_MARGIN}" y="{top}"', 1)))
        top += int(box[2]) + 8
        for number, name in zip(count(1), made.names if len(made.names) > 1 else (), strict=False):
            parts.append(swatch(number, bars=metric.chart.kind != "line", x=_MARGIN, y=top + 3))
            parts.append(h("text", name, x=_MARGIN + 34, y=top + 12))
            top += _LINE
        if made.note:
            parts.append(_words(made.note, top + 12))
            top += _LINE
    width, height = width + 2 * _MARGIN, top + _MARGIN
    back = h("rect", width=width, height=height, fill="#fff")
    whole = h("svg", back, *parts, viewBox=f"0 0 {width} {height}", width=width, height=height,
              xmlns="http://www.w3.org/2000/svg")  # fmt: skip
    return alone(whole)


def png(t: Language, metric: Metric, table: Table, arguments: Mapping[str, Any], today: date | None = None) -> bytes:
    """The drawing as PNG. Raises UserError for a list, and if vl-convert is missing."""
    try:
        import vl_convert
    except ImportError:
        raise UserError("png needs vl-convert: pip install 'streamgauge[charts]'") from None
    made: bytes = vl_convert.svg_to_png(sheet(t, metric, table, arguments, today), scale=_SCALE)
    return made


def _words(said: str, y: int, class_: str | None = None) -> Safe:
    return h("text", said, x=_MARGIN, y=y, class_=class_)
