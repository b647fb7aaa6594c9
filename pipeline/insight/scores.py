"""The scorecard's figures, from rows of the catalogue: now and the time before, against the target. Pure.

Each figure is a metric's own, of whole days or weeks that have had their time: the rows of the time before it are of a
time as long. Rates of several rows are those of their sums, never the mean of rates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

#: A metric's rows, by column name.
Records = Sequence[Mapping[str, Any]]
#: The arguments of one run of a metric.
Arguments = Mapping[str, Any]
_WEEK, _MONTH = 7, 28
#: Days after joining: of retention, of activation, and of a lifetime.
RETURN_DAY, ACTIVATION_DAYS, LIFE_DAYS = 7, 7, 30
_WEEKS_OF_ANSWERS: Final = 4


@dataclass(frozen=True)
class Score:
    """A figure and what it was the time before; None where there is too little to say."""

    now: float | None
    before: float | None


@dataclass(frozen=True)
class StageFigure:
    """How a figure is got: which metric is run with which arguments, and what its rows say."""

    metric: str
    #: By today and the feature's event: one run for both times, or one for each.
    runs: Callable[[date, str], list[Arguments]]
    read: Callable[[Sequence[Records], date, str], Score]
    #: Whether less is better.
    less: bool = False


def met(figure: StageFigure, now: float | None, target: float | None) -> bool | None:
    """Whether a target is met; None where there is none, or no figure."""
    if now is None or target is None:
        return None
    return now <= target if figure.less else now >= target


def _span(end: date, count: int, **more: Any) -> Arguments:
    """So many days up to `end`."""
    return {"from": end - timedelta(days=count - 1), "to": end, **more}


def _yesterday(today: date) -> date:
    return today - timedelta(days=1)


def _two_runs(today: date, count: int, *, ended: int = 1, **more: Any) -> list[Arguments]:
    """The `count` days that ended so many days ago, and those before them."""
    end = today - timedelta(days=ended)
    return [_span(end, count, **more), _span(end - timedelta(days=count), count, **more)]


def _sum(rows: Iterable[Mapping[str, Any]], column: str) -> float:
    return sum(float(row[column] or 0) for row in rows)


def _ratio(over: float, under: float) -> float | None:
    return over / under if under else None


def _halves(rows: Records, column: str, end: date, days: int = _WEEK) -> tuple[Records, Records]:
    """The rows of the `days` days up to `end`, and of as many before."""
    first = end - timedelta(days=days - 1)
    before = first - timedelta(days=days)
    return (
        [row for row in rows if first <= row[column] <= end],
        [row for row in rows if before <= row[column] < first],
    )


def _new_users(found: Sequence[Records], today: date, _: str) -> Score:
    now, before = _halves(found[0], "day", _yesterday(today))
    return Score(_sum(now, "new"), _sum(before, "new") if before else None)


def _cac(found: Sequence[Records], _: date, __: str) -> Score:
    now, before = (
        _ratio(_sum(rows, "spend"), _sum(rows, "new_users")) if any(row["spend"] is not None for row in rows) else None
        for rows in found
    )
    return Score(now, before)


def _activation(found: Sequence[Records], today: date, _: str) -> Score:
    end = today - timedelta(days=ACTIVATION_DAYS + 1)
    now, before = (
        _ratio(_sum((r for r in rows if r["activated"] is not None), "activated"),
               _sum((r for r in rows if r["activated"] is not None), "users"))
        for rows in _halves(found[0], "day", end)
    )  # fmt: skip
    return Score(now, before)


def _retention(found: Sequence[Records], today: date, _: str) -> Score:
    end = today - timedelta(days=RETURN_DAY + 1)
    rows = [row for row in found[0] if row["n"] == RETURN_DAY and row["whole"]]
    now, before = (_ratio(_sum(part, "classic"), _sum(part, "users")) for part in _halves(rows, "cohort", end))
    return Score(now, before)


def _activity(found: Sequence[Records], today: date, _: str) -> Score:
    now, before = (_ratio(_sum(rows, "dau"), _sum(rows, "mau")) for rows in _halves(found[0], "day", _yesterday(today)))
    return Score(now, before)


def _penetration(found: Sequence[Records], _: date, feature: str) -> Score:
    def of(rows: Records) -> float | None:
        if not rows:
            return None
        return next((float(row["penetration"]) for row in rows if row["event"] == feature), 0.0)

    return Score(of(found[0]), of(found[1]))


def _last_weeks(today: date, weeks: int = 2) -> Arguments:
    """Whole weeks from Monday to Sunday, the last of which is over."""
    monday = today - timedelta(days=today.weekday())
    return {"from": monday - timedelta(days=7 * weeks), "to": monday - timedelta(days=1), "period": "week"}


def _of_week(column: str) -> Callable[[Sequence[Records], date, str], Score]:
    def read(found: Sequence[Records], today: date, _: str) -> Score:
        monday = today - timedelta(days=today.weekday())
        by_week = {row["period"]: row[column] for row in found[0]}
        now, before = (by_week.get(monday - timedelta(days=back)) for back in (7, 14))
        return Score(None if now is None else float(now), None if before is None else float(before))

    return read


def _ltv_cac(found: Sequence[Records], _: date, __: str) -> Score:
    def of(rows: Records) -> float | None:
        paid_for = [row for row in rows if row["spend"] is not None]
        return _ratio(sum(float(row["ltv"]) * row["new_users"] for row in paid_for), _sum(paid_for, "spend"))

    return Score(of(found[0]), of(found[1]))


def _nps(found: Sequence[Records], today: date, _: str) -> Score:
    monday = today - timedelta(days=today.weekday())
    parts = _halves(found[0], "period", monday - timedelta(days=1), 7 * _WEEKS_OF_ANSWERS)
    now, before = (
        None if not rows else 100 * (_sum(rows, "promoters") - _sum(rows, "detractors")) / _sum(rows, "answers")
        for rows in parts
    )
    return Score(now, before)


FIGURES: Final[dict[str, StageFigure]] = {
    "new_users": StageFigure("new_users", lambda today, _: [_span(_yesterday(today), 2 * _WEEK)], _new_users),
    "cac": StageFigure("acquisition_cost", lambda today, _: _two_runs(today, _MONTH, by_campaign=0), _cac, less=True),
    "activation": StageFigure(
        "activation",
        lambda today, _: [
            _span(today - timedelta(days=ACTIVATION_DAYS + 1), 2 * _WEEK, days=ACTIVATION_DAYS, until=_yesterday(today))
        ],
        _activation,
    ),
    "retention": StageFigure(
        "retention",
        lambda today, _: [
            {"from": today - timedelta(days=RETURN_DAY + 2 * _WEEK), "to": _yesterday(today), "period": "day"}
        ],
        _retention,
    ),
    "activity": StageFigure("active_users", lambda today, _: [_span(_yesterday(today), 2 * _WEEK)], _activity),
    "penetration": StageFigure("feature_penetration", lambda today, _: _two_runs(today, _WEEK), _penetration),
    "arpu": StageFigure("revenue", lambda today, _: [_last_weeks(today)], _of_week("arpu")),
    "paying_rate": StageFigure("revenue", lambda today, _: [_last_weeks(today)], _of_week("paying_rate")),
    "ltv_cac": StageFigure(
        "ltv_cac",
        lambda today, _: [
            {**run, "days": LIFE_DAYS, "until": _yesterday(today)}
            for run in _two_runs(today, _MONTH, ended=LIFE_DAYS + 1)
        ],
        _ltv_cac,
    ),
    "nps": StageFigure("nps", lambda today, _: [{**_last_weeks(today, 2 * _WEEKS_OF_ANSWERS), "survey": ""}], _nps),
}
