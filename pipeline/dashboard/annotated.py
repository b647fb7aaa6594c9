"""Annotations on charts over time: those of the plan and those that are kept, at the places of a chart's axis."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any, Final

from pipeline.dashboard.context import Context
from pipeline.dashboard.forms import when
from pipeline.render.html import Safe, h
from pipeline.render.vega import Annotation

#: Annotations of a chart: of more the newest are drawn.
_DRAWN: Final = 20


@dataclass(frozen=True)
class Marks:
    """What is drawn, and the same in words below the chart (None: nothing happened)."""

    drawn: Sequence[Annotation] = ()
    words: Safe | None = None


def marks(context: Context, places: Sequence[Any]) -> Marks:
    """What happened at places of an axis: begins of days, weeks and months, or moments, in order, evenly spaced."""
    starts = [_start(context, place) for place in places]
    if not starts or any(start is None for start in starts):
        return Marks()
    begins = [start for start in starts if start is not None]
    if len(places) > 1:
        end = begins[-1] + begins[-1] - begins[-2]
    else:
        step = timedelta(hours=1) if isinstance(places[0], datetime) else timedelta(days=1)
        end = begins[0] + int(step.total_seconds() * 1000)
    found = sorted((at, words) for at, words in _all(context) if begins[0] <= at < end)
    left = len(found) - _DRAWN
    found = found[-_DRAWN:]
    if not found:
        return Marks()
    t = context.t
    by_place = groupby(found, key=lambda one: bisect_right(begins, one[0]) - 1)
    drawn = [Annotation(place, " · ".join(words for _, words in ones)) for place, ones in by_place]
    items = [h("li", h("span", when(context, at), class_="dim"), " ", words) for at, words in found]
    if left > 0:
        items.append(h("li", t("and {left} before these", left=left)))
    return Marks(drawn, h("ul", *items, class_="happened", aria_label=t("What happened")))


def _all(context: Context) -> list[tuple[int, str]]:
    zone = context.plan.zone
    return [(one.moment(zone), one.text) for one in context.plan.annotations]


def _start(context: Context, place: Any) -> int | None:
    """Epoch ms of the begin of a place; None where it is no time."""
    if isinstance(place, datetime):
        local = place if place.tzinfo is not None else place.replace(tzinfo=context.plan.zone)
        return int(local.timestamp() * 1000)
    return context.day_start(place) if isinstance(place, date) else None
