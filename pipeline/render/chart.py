"""What charts have in common: lines, the marks of an axis, legends, the widths of screens.

Colours are classes (`s1` … `s6`, of a palette that colour-blind people can tell apart), and lines differ in their
dashes too. A report draws each chart for a wide and a narrow screen and shows the one that fits, so text keeps its size.
"""

from __future__ import annotations

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
